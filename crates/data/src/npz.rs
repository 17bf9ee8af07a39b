//! `.npz` files: the official dSprites archive, and any other with an array of images.

mod directory;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use crate::arrays::Array as Numbers;
use crate::error::DataError;
use crate::files::{DEFLATE_LIMIT, zeros};
use crate::images::{ImageShape, Images};
use crate::npy::{Element, ElementKind, HeaderError, NpyHeader};
use crate::pixels::{MAX_SIDE, PixelSink, channels_first};

/// Most arrays a file may have.
const MAX_ARRAYS: u64 = 4096;

/// A `.npz` file, its arrays known by name and not yet read.
pub(crate) struct NpzFile {
    path: PathBuf,
    on_disk: u64,
    zip: ZipArchive<File>,
    names: Vec<String>,
}

/// A two-dimensional array of numbers, `[N, K]`; `[N]` counts as `[N, 1]`.
pub(crate) struct Table<T> {
    pub(crate) columns: usize,
    pub(crate) values: Vec<T>,
}

impl NpzFile {
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let mut file = File::open(path).map_err(|cause| DataError::read(path, cause))?;
        let on_disk = file.metadata().map_err(|cause| DataError::read(path, cause))?.len();
        check_directory(&mut file).map_err(|cause| zip_error(path, cause))?;
        // The same open file, for reads that say where; the archive keeps its place.
        let names = file.try_clone().map_err(|cause| DataError::read(path, cause))?;
        let mut zip = ZipArchive::new(file).map_err(|cause| zip_error(path, cause))?;
        directory::check(&names, &mut zip).map_err(|cause| zip_error(path, cause))?;
        let names: Vec<String> =
            zip.file_names().filter_map(|name| name.strip_suffix(".npy")).map(str::to_owned).collect();
        Ok(Self { path: path.to_owned(), on_disk, zip, names })
    }

    /// The first of `names` that the file has.
    pub(crate) fn first_of(&self, names: &[&str]) -> Option<String> {
        names.iter().find(|&&name| self.names.iter().any(|other| other == name)).map(|&name| name.to_owned())
    }

    /// The names of all arrays, for a message.
    pub(crate) fn listing(&self) -> String {
        let mut names = self.names.clone();
        names.sort();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// Reads images: `[N, H, W]`, `[N, C, H, W]` or `[N, H, W, C]`, 1 or 3 channels; booleans, integers from 0 to 255 (1 is white if
    /// nothing is larger), or floats from 0 to 1, kept to 1/255.
    pub(crate) fn images(&mut self, name: &str, image_size: Option<i64>) -> Result<Images, DataError> {
        let mut array = self.array(name)?;
        let (shape, last) = image_shape(&array.header.shape).ok_or_else(|| {
            array.damaged(format!(
                "expected images [N, H, W], [N, C, H, W] or [N, H, W, C] with 1 or 3 channels and 1 to {MAX_SIDE} pixels a side, got {:?}",
                array.header.shape
            ))
        })?;
        let mut sink = PixelSink::new(shape, image_size)?;
        let element = array.header.element;
        if matches!(element.kind, ElementKind::Text | ElementKind::Bytes) {
            return Err(array.damaged("expected numbers, got text"));
        }
        let mut raw = zeros(sink.image_bytes() * element.width)?;
        let (mut image, mut planes) = (zeros(sink.image_bytes())?, Vec::new());
        for index in 0..array.header.shape[0] {
            array.fill(&mut raw)?;
            let pixels = if element.kind == ElementKind::Unsigned && element.width == 1 {
                &raw
            } else {
                convert(element, &raw, &mut image)
                    .map_err(|problem| array.damaged(format!("{problem} in image {index}")))?;
                &image
            };
            if last && shape.channels > 1 {
                channels_first(pixels, shape.channels as usize, &mut planes);
                sink.push(&planes)?;
            } else {
                sink.push(pixels)?;
            }
        }
        array.end()?;
        sink.finish()
    }

    /// Reads integers, `[rows]` or `[rows, K]`.
    pub(crate) fn integers(&mut self, name: &str, rows: i64) -> Result<Table<i64>, DataError> {
        self.table(name, rows, "whole numbers", Element::integer)
    }

    /// Reads numbers of any kind, `[rows]` or `[rows, K]`.
    pub(crate) fn numbers(&mut self, name: &str, rows: i64) -> Result<Table<f64>, DataError> {
        self.table(name, rows, "numbers", number)
    }

    /// Reads names, `[count]`.
    pub(crate) fn strings(&mut self, name: &str, count: usize) -> Result<Vec<String>, DataError> {
        let table = self.table(name, count as i64, "text", Element::text)?;
        if table.columns != 1 {
            return Err(self.damaged(name, format!("expected {count} names, got a table")));
        }
        Ok(table.values)
    }

    /// The names of all arrays, in the order of the file.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads an array of numbers of any shape.
    pub(crate) fn array_of_numbers(&mut self, name: &str) -> Result<Numbers<f64>, DataError> {
        self.whole(name, "numbers", number)
    }

    /// Reads an array of integers of any shape.
    pub(crate) fn array_of_integers(&mut self, name: &str) -> Result<Numbers<i64>, DataError> {
        self.whole(name, "whole numbers", Element::integer)
    }

    /// The error that an array is not what it should be.
    pub(crate) fn damaged(&self, name: &str, problem: impl std::fmt::Display) -> DataError {
        DataError::damaged(&self.path, format!("{name}: {problem}"))
    }

    fn table<T>(
        &mut self,
        name: &str,
        rows: i64,
        what: &str,
        value: impl Fn(Element, &[u8]) -> Option<T>,
    ) -> Result<Table<T>, DataError> {
        let array = self.array(name)?;
        let columns = match *array.header.shape.as_slice() {
            [found] if found as i64 == rows => 1,
            [found, columns] if found as i64 == rows && columns > 0 => columns as usize,
            _ => {
                let got = format!("expected [{rows}] or [{rows}, K], got {:?}", array.header.shape);
                return Err(array.damaged(got));
            }
        };
        Ok(Table { columns, values: array.values(what, value)? })
    }

    fn whole<T>(
        &mut self,
        name: &str,
        what: &str,
        value: impl Fn(Element, &[u8]) -> Option<T>,
    ) -> Result<Numbers<T>, DataError> {
        let array = self.array(name)?;
        let shape = array.header.shape.iter().map(|&size| size as i64).collect();
        Ok(Numbers { shape, values: array.values(what, value)? })
    }

    /// Opens one array and reads its header; its claims are held against the compressed size.
    fn array(&mut self, name: &str) -> Result<Array<'_>, DataError> {
        let (path, on_disk) = (self.path.as_path(), self.on_disk);
        let mut entry = self.zip.by_name(&format!("{name}.npy")).map_err(|cause| zip_error(path, cause))?;
        // What numpy writes. The others (bzip2, zstd) have no bound on what a byte may become.
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            let problem = format!("{name}: expected stored or deflated data, got {}", entry.compression());
            return Err(DataError::damaged(path, problem));
        }
        // The directory's word for the compressed size is no better than the rest of it.
        let (stored, whole) = (entry.compressed_size().min(on_disk), entry.size());
        let header = NpyHeader::read(&mut entry).map_err(|error| match error {
            HeaderError::Io(cause) => array_error(path, name, cause),
            HeaderError::Problem(problem) => DataError::damaged(path, format!("{name}: {problem}")),
        })?;
        let reader = io::BufReader::with_capacity(1 << 18, entry);
        let array = Array { path, name: name.to_owned(), header, reader };
        let promised = array.header.data_bytes().and_then(|bytes| bytes.checked_add(array.header.header_bytes));
        if promised != Some(whole) {
            let (shape, element) = (&array.header.shape, array.header.element.width);
            let problem =
                format!("expected the {whole} bytes of the array, got sizes {shape:?} of {element} bytes each");
            return Err(array.damaged(problem));
        }
        if whole > stored.saturating_mul(DEFLATE_LIMIT) {
            return Err(array.damaged(format!("expected a size that {stored} compressed bytes can hold, got {whole}")));
        }
        Ok(array)
    }
}

