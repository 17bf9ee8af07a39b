//! A folder of PNG and JPEG pictures, cropped and resized once into one file of the cache.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::files::{DEFLATE_LIMIT, hex, reserve, write_beside, zeros};
use crate::images::{ImageShape, Images};
use crate::pixels::{channels_first, tensor};

/// Largest picture decoded: pixels a side, and bytes that its decoding may take.
const MAX_SIDE: u32 = 16_384;
const MAX_BYTES: u64 = 1 << 29;
/// Pixels that one byte of a file can stand for at most: eight of one bit in PNG, deflated; JPEG stays far below.
const MAX_PIXELS_A_BYTE: u64 = 8 * DEFLATE_LIMIT;
/// Pictures decoded between two messages.
const PART: usize = 4096;
const MAGIC: &[u8; 8] = b"elbopic1";

/// How pictures become images: a centred square of `crop` pixels (the largest, if `None`), resized to `image_size`, in `channels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLayout {
    /// Side of the images, in pixels.
    pub image_size: i64,
    /// Side of the centred square that is cut out first, in pixels of the picture; `None`: the shorter side.
    pub crop: Option<i64>,
    /// 1 for grey, 3 for colour.
    pub channels: i64,
}

/// The pictures of a folder (`.png`, `.jpg`, `.jpeg`; subfolders are not searched), in the order of their names, with those names.
///
/// The result is kept in `cache`, keyed by the layout and by every file's name, size and time of change; a damaged cache file is made anew with a
/// warning to `progress`, and a folder that cannot be written costs only time.
///
/// # Errors
/// [`DataError`] naming the folder or the picture, for one that is missing, damaged, too small for the crop, or larger than 16 384 pixels a
/// side.
pub fn read_folder(
    folder: &Path,
    layout: PictureLayout,
    cache: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<(Images, Vec<String>), DataError> {
    let files = list(folder)?;
    let names: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let shape = ImageShape { channels: layout.channels, height: layout.image_size, width: layout.image_size };
    let bytes = files.len() * shape.pixels() as usize;
    let cached = cache.map(|cache| cache.join(format!("pictures-v1-{}.u8", key(folder, &files, layout))));
    if let Some(path) = &cached {
        match read_cache(path, bytes) {
            Ok(Some(pixels)) => return Ok((images(&pixels, files.len(), shape)?, names)),
            Ok(None) => {}
            Err(error) => progress(&format!("warning: {error}; reading the pictures again")),
        }
    }
    let pixels = decode_all(folder, &files, layout, progress)?;
    if let Some(path) = &cached
        && let Err(error) = write_cache(path, &pixels)
    {
        progress(&format!("warning: {error}; going on without a cache"));
    }
    Ok((images(&pixels, files.len(), shape)?, names))
}

fn images(pixels: &[u8], count: usize, shape: ImageShape) -> Result<Images, DataError> {
    let black_and_white = pixels.iter().all(|&value| matches!(value, 0 | 255));
    let pixels = tensor(pixels, &shape.batch(count as i64))?;
    if black_and_white { Images::from_bytes(&pixels) } else { Ok(Images::from_grey(pixels, shape)) }
}

struct Picture {
    name: String,
    path: PathBuf,
    size: u64,
    modified: u128,
}

fn list(folder: &Path) -> Result<Vec<Picture>, DataError> {
    let wrap = |cause| DataError::read(folder, cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(wrap)? {
        let path = entry.map_err(wrap)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        if !matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg")) {
            continue;
        }
        let metadata = path.metadata().map_err(|cause| DataError::read(&path, cause))?;
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        files.push(Picture { name, size: metadata.len(), modified: modified.map_or(0, |time| time.as_nanos()), path });
    }
    if files.is_empty() {
        return Err(DataError::damaged(folder, "expected .png or .jpg pictures in this folder, got none"));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn key(folder: &Path, files: &[Picture], layout: PictureLayout) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{layout:?}\n{}\n", fs::canonicalize(folder).unwrap_or_default().display()));
    for file in files {
        hash.update(format!("{}\n{} {}\n", file.name, file.size, file.modified));
    }
    hex(&hash.finalize()[..16])
}

fn decode_all(
    folder: &Path,
    files: &[Picture],
    layout: PictureLayout,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, DataError> {
    let mut pixels = Vec::new();
    for (part, pictures) in files.chunks(PART).enumerate() {
        progress(&format!(
            "{}: reading pictures {} to {} of {}",
            folder.display(),
            part * PART + 1,
            part * PART + pictures.len(),
            files.len()
        ));
        let decoded: Vec<Vec<u8>> =
            pictures.par_iter().map(|picture| decode(&picture.path, layout)).collect::<Result<_, _>>()?;
        reserve(&mut pixels, decoded.iter().map(Vec::len).sum())?;
        for image in &decoded {
            pixels.extend_from_slice(image);
        }
    }
    Ok(pixels)
}

/// One picture as `[C, S, S]`.
fn decode(path: &Path, layout: PictureLayout) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(|cause| DataError::read(path, cause))?;
    let on_disk = file.metadata().map_err(|cause| DataError::read(path, cause))?.len();
    let damaged = |cause: image::ImageError| {
        DataError::damaged(path, format!("expected a sound picture, got: {}", one_line(&cause)))
    };
    let mut reader =
        ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(|cause| DataError::read(path, cause))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    // Before a byte is set aside for the pixels: a file of a hundred bytes does not get to ask for half a gigabyte.
    if u64::from(width) * u64::from(height) > on_disk.saturating_mul(MAX_PIXELS_A_BYTE) {
        let problem = format!("expected a size that {on_disk} bytes can hold, got {width} × {height} pixels");
        return Err(DataError::damaged(path, problem));
    }
    limits.reserve(decoder.total_bytes()).and_then(|()| decoder.set_limits(limits)).map_err(damaged)?;
    let picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;

    let side = match layout.crop {
        None => width.min(height),
        Some(crop) if crop <= i64::from(width.min(height)) => crop as u32,
        Some(crop) => {
            let problem =
                format!("expected a picture of {crop} pixels a side at least, for the crop, got {width} × {height}");
            return Err(DataError::damaged(path, problem));
        }
    };
    let size = layout.image_size as u32;
    let square = picture.crop_imm((width - side) / 2, (height - side) / 2, side, side);
    let grey = layout.channels == 1;
    let square = if grey { DynamicImage::from(square.to_luma8()) } else { DynamicImage::from(square.to_rgb8()) };
    let resized = if side == size { square } else { square.resize_exact(size, size, FilterType::Triangle) };
    if grey {
        return Ok(resized.into_luma8().into_raw());
    }
    let mut planes = Vec::new();
    channels_first(&resized.into_rgb8().into_raw(), 3, &mut planes);
    Ok(planes)
}

fn one_line(cause: &image::ImageError) -> String {
    cause.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The cache file: eight letters, the pixels, their CRC-32.
fn read_cache(path: &Path, expected: usize) -> Result<Option<Vec<u8>>, DataError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(DataError::read(path, cause)),
    };
    let found = file.metadata().map_err(|cause| DataError::read(path, cause))?.len();
    let whole = (MAGIC.len() + expected + 4) as u64;
    if found != whole {
        return Err(DataError::damaged(path, format!("damaged cache: expected {whole} bytes, got {found}")));
    }
    let (mut magic, mut checksum) = ([0; 8], [0; 4]);
    let mut pixels = zeros(expected)?;
    for part in [&mut magic[..], &mut pixels, &mut checksum] {
        file.read_exact(part).map_err(|cause| DataError::content(path, cause))?;
    }
    if &magic != MAGIC || u32::from_le_bytes(checksum) != crc32fast::hash(&pixels) {
        return Err(DataError::damaged(path, "damaged cache: its checksum does not fit"));
    }
    Ok(Some(pixels))
}

fn write_cache(path: &Path, pixels: &[u8]) -> Result<(), DataError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|cause| DataError::write(folder, cause))?;
    }
    write_beside(path, |file| {
        let checksum = crc32fast::hash(pixels).to_le_bytes();
        for part in [&MAGIC[..], pixels, &checksum] {
            file.write_all(part).map_err(|cause| DataError::write(path, cause))?;
        }
        Ok(())
    })
}
