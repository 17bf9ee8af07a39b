//! The grid as files: packed bits, or the layout of the official `.npz` archive.

use std::io::{Seek, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zip::write::{FileOptions, ZipWriter};

use super::metadata::{LATENTS, metadata};
use super::{Grid, IMAGE_BYTES, SHA256, factor_value};
use crate::error::DataError;
use crate::files::{hex, write_beside, zeros};

/// Blocks rendered at a time.
const BLOCKS: usize = 40;

/// What a written file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Images in it.
    pub images: usize,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the packed images, in hexadecimal: [`SHA256`](super::SHA256) for the full grid, whatever the format.
    pub sha256: String,
}

/// Writes the images packed, nothing else, in grid order. `progress` is told how many images are done.
///
/// # Errors
/// [`DataError::Write`]; [`DataError::Render`] if the full grid has not its published SHA-256. `path` is then as it was before.
pub fn write_packed(grid: &Grid, path: &Path, progress: &mut dyn FnMut(usize)) -> Result<Written, DataError> {
    write_beside(path, |file| {
        let sha256 = render_in_parts(grid, progress, &mut |packed| {
            file.write_all(packed).map_err(|cause| DataError::write(path, cause))
        })?;
        Ok(Written { images: grid.len(), bytes: (grid.len() * IMAGE_BYTES) as u64, sha256 })
    })
}

/// Writes a `.npz` file in the layout of the official archive, compressed: `imgs` (uint8 `[N,64,64]`, 0 or 1), `latents_classes`
/// (int64 `[N,6]`, colour first and always 0, levels counted in the full grid), `latents_values` (float64 `[N,6]`),
/// `latents_names`, `latents_sizes`, and `metadata` with names, sizes and values as a Python dictionary. Few megabytes of memory, whatever the grid.
///
/// # Errors
/// As [`write_packed`].
pub fn write_archive(grid: &Grid, path: &Path, progress: &mut dyn FnMut(usize)) -> Result<Written, DataError> {
    let sha256 = write_beside(path, |file| {
        write_entries(ZipWriter::new(file), grid, progress).map_err(|error| match error {
            EntryError::Data(error) => error,
            EntryError::Zip(cause) => DataError::write(path, cause.into()),
        })
    })?;
    let bytes = path.metadata().map_err(|cause| DataError::read(path, cause))?.len();
    Ok(Written { images: grid.len(), bytes, sha256 })
}

enum EntryError {
    Data(DataError),
    Zip(zip::result::ZipError),
}

impl From<DataError> for EntryError {
    fn from(error: DataError) -> Self {
        Self::Data(error)
    }
}

impl From<std::io::Error> for EntryError {
    fn from(cause: std::io::Error) -> Self {
        Self::Zip(cause.into())
    }
}

impl From<zip::result::ZipError> for EntryError {
    fn from(cause: zip::result::ZipError) -> Self {
        Self::Zip(cause)
    }
}

fn write_entries<W: Write + Seek>(
    mut zip: ZipWriter<W>,
    grid: &Grid,
    progress: &mut dyn FnMut(usize),
) -> Result<String, EntryError> {
    let count = grid.len();
    // The fastest level: the pictures are mostly black and shrink a hundredfold anyway.
    let options =
        FileOptions::default().compression_method(zip::CompressionMethod::Deflated).compression_level(Some(1));

    zip.start_file("imgs.npy", options)?;
    zip.write_all(&npy_header("|u1", &[count, 64, 64]))?;
    let mut pixels = Vec::new();
    let sha256 = render_in_parts(grid, progress, &mut |packed| {
        pixels.clear();
        pixels.extend(packed.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)));
        Ok::<_, EntryError>(zip.write_all(&pixels)?)
    })?;

    zip.start_file("latents_classes.npy", options)?;
    zip.write_all(&npy_header("<i8", &[count, 6]))?;
    write_rows(&mut zip, grid, |_, level| (level as i64).to_le_bytes(), 0_i64.to_le_bytes())?;
    zip.start_file("latents_values.npy", options)?;
    zip.write_all(&npy_header("<f8", &[count, 6]))?;
    write_rows(&mut zip, grid, |factor, level| factor_value(factor, level).to_le_bytes(), 1_f64.to_le_bytes())?;

    let width = LATENTS.iter().map(|name| name.len()).max().unwrap_or(1);
    zip.start_file("latents_names.npy", options)?;
    zip.write_all(&npy_header(&format!("<U{width}"), &[LATENTS.len()]))?;
    for name in LATENTS {
        for character in name.chars().chain(std::iter::repeat('\0')).take(width) {
            zip.write_all(&u32::from(character).to_le_bytes())?;
        }
    }
    zip.start_file("latents_sizes.npy", options)?;
    zip.write_all(&npy_header("<i8", &[LATENTS.len()]))?;
    for size in std::iter::once(1).chain(grid.levels().iter().map(Vec::len)) {
        zip.write_all(&(size as i64).to_le_bytes())?;
    }
    let mut values = <[Vec<f64>; LATENTS.len()]>::default();
    values[0].push(1.0);
    for (factor, levels) in grid.levels().iter().enumerate() {
        values[factor + 1].extend(levels.iter().map(|&level| factor_value(factor, level)));
    }
    zip.start_file("metadata.npy", options)?;
    zip.write_all(&npy_header("|O", &[]))?;
    zip.write_all(&metadata(&values))?;
    zip.finish()?;
    Ok(sha256)
}

fn write_rows(
    out: &mut impl Write,
    grid: &Grid,
    value: impl Fn(usize, usize) -> [u8; 8],
    color: [u8; 8],
) -> std::io::Result<()> {
    let mut rows = Vec::with_capacity(1024 * 48);
    for index in 0..grid.len() {
        rows.extend(color);
        for (factor, level) in grid.levels_of(index).into_iter().enumerate() {
            rows.extend(value(factor, level));
        }
        if rows.len() >= 1024 * 48 || index + 1 == grid.len() {
            out.write_all(&rows)?;
            rows.clear();
        }
    }
    Ok(())
}

/// Renders the grid part by part and returns the SHA-256 of the whole.
fn render_in_parts<E: From<DataError>>(
    grid: &Grid,
    progress: &mut dyn FnMut(usize),
    consume: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<String, E> {
    let (blocks, block_bytes) = (grid.blocks(), grid.block_bytes());
    let mut packed = zeros(BLOCKS.min(blocks) * block_bytes)?;
    let mut hash = Sha256::new();
    for first in (0..blocks).step_by(BLOCKS) {
        let part = &mut packed[..BLOCKS.min(blocks - first) * block_bytes];
        grid.render_blocks(first, part);
        hash.update(&part);
        consume(part)?;
        progress((first * block_bytes + part.len()) / IMAGE_BYTES);
    }
    let sha256 = hex(&hash.finalize());
    if grid.is_full() && sha256 != SHA256 {
        return Err(DataError::Render(format!("expected sha256 {SHA256}, got {sha256}")).into());
    }
    Ok(sha256)
}

/// The header of an `.npy` file, version 1.0, padded so that the data start at a multiple of 64 bytes; no sizes for a scalar.
fn npy_header(kind: &str, shape: &[usize]) -> Vec<u8> {
    let sizes = match shape {
        [] => String::new(),
        sizes => sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") + ",",
    };
    let mut text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padding = 63 - (10 + text.len()) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.bytes());
    header
}
