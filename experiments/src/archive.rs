//! Tensors to an npz archive, written beside and renamed.

use anyhow::{Context, Result, ensure};
use elbo_runner::files::write_atomically_with;
use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use std::io::Cursor;
use std::path::Path;
use tch::{Kind, Tensor};
use zip::write::FileOptions;

/// Arrays by name, held until [`Archive::write`].
#[derive(Debug, Default)]
pub struct Archive {
    arrays: Vec<(String, Array)>,
}

#[derive(Debug)]
enum Array {
    Tensor(Tensor),
    Words(Vec<String>),
}

impl Archive {
    /// No arrays yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a float32, float64, int64 or uint8 tensor.
    pub fn with(mut self, name: &str, tensor: &Tensor) -> Self {
        self.arrays.push((name.to_owned(), Array::Tensor(tensor.to_device(tch::Device::Cpu).contiguous())));
        self
    }

    /// Adds a list of words, which numpy reads as bytes.
    pub fn with_words(mut self, name: &str, words: &[String]) -> Self {
        self.arrays.push((name.to_owned(), Array::Words(words.to_vec())));
        self
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write(&self, path: &Path) -> Result<()> {
        // Zip needs to seek; archives of codes are small beside the model that made them.
        let mut bytes = Cursor::new(Vec::new());
        let mut archive = NpzWriter::new(&mut bytes);
        for (name, array) in &self.arrays {
            add(&mut archive, name, array).with_context(|| format!("{}: array {name}", path.display()))?;
        }
        archive.zip_writer().finish().with_context(|| format!("{}: cannot be finished", path.display()))?;
        drop(archive);
        write_atomically_with(path, |file| file.write_all(bytes.get_ref()))?;
        Ok(())
    }
}

/// `NpzWriter` over memory.
type Writer<'a> = NpzWriter<&'a mut Cursor<Vec<u8>>>;

fn add(archive: &mut Writer<'_>, name: &str, array: &Array) -> Result<()> {
    match array {
        Array::Tensor(tensor) => {
            let flat = tensor.reshape([-1]);
            match tensor.kind() {
                Kind::Float => numbers(archive, name, tensor, Vec::<f32>::try_from(&flat)?),
                Kind::Double => numbers(archive, name, tensor, Vec::<f64>::try_from(&flat)?),
                Kind::Int64 => numbers(archive, name, tensor, Vec::<i64>::try_from(&flat)?),
                Kind::Uint8 => numbers(archive, name, tensor, Vec::<u8>::try_from(&flat)?),
                other => anyhow::bail!("expected float32, float64, int64 or uint8, got {other:?}"),
            }
        }
        Array::Words(words) => {
            let width = words.iter().map(String::len).max().unwrap_or(0).max(1);
            let dtype = npyz::DType::Plain(format!("|S{width}").parse()?);
            let shape = [words.len() as u64];
            let mut writer = archive.array(name, FileOptions::default())?.dtype(dtype).shape(&shape).begin_nd()?;
            for word in words {
                ensure!(word.is_ascii(), "expected ASCII words, got {word:?}");
                let mut padded = word.clone().into_bytes();
                padded.resize(width, 0);
                writer.push(padded.as_slice())?;
            }
            Ok(writer.finish()?)
        }
    }
}

fn numbers<T: npyz::AutoSerialize>(
    archive: &mut Writer<'_>,
    name: &str,
    tensor: &Tensor,
    values: Vec<T>,
) -> Result<()> {
    let shape: Vec<u64> = tensor.size().iter().map(|&size| size as u64).collect();
    let mut writer = archive.array(name, FileOptions::default())?.default_dtype().shape(&shape).begin_nd()?;
    writer.extend(values)?;
    Ok(writer.finish()?)
}
