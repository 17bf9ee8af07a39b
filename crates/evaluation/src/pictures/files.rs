//! PNG and GIF, in memory.

use super::Canvas;
use std::borrow::Cow;
use std::collections::HashMap;

const IN_MEMORY: &str = "writing to memory cannot fail";

impl Canvas {
    /// The picture as a PNG file.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width() as u32, self.height() as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().expect(IN_MEMORY);
        writer.write_image_data(self.pixels()).expect(IN_MEMORY);
        writer.finish().expect(IN_MEMORY);
        bytes
    }
}

/// `frames`, all of one size, as an animation that repeats for ever, `centiseconds` a frame.
///
/// Exact where all frames together have at most 256 colours, as pictures of grey tiles do; else each frame gets the 256 that suit it best.
pub fn gif(frames: &[Canvas], centiseconds: u16) -> Vec<u8> {
    let first = frames.first().expect("an animation needs a frame");
    let (width, height) = (first.width(), first.height());
    assert!(
        frames.iter().all(|frame| (frame.width(), frame.height()) == (width, height)),
        "the frames of an animation must have one size"
    );
    let side = |pixels: usize| u16::try_from(pixels).expect("a GIF has at most 65535 pixels a side");
    let (width, height) = (side(width), side(height));
    let palette = Palette::of(frames);
    let mut bytes = Vec::new();
    let global = palette.as_ref().map_or(&[] as &[u8], |palette| &palette.colours);
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, global).expect(IN_MEMORY);
    encoder.set_repeat(gif::Repeat::Infinite).expect(IN_MEMORY);
    for canvas in frames {
        let mut frame = match &palette {
            Some(palette) => {
                gif::Frame { width, height, buffer: Cow::Owned(palette.indices(canvas)), ..gif::Frame::default() }
            }
            None => gif::Frame::from_rgb_speed(width, height, canvas.pixels(), 3),
        };
        frame.delay = centiseconds;
        encoder.write_frame(&frame).expect(IN_MEMORY);
    }
    drop(encoder);
    bytes
}

/// All colours of an animation, if a GIF can hold them.
struct Palette {
    colours: Vec<u8>,
    index: HashMap<[u8; 3], u8>,
}

impl Palette {
    fn of(frames: &[Canvas]) -> Option<Self> {
        let mut palette = Self { colours: Vec::new(), index: HashMap::new() };
        for pixel in frames.iter().flat_map(|frame| frame.pixels().as_chunks::<3>().0) {
            if !palette.index.contains_key(pixel) {
                let next = u8::try_from(palette.index.len()).ok()?;
                palette.index.insert(*pixel, next);
                palette.colours.extend_from_slice(pixel);
            }
        }
        Some(palette)
    }

    fn indices(&self, canvas: &Canvas) -> Vec<u8> {
        canvas.pixels().as_chunks::<3>().0.iter().map(|pixel| self.index[pixel]).collect()
    }
}
