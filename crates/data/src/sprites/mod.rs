//! dSprites, rendered bit for bit.
//!
//! The real data set (Matthey et al. 2017, google-deepmind/dsprites-dataset, Apache-2.0) is 737 280 binary 64 × 64 images over the
//! full grid of five factors. It was drawn without anti-aliasing, so it can be drawn again: every image here equals the
//! published one, and the whole grid is held against [`SHA256`] and [`CRC32`].
//!
//! ```text
//! index = (((shape · 6 + scale) · 40 + orientation) · 32 + position_x) · 32 + position_y
//! ```
//!
//! Images are packed: 8 bytes a row, the leftmost pixel the most significant bit, white = 1.

mod archive;
mod cache;
mod metadata;
mod outline;
mod render;

use std::f64::consts::PI;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::files::zeros;
use crate::levels::Levels;

pub use archive::{write_archive, write_packed};
pub use cache::{CACHE_NAME, load};
pub use render::IMAGE_BYTES;

/// Names of the factors, slowest first.
pub const FACTORS: [&str; 5] = ["shape", "scale", "orientation", "position_x", "position_y"];
/// Levels of each factor in the full grid.
pub const SIZES: [usize; 5] = [3, 6, 40, 32, 32];
/// Names of the shapes, in the order of their levels.
pub const SHAPES: [&str; 3] = ["square", "ellipse", "heart"];
/// Images of the full grid.
pub const COUNT: usize = 737_280;
/// SHA-256 of the full grid, packed, 377 487 360 bytes.
pub const SHA256: &str = "3a228f4037ef3d42a42588e0e01f1078aa2df13cfa17584e88c95ed9fb5672da";
/// CRC-32 (IEEE) of each shape's and scale's 40 · 32 · 32 packed images.
pub const CRC32: [[u32; 6]; 3] = [
    [842088588, 2249688455, 1641607182, 3289578641, 425964499, 4041426522],
    [1567432231, 2046265677, 2096446922, 3064528213, 699708542, 2425345690],
    [4251789654, 731991596, 1727236204, 4033128758, 3034276144, 550686442],
];

/// Bytes of one shape and scale of the full grid: what one entry of [`CRC32`] covers.
const SCALE_BYTES: usize = 40 * 32 * 32 * IMAGE_BYTES;

/// The physical value of a level, as the official archive's `latents_values` has it: shape 1 to 3, scale 0.5 to 1,
/// orientation 0 to 2π (both ends), positions 0 to 1.
pub fn factor_value(factor: usize, level: usize) -> f64 {
    // As `numpy.linspace` rounds: multiples of the step, the end exact.
    let linspace = |end: f64, count: usize| {
        if level + 1 == count { end } else { level as f64 * (end / (count - 1) as f64) }
    };
    match factor {
        0 => level as f64 + 1.0,
        1 => 0.5 + if level == 5 { 0.5 } else { level as f64 * 0.1 },
        2 => linspace(2.0 * PI, 40),
        _ => linspace(1.0, 32),
    }
}

/// A part of the grid: levels to keep for each factor, all of them where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subset {
    /// 0 square, 1 ellipse, 2 heart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Levels>,
    /// 0 to 5: half size to full size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Levels>,
    /// 0 to 39: a full turn; 39 is the same picture as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orientation: Option<Levels>,
    /// 0 to 31: left to right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_x: Option<Levels>,
    /// 0 to 31: top to bottom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_y: Option<Levels>,
}

impl Subset {
    /// Sets the levels of the factor called `factor`, as a command line does.
    ///
    /// # Errors
    /// [`DataError::Field`] for a name that is none of [`FACTORS`].
    pub fn set(&mut self, factor: &str, levels: Levels) -> Result<(), DataError> {
        let place = match factor {
            "shape" => &mut self.shape,
            "scale" => &mut self.scale,
            "orientation" => &mut self.orientation,
            "position_x" => &mut self.position_x,
            "position_y" => &mut self.position_y,
            _ => {
                let expected = FACTORS.join(", ");
                return Err(DataError::field("subset", format!("expected one of {expected}, got {factor:?}")));
            }
        };
        *place = Some(levels);
        Ok(())
    }