/// One array of an archive, behind its header.
struct Array<'a> {
    path: &'a Path,
    name: String,
    header: NpyHeader,
    reader: io::BufReader<zip::read::ZipFile<'a>>,
}

impl Array<'_> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), DataError> {
        self.reader.read_exact(bytes).map_err(|cause| array_error(self.path, &self.name, cause))
    }

    /// All elements, each through `value`, which refuses one by `None`.
    fn values<T>(mut self, what: &str, value: impl Fn(Element, &[u8]) -> Option<T>) -> Result<Vec<T>, DataError> {
        let element = self.header.element;
        let rows = self.header.shape.first().copied().unwrap_or(1);
        let row_bytes = self.header.row_bytes().unwrap_or(u64::MAX);
        if row_bytes == 0 {
            // Any number of empty rows takes no bytes: a claim that nothing bounds.
            self.end()?;
            return Ok(Vec::new());
        }
        let (mut raw, mut values) = (Vec::new(), Vec::new());
        for row in 0..rows {
            // Row by row, so that memory follows what was read and not what was claimed.
            raw.clear();
            let read = (&mut self.reader).take(row_bytes).read_to_end(&mut raw);
            read.map_err(|cause| DataError::content(self.path, cause))?;
            if raw.len() as u64 != row_bytes {
                return Err(self.damaged(format!("expected {rows} rows, the data end in row {row}")));
            }
            for bytes in raw.chunks_exact(element.width) {
                values
                    .push(value(element, bytes).ok_or_else(|| self.damaged(format!("expected {what} in row {row}")))?);
            }
        }
        self.end()?;
        Ok(values)
    }

    /// Nothing may follow; this is also where the archive's checksum is compared.
    fn end(mut self) -> Result<(), DataError> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged("expected the end of the array, got more bytes")),
            Err(cause) => Err(array_error(self.path, &self.name, cause)),
        }
    }

    fn damaged(&self, problem: impl std::fmt::Display) -> DataError {
        DataError::damaged(self.path, format!("{}: {problem}", self.name))
    }
}

