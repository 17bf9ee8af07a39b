//! Images that live on the device that trains, as bytes or as packed bits, and become floats batch by batch.

use elbo_native::Generator;
use tch::{Device, Kind, Tensor};

use crate::error::DataError;

/// Channels, height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// 1 for grey, 3 for colour (red, green, blue).
    pub channels: i64,
    /// Rows.
    pub height: i64,
    /// Columns.
    pub width: i64,
}

impl ImageShape {
    /// Values in an image: channels · height · width.
    pub fn pixels(self) -> i64 {
        self.channels * self.height * self.width
    }

    /// Bytes of an image packed one bit a value.
    pub fn packed_bytes(self) -> i64 {
        self.pixels().div_euclid(8) + i64::from(self.pixels() % 8 != 0)
    }

    /// The size of a batch of `batch` images: `[B, C, H, W]`.
    pub fn batch(self, batch: i64) -> [i64; 4] {
        [batch, self.channels, self.height, self.width]
    }
}

impl std::fmt::Display for ImageShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {} × {}", self.channels, self.height, self.width)
    }
}

/// `N` images resident on a device: uint8 `[N, C, H, W]`, or one bit a value where all are black or white.
#[derive(Debug)]
pub struct Images {
    shape: ImageShape,
    storage: Storage,
    /// Each read draws every value from a Bernoulli distribution whose probability is the stored grey.
    dynamic: bool,
}

#[derive(Debug)]
enum Storage {
    /// uint8 `[N, C, H, W]`, 255 is 1.
    Bytes(Tensor),
    /// uint8 `[N, ceil(CHW / 8)]`, most significant bit first, and [`values_of_bytes`].
    Bits { packed: Tensor, values: Tensor },
}

const MASKS: [u8; 8] = [128, 64, 32, 16, 8, 4, 2, 1];

impl Images {
    /// From uint8 `[N, C, H, W]`, 255 meaning 1. Images whose values are all 0 and 1, or all 0 and 255, are black and
    /// white: they are packed, and 1 means 1.
    ///
    /// # Errors
    /// [`DataError::Tensor`] for another kind or number of dimensions, or no image.
    pub fn from_bytes(pixels: &Tensor) -> Result<Self, DataError> {
        let &[count, channels, height, width] = pixels.size().as_slice() else {
            return Err(expected("uint8 [N, C, H, W]", pixels));
        };
        if pixels.kind() != Kind::Uint8 || pixels.numel() == 0 {
            return Err(expected("uint8 [N, C, H, W], not empty", pixels));
        }
        let shape = ImageShape { channels, height, width };
        let white = pixels.max().int64_value(&[]);
        let is_grey = |part: &Tensor| part.ne(white).logical_and(&part.ne(0)).any().int64_value(&[]) == 1;
        if !matches!(white, 0 | 1 | 255) || parts(count, pixels).any(|part| is_grey(&part)) {
            return Ok(Self::from_grey(pixels.contiguous(), shape));
        }
        Self::from_packed(pack(count, pixels, |part| part.ne(0)), shape)
    }

    /// From contiguous uint8 `[N, C, H, W]`, 255 meaning 1, kept as they are.
    pub(crate) fn from_grey(pixels: Tensor, shape: ImageShape) -> Self {
        Self { shape, storage: Storage::Bytes(pixels), dynamic: false }
    }

    /// From bits: uint8 `[N, ceil(CHW / 8)]`, the first value of an image the most significant bit of its first byte.
    ///
    /// # Errors
    /// [`DataError::Tensor`] for another kind or size, or no image.
    pub fn from_packed(packed: Tensor, shape: ImageShape) -> Result<Self, DataError> {
        let size = packed.size();
        if packed.kind() != Kind::Uint8 || packed.numel() == 0 || size.len() != 2 || size[1] != shape.packed_bytes() {
            return Err(expected(&format!("uint8 [N, {}] for {shape}, not empty", shape.packed_bytes()), &packed));
        }
        Ok(Self::of_bits(packed, shape))
    }

    fn of_bits(packed: Tensor, shape: ImageShape) -> Self {
        let values = values_of_bytes(packed.device());
        Self { shape, storage: Storage::Bits { packed, values }, dynamic: false }
    }

    /// The same images, drawn anew at every read: each value is 1 with the stored grey as its probability. Images that
    /// are black and white stay as they are.
    pub fn binarized_dynamically(mut self) -> Self {
        self.dynamic = matches!(self.storage, Storage::Bytes(_));
        self
    }

    /// White where the stored grey is at least one half (128 of 255), black elsewhere; packed.
    pub fn binarized_by_threshold(self) -> Self {
        let Storage::Bytes(pixels) = &self.storage else { return self };
        Self::of_bits(pack(self.len(), pixels, |part| part.ge(128)), self.shape)
    }

    /// Number of images.
    pub fn len(&self) -> i64 {
        self.stored().size()[0]
    }

    /// Never: data without an image are refused when they are made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape of one image.
    pub fn shape(&self) -> ImageShape {
        self.shape
    }

