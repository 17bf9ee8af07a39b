//! IDX files, the format of MNIST: big-endian sizes, then unsigned bytes; gzipped or not.
//!
//! ```text
//! 0  0  type  dimensions | size of each dimension, u32 | data        type 0x08: unsigned bytes
//! ```
//!
//! Images are `[N, H, W]` or `[N, H, W, C]` with 1 or 3 channels, labels `[N]`.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use flate2::read::GzDecoder;

use crate::error::DataError;
use crate::files::{DEFLATE_LIMIT, zeros};
use crate::images::{ImageShape, Images};
use crate::pixels::{MAX_SIDE, PixelSink, channels_first};

/// Reads images, `[N, H, W]` or `[N, H, W, C]`, padded with zeros to squares of `image_size` where that is given.
///
/// # Errors
/// [`DataError`] naming the file, for one that cannot be read, is no IDX file of images, or is not of the size it claims; nothing is
/// allocated on a claim's word.
pub fn read_images(path: &Path, image_size: Option<i64>) -> Result<Images, DataError> {
    let mut file = IdxFile::open(path)?;
    let (height, width, channels) = match *file.sizes.as_slice() {
        [_, height, width] => (height, width, 1),
        [_, height, width, channels @ (1 | 3)] => (height, width, channels),
        _ => {
            let sizes = file.sizes_text();
            return Err(file.damaged(format!("expected images [N, H, W] or [N, H, W, 1 or 3], got sizes {sizes}")));
        }
    };
    if !(1..=MAX_SIDE).contains(&height) || !(1..=MAX_SIDE).contains(&width) {
        return Err(file.damaged(format!("expected images of 1 to {MAX_SIDE} pixels a side, got {height} × {width}")));
    }
    let shape = ImageShape { channels: channels as i64, height: height as i64, width: width as i64 };
    let mut sink = PixelSink::new(shape, image_size)?;
    let mut image = zeros(sink.image_bytes())?;
    let mut planes = Vec::new();
    for _ in 0..file.sizes[0] {
        file.fill(&mut image)?;
        if channels == 1 {
            sink.push(&image)?;
        } else {
            channels_first(&image, channels as usize, &mut planes);
            sink.push(&planes)?;
        }
    }
    file.end()?;
    sink.finish()
}

/// Reads labels, `[N]`.
///
/// # Errors
/// As [`read_images`].
pub fn read_labels(path: &Path) -> Result<Vec<i64>, DataError> {
    let mut file = IdxFile::open(path)?;
    if file.sizes.len() != 1 {
        let sizes = file.sizes_text();
        return Err(file.damaged(format!("expected labels [N], got sizes {sizes}")));
    }
    let mut labels = Vec::new();
    let mut part = [0; 4096];
    let mut left = file.sizes[0] as usize;
    while left > 0 {
        let part = &mut part[..left.min(4096)];
        file.fill(part)?;
        labels.extend(part.iter().map(|&label| i64::from(label)));
        left -= part.len();
    }
    file.end()?;
    Ok(labels)
}

/// An IDX file behind its header.
struct IdxFile<'a> {
    path: &'a Path,
    sizes: Vec<u64>,
    reader: Box<dyn Read>,
}

impl<'a> IdxFile<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let wrap = |cause| DataError::read(path, cause);
        let mut file = File::open(path).map_err(wrap)?;
        let on_disk = file.metadata().map_err(wrap)?.len();
        let mut magic = Vec::new();
        file.by_ref().take(2).read_to_end(&mut magic).map_err(wrap)?;
        file.rewind().map_err(wrap)?;
        let gzipped = magic == [0x1f, 0x8b];
        let file = BufReader::with_capacity(1 << 18, file);
        let reader: Box<dyn Read> = if gzipped { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut idx = Self { path, sizes: Vec::new(), reader };

        let mut magic = [0; 4];
        idx.fill(&mut magic)?;
        let [0, 0, 0x08, dimensions @ 1..=4] = magic else {
            return Err(idx.damaged(format!(
                "expected an IDX file of unsigned bytes, which begins 00 00 08 and 1 to 4 dimensions, got {magic:02x?}"
            )));
        };
        for _ in 0..dimensions {
            let mut size = [0; 4];
            idx.fill(&mut size)?;
            idx.sizes.push(u64::from(u32::from_be_bytes(size)));
        }
        let header = 4 + 4 * u64::from(dimensions);
        let promised = idx.sizes.iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
        let promised = promised.and_then(|bytes| bytes.checked_add(header));
        let sizes = idx.sizes_text();
        match promised {
            _ if idx.sizes.contains(&0) => Err(idx.damaged(format!("expected data, got sizes {sizes}"))),
            Some(bytes) if !gzipped && bytes != on_disk => {
                Err(idx.damaged(format!("expected {bytes} bytes for sizes {sizes}, got a file of {on_disk}")))
            }
            Some(bytes) if bytes <= on_disk.saturating_mul(DEFLATE_LIMIT) => Ok(idx),
            _ => Err(idx.damaged(format!("expected sizes that {on_disk} compressed bytes can hold, got {sizes}"))),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DataError> {
        self.reader.read_exact(bytes).map_err(|cause| DataError::content(self.path, cause))
    }

    /// Nothing may follow; for a gzipped file this is where its checksum is compared.
    fn end(mut self) -> Result<(), DataError> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => {
                let sizes = self.sizes_text();
                Err(self.damaged(format!("expected the end of the data after sizes {sizes}, got more bytes")))
            }
            Err(cause) => Err(DataError::content(self.path, cause)),
        }
    }

    fn sizes_text(&self) -> String {
        self.sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ")
    }

    fn damaged(&self, problem: String) -> DataError {
        DataError::damaged(self.path, problem)
    }
}
