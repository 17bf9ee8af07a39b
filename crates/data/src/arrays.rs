//! Named arrays of numbers from any framework: `.npz` and safetensors, told apart by their content.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use tch::Tensor;

use crate::error::DataError;
use crate::npz::NpzFile;

/// A file of named arrays, open for reading.
///
/// ```no_run
/// # use elbo_data::ArrayFile;
/// let mut file = ArrayFile::open("codes.npz".as_ref())?;
/// let mean = file.numbers("mean")?.tensor(); // float64, of the shape that the file says
/// # Ok::<(), elbo_data::DataError>(())
/// ```
pub struct ArrayFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    Npz(Box<NpzFile>),
    /// The whole file; its header was checked when it was opened.
    Safetensors(Vec<u8>),
}

/// An array as float64 or int64, rows first.
#[derive(Debug, Clone, PartialEq)]
pub struct Array<T> {
    /// Sizes; the product is the number of values.
    pub shape: Vec<i64>,
    /// The values, the last dimension varying fastest.
    pub values: Vec<T>,
}

impl std::fmt::Debug for ArrayFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ArrayFile")
            .field("path", &self.path)
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}

impl ArrayFile {
    /// Opens a file. Nothing of its arrays is taken at its word before it is read.
    ///
    /// # Errors
    /// When it cannot be read, or is neither a sound `.npz` nor a sound safetensors file.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let unreadable = |cause| DataError::read(path, cause);
        let mut start = Vec::new();
        File::open(path).and_then(|file| file.take(4).read_to_end(&mut start)).map_err(unreadable)?;
        let content = if start.starts_with(b"PK") {
            Content::Npz(Box::new(NpzFile::open(path)?))
        } else {
            let bytes = fs::read(path).map_err(unreadable)?;
            SafeTensors::deserialize(&bytes).map_err(|cause| {
                let got = if is_pickle(&bytes) { "a pickle, which could run code" } else { "neither" };
                DataError::damaged(path, format!("expected a sound .npz or safetensors file, got {got}: {cause}"))
            })?;
            Content::Safetensors(bytes)
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of all arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = match &self.content {
            Content::Npz(file) => file.names().to_vec(),
            Content::Safetensors(bytes) => SafeTensors::deserialize(bytes)
                .map(|tensors| tensors.names().into_iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
        };
        names.sort();
        names
    }

    /// Whether there is an array of that name.
    pub fn has(&self, name: &str) -> bool {
        self.names().iter().any(|other| other == name)
    }

    /// An array of numbers of any kind, as float64.
    ///
    /// # Errors
    /// When there is none of that name (the error lists those there are), it is damaged, or a number in it is not finite.
    pub fn numbers(&mut self, name: &str) -> Result<Array<f64>, DataError> {
        self.require(name)?;
        let array = match &mut self.content {
            Content::Npz(file) => file.array_of_numbers(name)?,
            Content::Safetensors(bytes) => view(&self.path, bytes, name, "float32 or float64", number)?,
        };
        match array.values.iter().position(|value| !value.is_finite()) {
            None => Ok(array),
            Some(place) => {
                let (value, at) = (array.values[place], array.position(place));
                Err(self.damaged(name, format!("expected finite numbers, got {value} at {at:?}")))
            }
        }
    }

    /// An array of whole numbers, as int64.
    ///
    /// # Errors
    /// As [`ArrayFile::numbers`], and when it holds anything but integers.
    pub fn integers(&mut self, name: &str) -> Result<Array<i64>, DataError> {
        self.require(name)?;
        match &mut self.content {
            Content::Npz(file) => file.array_of_integers(name),
            Content::Safetensors(bytes) => view(&self.path, bytes, name, "integers", integer),
        }
    }

    /// `count` words, which only an `.npz` file can hold.
    ///
    /// # Errors
    /// As [`ArrayFile::numbers`], and when it holds anything but so many words.
    pub fn words(&mut self, name: &str, count: usize) -> Result<Vec<String>, DataError> {
        self.require(name)?;
        match &mut self.content {
            Content::Npz(file) => file.strings(name, count),
            Content::Safetensors(_) => Err(self.damaged(name, "expected words, got numbers")),
        }
    }

    /// The error that an array is not what it should be: `FILE: NAME: problem`.
    pub fn damaged(&self, name: &str, problem: impl std::fmt::Display) -> DataError {
        DataError::damaged(&self.path, format!("{name}: {problem}"))
    }

    fn require(&self, name: &str) -> Result<(), DataError> {
        if self.has(name) {
            return Ok(());
        }
        let names = self.names();
        let listing = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(DataError::damaged(&self.path, format!("expected an array named {name}, got {listing}")))
    }
}

impl<T> Array<T> {
    /// Where the value of a flat index stands.
    fn position(&self, mut flat: usize) -> Vec<usize> {
        let mut position = vec![0; self.shape.len()];
        for (place, &size) in position.iter_mut().zip(&self.shape).rev() {
            let size = (size as usize).max(1);
            *place = flat % size;
            flat /= size;
        }
        position
    }
}

impl<T: tch::kind::Element> Array<T> {
    /// The same values as a tensor on the CPU.
    pub fn tensor(&self) -> Tensor {
        Tensor::from_slice(&self.values).reshape(&self.shape)
    }
}

/// Whether a file begins as Python's pickles do, from protocol 2 on, and not as safetensors do, whose first eight bytes are a length.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// Reads a tensor of a safetensors file through `value`, which refuses a kind by `None`.
fn view<T>(
    path: &Path,
    bytes: &[u8],
    name: &str,
    expected: &str,
    value: impl Fn(Dtype, &[u8]) -> Option<T>,
) -> Result<Array<T>, DataError> {
    let refuse = |problem: String| DataError::damaged(path, format!("{name}: {problem}"));
    let tensors = SafeTensors::deserialize(bytes).map_err(|cause| refuse(cause.to_string()))?;
    let tensor = tensors.tensor(name).map_err(|cause| refuse(cause.to_string()))?;
    let (kind, width) = (tensor.dtype(), tensor.dtype().bitsize() / 8);
    let wrong = || refuse(format!("expected {expected}, got {kind:?}"));
    let values = tensor.data().chunks_exact(width.max(1)).map(|bytes| value(kind, bytes)).collect::<Option<Vec<T>>>();
    let shape = tensor.shape().iter().map(|&size| size as i64).collect();
    Ok(Array { shape, values: values.ok_or_else(wrong)? })
}

fn number(kind: Dtype, bytes: &[u8]) -> Option<f64> {
    match kind {
        Dtype::F64 => bytes.try_into().ok().map(f64::from_le_bytes),
        Dtype::F32 => bytes.try_into().ok().map(|bytes| f64::from(f32::from_le_bytes(bytes))),
        _ => integer(kind, bytes).map(|value| value as f64),
    }
}

fn integer(kind: Dtype, bytes: &[u8]) -> Option<i64> {
    match kind {
        Dtype::I64 => bytes.try_into().ok().map(i64::from_le_bytes),
        Dtype::I32 => bytes.try_into().ok().map(|bytes| i64::from(i32::from_le_bytes(bytes))),
        Dtype::I16 => bytes.try_into().ok().map(|bytes| i64::from(i16::from_le_bytes(bytes))),
        Dtype::I8 => bytes.first().map(|&byte| i64::from(byte.cast_signed())),
        Dtype::U8 => bytes.first().map(|&byte| i64::from(byte)),
        Dtype::U16 => bytes.try_into().ok().map(|bytes| i64::from(u16::from_le_bytes(bytes))),
        Dtype::U32 => bytes.try_into().ok().map(|bytes| i64::from(u32::from_le_bytes(bytes))),
        _ => None,
    }
}
