//! Pixels on their way from a file to [`Images`]: padded, packed as long as they are black and white.

use tch::{Kind, Tensor};

use crate::error::DataError;
use crate::files::reserve;
use crate::images::{ImageShape, Images};

/// Largest height and width a reader accepts.
pub(crate) const MAX_SIDE: u64 = 4096;

/// Takes images one by one. As long as every value is 0 or the same other value, 1 or 255, it keeps one bit for each.
pub(crate) struct PixelSink {
    /// Shape of the images that come.
    from: ImageShape,
    /// Shape of the images that are kept: the same or larger, zeros around.
    to: ImageShape,
    storage: Storage,
    count: i64,
    /// One padded image.
    padded: Vec<u8>,
}

enum Storage {
    /// Bits, and the value of the white ones once one was seen.
    Bits {
        packed: Vec<u8>,
        white: Option<u8>,
    },
    Bytes(Vec<u8>),
}

impl PixelSink {
    /// For images of shape `from`, padded to squares of `image_size` where that is given.
    ///
    /// # Errors
    /// [`DataError::Field`] `image_size`, if the images are larger.
    pub(crate) fn new(from: ImageShape, image_size: Option<i64>) -> Result<Self, DataError> {
        let to = match image_size {
            Some(size) if size < from.height.max(from.width) => {
                let message = format!(
                    "expected {} or more, because images of {} × {} are padded, never shrunk; got {size}",
                    from.height.max(from.width),
                    from.height,
                    from.width
                );
                return Err(DataError::field("image_size", message));
            }
            Some(size) => ImageShape { channels: from.channels, height: size, width: size },
            None => from,
        };
        let padded = vec![0; if to == from { 0 } else { to.pixels() as usize }];
        Ok(Self { from, to, storage: Storage::Bits { packed: Vec::new(), white: None }, count: 0, padded })
    }

    /// Bytes of one image as they come, `[C, H, W]`.
    pub(crate) fn image_bytes(&self) -> usize {
        self.from.pixels() as usize
    }

    /// Takes one image, `[C, H, W]`, 255 (or 1, if nothing else is above 0 in any image) for white.
    pub(crate) fn push(&mut self, image: &[u8]) -> Result<(), DataError> {
        assert_eq!(image.len(), self.image_bytes(), "one whole image");
        let Self { from, to, padded, storage, .. } = self;
        let image = if to == from {
            image
        } else {
            let (width, (top, left)) = (from.width as usize, margins(*from, *to));
            for (row, pixels) in image.chunks_exact(width).enumerate() {
                let (channel, row) = (row / from.height as usize, row % from.height as usize);
                let start = (channel * to.height as usize + top + row) * to.width as usize + left;
                padded[start..start + width].copy_from_slice(pixels);
            }
            padded.as_slice()
        };
        storage.push(image, *to, self.count)?;
        self.count += 1;
        Ok(())
    }

    /// What was taken.
    pub(crate) fn finish(self) -> Result<Images, DataError> {
        match self.storage {
            Storage::Bits { packed, .. } => {
                let size = [self.count, self.to.packed_bytes()];
                Images::from_packed(tensor(&packed, &size)?, self.to)
            }
            Storage::Bytes(bytes) => Ok(Images::from_grey(tensor(&bytes, &self.to.batch(self.count))?, self.to)),
        }
    }
}

/// The one copy that the bytes of a data set take.
pub(crate) fn tensor(bytes: &[u8], size: &[i64]) -> Result<Tensor, DataError> {
    Tensor::f_from_data_size(bytes, size, Kind::Uint8).map_err(|cause| DataError::Memory {
        bytes: bytes.len() as u64,
        detail: elbo_native::Error::from(cause).to_string(),
    })
}

/// Rows above and columns left of a centred image; an odd pixel more goes below and to the right.
fn margins(from: ImageShape, to: ImageShape) -> (usize, usize) {
    (((to.height - from.height) / 2) as usize, ((to.width - from.width) / 2) as usize)
}

impl Storage {
    fn push(&mut self, image: &[u8], shape: ImageShape, count: i64) -> Result<(), DataError> {
        if let Self::Bits { packed, white } = self {
            let here = white.or_else(|| image.iter().copied().find(|&value| value != 0));
            let binary = match here {
                None => true,
                Some(level) => matches!(level, 1 | 255) && image.iter().all(|&value| value == 0 || value == level),
            };
            if binary {
                *white = here;
                reserve(packed, shape.packed_bytes() as usize)?;
                packed.extend(image.chunks(8).map(pack));
                return Ok(());
            }
            let grey = unpacked(packed, white.unwrap_or(0), shape, count)?;
            *self = Self::Bytes(grey);
        }
        let Self::Bytes(bytes) = self else { unreachable!("bits were turned into bytes above") };
        reserve(bytes, image.len())?;
        bytes.extend_from_slice(image);
        Ok(())
    }
}

/// Up to eight values into a byte, the first one its most significant bit.
fn pack(values: &[u8]) -> u8 {
    values.iter().enumerate().fold(0, |byte, (position, &value)| byte | u8::from(value != 0) << (7 - position))
}

fn unpacked(packed: &[u8], white: u8, shape: ImageShape, count: i64) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    reserve(&mut bytes, (count * shape.pixels()) as usize)?;
    for image in packed.chunks_exact(shape.packed_bytes() as usize) {
        let bits = image.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        bytes.extend(bits.take(shape.pixels() as usize).map(|bit| bit * white));
    }
    Ok(bytes)
}

/// Turns an image `[H, W, C]` into `[C, H, W]`.
pub(crate) fn channels_first(image: &[u8], channels: usize, out: &mut Vec<u8>) {
    out.clear();
    for channel in 0..channels {
        out.extend(image.iter().skip(channel).step_by(channels));
    }
}