/// Any element but text.
fn number(element: Element, bytes: &[u8]) -> Option<f64> {
    let text = matches!(element.kind, ElementKind::Text | ElementKind::Bytes);
    (!text).then(|| element.number(bytes))
}

/// Shape of one image, and whether the channels come last.
fn image_shape(sizes: &[u64]) -> Option<(ImageShape, bool)> {
    let (channels, height, width, last) = match *sizes {
        [_, height, width] => (1, height, width, false),
        [_, channels @ (1 | 3), height, width] => (channels, height, width, false),
        [_, height, width, channels @ (1 | 3)] => (channels, height, width, true),
        _ => return None,
    };
    let fits = sizes[0] > 0 && (1..=MAX_SIDE).contains(&height) && (1..=MAX_SIDE).contains(&width);
    let shape = ImageShape { channels: channels as i64, height: height as i64, width: width as i64 };
    fits.then_some((shape, last))
}

/// Turns one image's elements into bytes.
fn convert(element: Element, raw: &[u8], image: &mut [u8]) -> Result<(), String> {
    for (bytes, pixel) in raw.chunks_exact(element.width).zip(image) {
        *pixel = match element.kind {
            ElementKind::Float => {
                let value = element.number(bytes);
                if !(0.0..=1.0).contains(&value) {
                    return Err(format!("expected values from 0 to 1, got {value}"));
                }
                (value * 255.0).round() as u8
            }
            ElementKind::Bool => u8::from(bytes[0] != 0),
            _ => match element.integer(bytes) {
                Some(value @ 0..=255) => value as u8,
                value => {
                    let value = value.map_or("more".to_owned(), |value| value.to_string());
                    return Err(format!("expected values from 0 to 255, got {value}"));
                }
            },
        };
    }
    Ok(())
}

fn array_error(path: &Path, name: &str, cause: io::Error) -> DataError {
    match DataError::content(path, cause) {
        DataError::Damaged { path, problem } => DataError::Damaged { path, problem: format!("{name}: {problem}") },
        other => other,
    }
}

fn zip_error(path: &Path, cause: ZipError) -> DataError {
    match cause {
        ZipError::Io(cause) => DataError::content(path, cause),
        other => DataError::damaged(path, format!("expected a sound .npz (zip) file, got: {other}")),
    }
}

/// Refuses an archive whose directory claims more entries than it can have. The zip crate makes room for as many entries as a 64-bit
/// directory claims, up to one for each byte of the file.
fn check_directory(file: &mut File) -> Result<(), ZipError> {
    const RECORD: u64 = 22;
    const LOCATOR: usize = 20;
    let len = file.seek(SeekFrom::End(0))?;
    let tail_start = len.saturating_sub(RECORD + u64::from(u16::MAX) + LOCATOR as u64);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    file.by_ref().take(len - tail_start).read_to_end(&mut tail)?;
    file.rewind()?;

    // Without such a record ZipArchive::new says what is wrong.
    let Some(record) = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06") else { return Ok(()) };
    let Some(locator) = record.checked_sub(LOCATOR).map(|start| &tail[start..record]) else { return Ok(()) };
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(());
    }
    let offset = locator[8..16].iter().rev().fold(0, |offset, &byte| offset << 8 | u64::from(byte));
    let mut directory = [0; 40];
    if offset > len {
        return Err(ZipError::InvalidArchive("a directory beyond the end of the file"));
    }
    file.seek(SeekFrom::Start(offset))?;
    file.read_exact(&mut directory)?;
    file.rewind()?;
    let entries = directory[32..40].iter().rev().fold(0, |entries, &byte| entries << 8 | u64::from(byte));
    if !directory.starts_with(b"PK\x06\x06") || entries > MAX_ARRAYS {
        return Err(ZipError::InvalidArchive("a directory that is misplaced or claims too many entries"));
    }
    Ok(())
}
