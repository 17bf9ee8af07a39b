//! Words in an outline font, each letter where its spacing puts it, between pixels too.

use super::shapes::Point;
use super::{Canvas, Colour};
use ab_glyph::{Font, FontRef, ScaleFont};
use std::sync::OnceLock;

/// Words and axes.
pub(super) const INK: Colour = [30; 3];
/// Words that stand back: ticks, units, notes.
pub(super) const PALE_INK: Colour = [72; 3];

/// Height of capitals for letters of size 1: what stands upright is centred by them.
const CAPITALS: f64 = 0.62;
/// From one line to the next, for letters of size 1.
const LEADING: f64 = 1.25;

/// Size (from the top of the tallest letter to the foot of the deepest, in pixels) and colour of words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Face {
    pub(super) size: f64,
    pub(super) colour: Colour,
}

pub(super) const TITLE: Face = Face { size: 22.0, colour: INK };
pub(super) const LABEL: Face = Face { size: 17.0, colour: INK };
pub(super) const CAPTION: Face = Face { size: 15.0, colour: PALE_INK };
pub(super) const TICK: Face = Face { size: 14.0, colour: PALE_INK };

/// Which part of a line stands at its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Align {
    Left,
    Centre,
    Right,
}

impl Face {
    /// Pixels from the start of a line to its end.
    pub(super) fn width(self, line: &str) -> f64 {
        self.places(line).1
    }

    /// Pixels from one line to the next.
    pub(super) fn line_height(self) -> f64 {
        (self.size * LEADING).round()
    }

    /// `text` in lines of at most `width` pixels, broken at spaces and behind underscores; a longer word has a line to itself.
    pub(super) fn wrap(self, text: &str, width: f64) -> Vec<String> {
        let mut lines: Vec<String> = vec![String::new()];
        for piece in text.split_inclusive([' ', '_']) {
            let last = lines.last_mut().expect("there is a line");
            let longer = format!("{last}{piece}");
            if last.is_empty() || self.width(longer.trim_end()) <= width {
                *last = longer;
            } else {
                lines.push(piece.to_owned());
            }
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Names of columns in lines, and the width that all columns need: `narrowest`, or that of the longest word.
    pub(super) fn wrap_columns(self, names: &[String], narrowest: f64) -> (Vec<Vec<String>>, f64) {
        let wrapped = |width: f64| -> Vec<Vec<String>> { names.iter().map(|name| self.wrap(name, width)).collect() };
        let longest = wrapped(narrowest).iter().map(|lines| widest(lines, self)).fold(narrowest, f64::max);
        (wrapped(longest), longest)
    }

    /// Where each letter starts, and where the line ends.
    fn places(self, line: &str) -> (Vec<f32>, f64) {
        let font = font().as_scaled(self.size as f32);
        let mut end = 0.0;
        let mut before = None;
        let mut places = Vec::new();
        for letter in line.chars() {
            let glyph = font.glyph_id(letter);
            end += before.map_or(0.0, |before| font.kern(before, glyph));
            places.push(end);
            end += font.h_advance(glyph);
            before = Some(glyph);
        }
        (places, f64::from(end))
    }
}

impl Canvas {
    /// A line of words, the middle of its capitals at the height of the point.
    pub(super) fn words(&mut self, (x, y): Point, line: &str, face: Face, align: Align) {
        let (places, width) = face.places(line);
        let left = match align {
            Align::Left => x,
            Align::Centre => x - width / 2.0,
            Align::Right => x - width,
        };
        // Feet on a whole pixel are sharp.
        let foot = (y + CAPITALS * face.size / 2.0).round();
        for (letter, place) in line.chars().zip(places) {
            let position = ab_glyph::point(left as f32 + place, foot as f32);
            let glyph = font().glyph_id(letter).with_scale_and_position(face.size as f32, position);
            let Some(outline) = font().outline_glyph(glyph) else { continue };
            let corner = outline.px_bounds().min;
            outline.draw(|column, row, share| {
                let (x, y) = (corner.x as i64 + i64::from(column), corner.y as i64 + i64::from(row));
                if let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) {
                    self.blend(x, y, face.colour, f64::from(share));
                }
            });
        }
    }

    /// Lines of words below one another; the first has its middle at the point.
    pub(super) fn lines(&mut self, (x, y): Point, lines: &[String], face: Face, align: Align) {
        for (index, line) in lines.iter().enumerate() {
            self.words((x, y + index as f64 * face.line_height()), line, face, align);
        }
    }
}

/// The widest of some lines.
pub(super) fn widest(lines: &[String], face: Face) -> f64 {
    lines.iter().map(|line| face.width(line)).fold(0.0, f64::max)
}

/// A title above some sentences, as wide as the picture.
#[derive(Debug)]
pub(super) struct Head {
    title: Vec<String>,
    caption: Vec<String>,
}

impl Head {
    /// Less than this and sentences become columns.
    const NARROWEST: f64 = 460.0;

    /// In lines of at most `width` pixels, or of [`Self::NARROWEST`] where that is more.
    pub(super) fn new(title: &str, caption: &[String], width: f64) -> Self {
        let width = width.max(Self::NARROWEST);
        let wrap = |face: Face, text: &str| if text.is_empty() { Vec::new() } else { face.wrap(text, width) };
        Self {
            title: wrap(TITLE, title),
            caption: caption.iter().flat_map(|sentence| wrap(CAPTION, sentence)).collect(),
        }
    }

    pub(super) fn width(&self) -> f64 {
        widest(&self.title, TITLE).max(widest(&self.caption, CAPTION))
    }

    /// With the space below.
    pub(super) fn height(&self) -> f64 {
        let lines = |lines: &[String], face: Face| lines.len() as f64 * face.line_height();
        lines(&self.title, TITLE) + lines(&self.caption, CAPTION) + 10.0
    }

    /// With its upper left corner at a point.
    pub(super) fn draw(&self, canvas: &mut Canvas, (left, top): Point) {
        let middle = |face: Face| face.line_height() / 2.0;
        canvas.lines((left, top + middle(TITLE)), &self.title, TITLE, Align::Left);
        let below = top + self.title.len() as f64 * TITLE.line_height() + 4.0;
        canvas.lines((left, below + middle(CAPTION)), &self.caption, CAPTION, Align::Left);
    }
}

fn font() -> &'static FontRef<'static> {
    static FONT: OnceLock<FontRef<'static>> = OnceLock::new();
    FONT.get_or_init(|| {
        FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).expect("the font that is compiled in can be read")
    })
}