    /// The grid that is left.
    ///
    /// # Errors
    /// [`DataError::Field`] that names the factor, for a level it has not.
    pub fn grid(&self) -> Result<Grid, DataError> {
        let choices = [&self.shape, &self.scale, &self.orientation, &self.position_x, &self.position_y];
        let mut grid = Grid::full();
        for (factor, choice) in choices.into_iter().enumerate() {
            if let Some(levels) = choice {
                grid.levels[factor] = levels
                    .resolve(SIZES[factor])
                    .map_err(|message| DataError::field(format!("subset.{}", FACTORS[factor]), message))?;
            }
        }
        Ok(grid)
    }
}

/// The images to render: a product of levels, in grid order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    levels: [Vec<usize>; 5],
}

impl Grid {
    /// All 737 280 images.
    pub fn full() -> Self {
        Self { levels: SIZES.map(|size| (0..size).collect()) }
    }

    /// Whether nothing was left out.
    pub fn is_full(&self) -> bool {
        self.len() == COUNT
    }

    /// Kept levels of each factor, in rising order.
    pub fn levels(&self) -> &[Vec<usize>; 5] {
        &self.levels
    }

    /// Images in the grid.
    pub fn len(&self) -> usize {
        self.levels.iter().map(Vec::len).product()
    }

    /// Never: each factor keeps a level at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Levels in the full grid of image `index`.
    pub fn levels_of(&self, index: usize) -> [usize; 5] {
        let mut rest = index;
        let mut chosen = [0; 5];
        for factor in (0..5).rev() {
            let levels = &self.levels[factor];
            chosen[factor] = levels[rest % levels.len()];
            rest /= levels.len();
        }
        chosen
    }

    /// Blocks of the grid: one for each shape, scale and orientation, all positions in it.
    pub fn blocks(&self) -> usize {
        self.levels[..3].iter().map(Vec::len).product()
    }

    /// Packed bytes of a block.
    pub fn block_bytes(&self) -> usize {
        self.levels[3].len() * self.levels[4].len() * IMAGE_BYTES
    }

    /// Renders blocks from `first` on into `packed`, whose length is a whole number of blocks, in parallel.
    pub fn render_blocks(&self, first: usize, packed: &mut [u8]) {
        let [shapes, scales, orientations, xs, ys] = &self.levels;
        assert_eq!(packed.len() % self.block_bytes(), 0, "room for whole blocks");
        packed.par_chunks_exact_mut(self.block_bytes()).enumerate().for_each(|(offset, block)| {
            let index = first + offset;
            let orientation = orientations[index % orientations.len()];
            let scale = scales[index / orientations.len() % scales.len()];
            let shape = shapes[index / (orientations.len() * scales.len())];
            render::render_positions((shape, scale, orientation), xs, ys, block);
        });
    }

    /// Renders all images, packed. The full grid is held against [`CRC32`].
    ///
    /// # Errors
    /// [`DataError::Memory`]; [`DataError::Render`] if this machine's sine and cosine round otherwise than the original's did.
    pub fn render(&self) -> Result<Vec<u8>, DataError> {
        let mut packed = zeros(self.blocks() * self.block_bytes())?;
        self.render_blocks(0, &mut packed);
        if self.is_full() {
            verify(&packed).map_err(DataError::Render)?;
        }
        Ok(packed)
    }
}

/// Holds the packed full grid against [`CRC32`].
fn verify(packed: &[u8]) -> Result<(), String> {
    assert_eq!(packed.len(), COUNT * IMAGE_BYTES, "the full grid");
    packed.par_chunks_exact(SCALE_BYTES).enumerate().try_for_each(|(index, block)| {
        let (shape, scale) = (index / 6, index % 6);
        let (expected, found) = (CRC32[shape][scale], crc32fast::hash(block));
        if found == expected {
            return Ok(());
        }
        Err(format!("shape {shape}, scale {scale}: expected CRC-32 {expected:08x}, got {found:08x}"))
    })
}