    /// Where the images are.
    pub fn device(&self) -> Device {
        self.stored().device()
    }

    /// Bytes that the images take there.
    pub fn stored_bytes(&self) -> i64 {
        self.stored().numel() as i64
    }

    /// Whether every value that [`gather`](Self::gather) gives is 0 or 1.
    pub fn is_binary(&self) -> bool {
        self.dynamic || matches!(self.storage, Storage::Bits { .. })
    }

    /// Whether two reads of an image may differ: grey images under dynamic binarisation.
    pub fn is_drawn(&self) -> bool {
        self.dynamic
    }

    /// The images on another device.
    ///
    /// # Errors
    /// [`DataError::Memory`] if they do not fit there.
    pub fn to_device(&self, device: Device) -> Result<Self, DataError> {
        let storage = match &self.storage {
            Storage::Bytes(pixels) => Storage::Bytes(moved(pixels, device)?),
            Storage::Bits { packed, values } => {
                Storage::Bits { packed: moved(packed, device)?, values: moved(values, device)? }
            }
        };
        Ok(Self { shape: self.shape, storage, dynamic: self.dynamic })
    }

    /// A copy of some of the images, in the order of `rows` (Int64 `[M]`), on the same device.
    pub fn select(&self, rows: &Tensor) -> Self {
        let rows = rows.to_device(self.device());
        let storage = match &self.storage {
            Storage::Bytes(pixels) => Storage::Bytes(pixels.index_select(0, &rows)),
            Storage::Bits { packed, values } => {
                Storage::Bits { packed: packed.index_select(0, &rows), values: values.shallow_clone() }
            }
        };
        Self { shape: self.shape, storage, dynamic: self.dynamic }
    }

    /// A batch of images, float32 `[B, C, H, W]` in `[0, 1]`, for `indices`, Int64 `[B]` on the images' device.
    ///
    /// Grey values are `byte / 255`. Under dynamic binarisation the 0s and 1s are drawn from `noise`, which is
    /// otherwise left alone. Only operators on the device, of sizes that depend on `B` alone: fit for a captured step.
    pub fn gather(&self, indices: &Tensor, noise: &Generator) -> Tensor {
        let &[batch] = indices.size().as_slice() else {
            panic!("indices are Int64 [B], got {:?} {:?}", indices.kind(), indices.size());
        };
        match &self.storage {
            Storage::Bytes(pixels) => {
                let grey = pixels.index_select(0, indices).to_kind(Kind::Float) / 255.0;
                if self.dynamic { noise.bernoulli(&grey) } else { grey }
            }
            Storage::Bits { packed, values } => {
                // A byte is looked up whole: four times as fast as masking its bits, and one pass less.
                let bytes = packed.index_select(0, indices).flatten(0, -1).to_kind(Kind::Int);
                let bits = values.index_select(0, &bytes).view([batch, -1]);
                bits.narrow(1, 0, self.shape.pixels()).reshape(self.shape.batch(batch))
            }
        }
    }

    fn stored(&self) -> &Tensor {
        match &self.storage {
            Storage::Bytes(pixels) => pixels,
            Storage::Bits { packed, .. } => packed,
        }
    }
}

/// The eight values of each byte, most significant bit first: float32 `[256, 8]`.
fn values_of_bytes(device: Device) -> Tensor {
    let bits: Vec<f32> =
        (0..=u8::MAX).flat_map(|byte| MASKS.map(|mask| f32::from(u8::from(byte & mask != 0)))).collect();
    Tensor::from_slice(&bits).view([256, 8]).to_device(device)
}

/// Images a few thousand at a time, so that what is computed of them stays small beside them.
fn parts(count: i64, pixels: &Tensor) -> impl Iterator<Item = Tensor> {
    const PART: i64 = 4096;
    (0..count).step_by(PART as usize).map(move |start| pixels.narrow(0, start, PART.min(count - start)))
}

/// Packs what `white` says of uint8 `[N, …]` into uint8 `[N, ceil(D / 8)]`.
fn pack(count: i64, pixels: &Tensor, white: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let masks = Tensor::from_slice(&MASKS).to_device(pixels.device());
    let packed: Vec<Tensor> = parts(count, pixels)
        .map(|part| {
            let bits = white(&part).to_kind(Kind::Uint8).flatten(1, -1);
            let padding = (8 - bits.size()[1] % 8) % 8;
            let bytes = bits.constant_pad_nd([0, padding]).view([part.size()[0], -1, 8]);
            (bytes * &masks).sum_dim_intlist(-1, false, Kind::Uint8)
        })
        .collect();
    Tensor::cat(&packed, 0)
}

fn expected(what: &str, tensor: &Tensor) -> DataError {
    DataError::Tensor(format!("expected {what}, got {:?} {:?}", tensor.kind(), tensor.size()))
}

fn moved(tensor: &Tensor, device: Device) -> Result<Tensor, DataError> {
    tensor.f_to_device(device).map_err(|cause| DataError::Memory {
        bytes: tensor.numel() as u64,
        detail: elbo_native::Error::from(cause).to_string(),
    })
}
