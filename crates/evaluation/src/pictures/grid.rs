//! Rows of tiles with labels.

use super::canvas::{Canvas, Colour, GLYPH};

/// Greys only, so that a sheet of grey tiles stays within the 256 greys of a GIF.
const PAPER: Colour = [255; 3];
const INK: Colour = [32; 3];
/// Between tiles, which may be as white as the paper or as black as the ink.
const LINES: Colour = [144; 3];
const GAP: usize = 2;
/// Around the sheet, between label and tiles, and between groups of rows.
const MARGIN: usize = 8;
/// Height of a line of text.
const LINE: usize = GLYPH + 4;
/// Tiles are enlarged by whole numbers until their shorter side has as many pixels.
const TILE: usize = 64;

/// A sheet in the making: rows of tiles of one size, labels on their left, headings above, notes below.
#[derive(Debug, Default)]
pub struct Grid {
    headings: Vec<String>,
    rows: Vec<Row>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Row {
    label: Vec<String>,
    tiles: Vec<Canvas>,
    captions: Vec<String>,
    starts_group: bool,
}

impl Grid {
    /// A sheet without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// One short line above each column.
    pub fn headings(mut self, headings: impl IntoIterator<Item = String>) -> Self {
        self.headings = headings.into_iter().collect();
        self
    }

    /// A row of tiles; the lines of `label` stand on its left.
    pub fn row(mut self, label: &[&str], tiles: Vec<Canvas>) -> Self {
        let label = label.iter().map(|&line| line.to_owned()).collect();
        self.rows.push(Row { label, tiles, captions: Vec::new(), starts_group: false });
        self
    }

    /// A row of tiles, each with a line above it.
    pub fn captioned_row(mut self, captions: Vec<String>, tiles: Vec<Canvas>) -> Self {
        self.rows.push(Row { label: Vec::new(), tiles, captions, starts_group: false });
        self
    }

    /// Leaves a space above the next row.
    pub fn group(mut self, rows: impl FnOnce(Self) -> Self) -> Self {
        let first = self.rows.len();
        self = rows(self);
        if let Some(row) = self.rows.get_mut(first) {
            row.starts_group = first > 0;
        }
        self
    }

    /// A line below the rows.
    pub fn note(mut self, line: impl Into<String>) -> Self {
        self.notes.push(line.into());
        self
    }

    /// The sheet.
    ///
    /// # Panics
    /// Without a tile, and for tiles of different sizes.
    pub fn render(&self) -> Canvas {
        let mut tiles = self.rows.iter().flat_map(|row| &row.tiles);
        let first = tiles.next().expect("a sheet needs a tile");
        let size = (first.width(), first.height());
        assert!(tiles.all(|tile| (tile.width(), tile.height()) == size), "the tiles of a sheet must have one size");
        let factor = TILE.div_ceil(size.0.min(size.1));
        let tile = (size.0 * factor, size.1 * factor);

        let columns = self.rows.iter().map(|row| row.tiles.len()).max().unwrap_or(0);
        let label = self.rows.iter().flat_map(|row| &row.label).map(|line| text_width(line)).max().unwrap_or(0);
        let left = MARGIN + if label > 0 { label + MARGIN } else { 0 };
        let notes = self.notes.iter().map(|note| MARGIN + text_width(note)).max().unwrap_or(0);
        let width = (left + columns * (tile.0 + GAP) - GAP).max(notes) + MARGIN;
        let heading = if self.headings.is_empty() { 0 } else { LINE };
        let rows: usize = self.rows.iter().map(|row| row.above() + tile.1 + GAP).sum();
        let below = if self.notes.is_empty() { 0 } else { MARGIN / 2 + LINE * self.notes.len() };
        let mut sheet = Canvas::new(width, MARGIN + heading + rows - GAP + below + MARGIN, PAPER);

        let column = |index: usize| left + index * (tile.0 + GAP);
        for (index, heading) in self.headings.iter().enumerate().take(columns) {
            sheet.text(column(index) + centred(heading, tile.0), MARGIN, heading, INK);
        }
        let mut y = MARGIN + heading;
        for row in &self.rows {
            y += row.above();
            for (index, caption) in row.captions.iter().enumerate() {
                sheet.text(column(index) + centred(caption, tile.0), y - LINE + 1, caption, INK);
            }
            let top = y + (tile.1.saturating_sub(LINE * row.label.len())) / 2;
            for (index, line) in row.label.iter().enumerate() {
                sheet.text(MARGIN, top + index * LINE, line, INK);
            }
            // A frame of one line's width around the row; the tiles leave the lines between them.
            let frame = (row.tiles.len() * (tile.0 + GAP) + GAP, tile.1 + 2 * GAP);
            sheet.draw(left - GAP, y - GAP, &Canvas::new(frame.0, frame.1, LINES));
            for (index, picture) in row.tiles.iter().enumerate() {
                sheet.draw(column(index), y, &picture.enlarged(factor));
            }
            y += tile.1 + GAP;
        }
        for (index, note) in self.notes.iter().enumerate() {
            sheet.text(MARGIN, y + MARGIN / 2 + index * LINE, note, INK);
        }
        sheet
    }
}

impl Row {
    /// Pixels between the end of the row before and the tiles of this one.
    fn above(&self) -> usize {
        let captions = if self.captions.is_empty() { 0 } else { LINE + GLYPH / 2 };
        let group = if self.starts_group { MARGIN } else { 0 };
        captions + group
    }
}

fn text_width(line: &str) -> usize {
    line.chars().count() * GLYPH
}

fn centred(line: &str, width: usize) -> usize {
    width.saturating_sub(text_width(line)) / 2
}
