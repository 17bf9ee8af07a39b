//! An RGB picture in memory.

use font8x8::{BASIC_FONTS, GREEK_FONTS, LATIN_FONTS, UnicodeFonts};
use tch::{Kind, Tensor};

/// Red, green, blue.
pub type Colour = [u8; 3];

/// Width and height of a letter in pixels.
pub const GLYPH: usize = 8;

/// An RGB picture, 8 bits a channel.
#[derive(Clone, PartialEq, Eq)]
pub struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl std::fmt::Debug for Canvas {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Canvas({} × {})", self.width, self.height)
    }
}

impl Canvas {
    /// A picture of one colour.
    pub fn new(width: usize, height: usize, colour: Colour) -> Self {
        assert!(width > 0 && height > 0, "a picture needs at least one pixel, got {width} × {height}");
        Self { width, height, pixels: colour.repeat(width * height) }
    }

    /// A picture of the given bytes, row by row, red, green, blue for every pixel.
    pub(crate) fn from_pixels(width: usize, height: usize, pixels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), 3 * width * height, "a picture needs three bytes a pixel");
        Self { width, height, pixels }
    }

    /// The images of a batch `[n, C, H, W]`, values in `[0, 1]` (clamped; what is not a number is black), one picture each.
    ///
    /// One channel is grey, three are red, green and blue; of any other number the first is shown.
    pub fn from_images(images: &Tensor) -> Vec<Self> {
        let size = images.size();
        assert_eq!(size.len(), 4, "images must be [n, C, H, W], got {size:?}");
        let channels = if size[1] == 3 { 3 } else { 1 };
        let bytes = (images.detach().narrow(1, 0, channels).nan_to_num(0.0, None, None).clamp(0.0, 1.0) * 255.0)
            .round()
            .to_kind(Kind::Uint8)
            .expand([size[0], 3, size[2], size[3]], false)
            .permute([0, 2, 3, 1])
            .reshape(-1);
        let bytes: Vec<u8> = Vec::try_from(bytes).expect("bytes");
        let (width, height) = (size[3] as usize, size[2] as usize);
        bytes.chunks(3 * width * height).map(|pixels| Self { width, height, pixels: pixels.to_vec() }).collect()
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Bytes, row by row, red, green, blue for every pixel.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The colour at column `x` of row `y`.
    pub fn pixel(&self, x: usize, y: usize) -> Colour {
        assert!(x < self.width && y < self.height, "({x}, {y}) is outside of {self:?}");
        let start = 3 * (y * self.width + x);
        [self.pixels[start], self.pixels[start + 1], self.pixels[start + 2]]
    }

    /// Puts `picture` with its upper left corner at (`x`, `y`); what sticks out is cut off.
    pub fn draw(&mut self, x: usize, y: usize, picture: &Self) {
        let columns = picture.width.min(self.width.saturating_sub(x));
        for row in 0..picture.height.min(self.height.saturating_sub(y)) {
            let from = 3 * row * picture.width;
            let to = 3 * ((y + row) * self.width + x);
            self.pixels[to..to + 3 * columns].copy_from_slice(&picture.pixels[from..from + 3 * columns]);
        }
    }

    /// Writes a line, letters of [`GLYPH`] pixels, its upper left corner at (`x`, `y`). Letters the font does not have appear as `?`.
    pub fn text(&mut self, x: usize, y: usize, line: &str, colour: Colour) {
        for (index, letter) in line.chars().enumerate() {
            for (row, bits) in glyph(letter).into_iter().enumerate() {
                for column in (0..GLYPH).filter(|column| bits >> column & 1 == 1) {
                    self.set(x + index * GLYPH + column, y + row, colour);
                }
            }
        }
    }

    /// Every pixel as a square of `factor` × `factor`.
    pub fn enlarged(&self, factor: usize) -> Self {
        assert!(factor >= 1, "the factor must be at least 1");
        let mut pixels = Vec::with_capacity(self.pixels.len() * factor * factor);
        for row in self.pixels.chunks(3 * self.width) {
            let wide: Vec<u8> = row.chunks(3).flat_map(|pixel| pixel.repeat(factor)).collect();
            (0..factor).for_each(|_| pixels.extend_from_slice(&wide));
        }
        Self { width: self.width * factor, height: self.height * factor, pixels }
    }

    /// Lays `share` (0 to 1) of a colour over a pixel, if there is one.
    pub(super) fn blend(&mut self, x: usize, y: usize, colour: Colour, share: f64) {
        if x < self.width && y < self.height && share > 0.0 {
            let start = 3 * (y * self.width + x);
            for (below, above) in self.pixels[start..start + 3].iter_mut().zip(colour) {
                *below = (f64::from(*below) * (1.0 - share) + f64::from(above) * share).round() as u8;
            }
        }
    }

    fn set(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            let start = 3 * (y * self.width + x);
            self.pixels[start..start + 3].copy_from_slice(&colour);
        }
    }
}

fn glyph(letter: char) -> [u8; GLYPH] {
    let known = BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| GREEK_FONTS.get(letter));
    known.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default()
}
