//! Checkpoints: every tensor that a resume needs in one safetensors file, checked by a checksum, written beside and renamed.

use crate::error::one_line;
use crate::files::write_atomically;
use crate::weights::foreign;
use anyhow::{Context, Result, bail};
use elbo_core::NamedTensors;
use elbo_core::config::refusal;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Counters and texts that go with the tensors.
pub type Metadata = HashMap<String, String>;

/// Metadata: the checksum of everything in the file but itself.
const CHECKSUM: &str = "checksum";
/// What earlier checkpoints have instead: of names and contents only.
const CHECKSUM_OF_CONTENTS: &str = "crc32";
const PREFIX: &str = "step-";
const SUFFIX: &str = ".safetensors";

/// A checkpoint in the host's memory, its checksum verified.
#[derive(Debug)]
pub struct Checkpoint {
    /// The file it was read from.
    pub file: PathBuf,
    /// Counters and texts.
    pub metadata: Metadata,
    tensors: HashMap<String, Tensor>,
}

/// Writes `step-<step>.safetensors` into `folder`.
///
/// # Errors
/// When the disk does not take it; an older checkpoint of the same step is then still whole.
pub fn write(folder: &Path, step: u64, tensors: &NamedTensors, mut metadata: Metadata) -> Result<PathBuf> {
    let bytes: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let shape = tensor.size().iter().map(|&size| size as usize).collect();
            Ok((name.clone(), dtype(name, tensor.kind())?, shape, host_bytes(tensor)?))
        })
        .collect::<Result<_>>()?;
    let summed =
        bytes.iter().map(|(name, dtype, shape, data)| (name.as_str(), *dtype, shape.as_slice(), data.as_slice()));
    metadata.insert(CHECKSUM.to_owned(), checksum(summed, &metadata));
    let views = bytes
        .iter()
        .map(|(name, dtype, shape, data)| Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>>>()?;
    let file = folder.join(format!("{PREFIX}{step}{SUFFIX}"));
    let content = safetensors::serialize(views, Some(metadata))?;
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    write_atomically(&file, &content)?;
    Ok(file)
}

/// The checkpoints in a folder as (step, file), newest first; none where there is no folder.
///
/// # Errors
/// When the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("{}: cannot be read", folder.display()))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let step = name.strip_prefix(PREFIX).and_then(|name| name.strip_suffix(SUFFIX));
        if let Some(step) = step.and_then(|step| step.parse().ok()) {
            found.push((step, path));
        }
    }
    found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    Ok(found)
}

/// The newest checkpoint in a folder that is whole and that `accept` takes; `warn` is told of each one that is passed over.
///
/// # Errors
/// When there are checkpoints and none of them can be used: the reason of the newest. `None` is for a folder without any.
pub fn newest(
    folder: &Path,
    mut accept: impl FnMut(&Checkpoint) -> Result<()>,
    mut warn: impl FnMut(String),
) -> Result<Option<Checkpoint>> {
    let mut refused = None;
    for (_, file) in list(folder)? {
        match Checkpoint::read(&file).and_then(|checkpoint| accept(&checkpoint).map(|()| checkpoint)) {
            Ok(checkpoint) => return Ok(Some(checkpoint)),
            Err(error) => {
                warn(format!("{error:#}"));
                refused.get_or_insert(error);
            }
        }
    }
    refused.map_or(Ok(None), |error| Err(error.context(format!("{}: no checkpoint can be used", folder.display()))))
}

/// Renames the checkpoints beyond `step` to `….damaged`, so that they neither count as newest nor push good ones out.
///
/// # Errors
/// When a file cannot be renamed.
pub fn set_aside_after(folder: &Path, step: u64) -> Result<()> {
    for (_, file) in list(folder)?.into_iter().filter(|(found, _)| *found > step) {
        let mut aside = file.clone().into_os_string();
        aside.push(".damaged");
        fs::rename(&file, &aside).with_context(|| format!("{}: cannot be renamed", file.display()))?;
    }
    Ok(())
}

/// Removes all but the newest `keep`.
///
/// # Errors
/// When a file cannot be removed.
pub fn prune(folder: &Path, keep: usize) -> Result<()> {
    for (_, file) in list(folder)?.into_iter().skip(keep) {
        fs::remove_file(&file).with_context(|| format!("{}: cannot be removed", file.display()))?;
    }
    Ok(())
}

impl Checkpoint {
    /// Reads a file and verifies its checksum.
    ///
    /// # Errors
    /// When the file is damaged in any way; the line names the file.
    pub fn read(file: &Path) -> Result<Self> {
        let name = file.display();
        let content = fs::read(file).with_context(|| format!("{name}: cannot be read"))?;
        let damaged = |error: &dyn std::fmt::Display| match foreign(&content) {
            Some(found) => anyhow::anyhow!("{name}: expected a checkpoint, a safetensors file{found}"),
            None => anyhow::anyhow!("{name}: is damaged: {}", one_line(&error.to_string())),
        };
        let (_, header) = SafeTensors::read_metadata(&content).map_err(|error| damaged(&error))?;
        let mut metadata: Metadata = header.metadata().clone().unwrap_or_default();
        let parsed = SafeTensors::deserialize(&content).map_err(|error| damaged(&error))?;
        let views = parsed.tensors();
        let (stored, stored_of_contents) = (metadata.remove(CHECKSUM), metadata.remove(CHECKSUM_OF_CONTENTS));
        let found = if stored.is_none() && stored_of_contents.is_some() {
            checksum_of_contents(views.iter().map(|(name, view)| (name.as_str(), view.data())))
        } else {
            checksum(
                views.iter().map(|(name, view)| (name.as_str(), view.dtype(), view.shape(), view.data())),
                &metadata,
            )
        };
        if stored.or(stored_of_contents).as_deref() != Some(found.as_str()) {
            bail!("{name}: is damaged: its checksum does not fit its content");
        }
        let mut tensors = HashMap::new();
        for (name, view) in views {
            let kind = kind(&one_line(&name), view.dtype()).with_context(|| format!("{}", file.display()))?;
            let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
            tensors.insert(name, Tensor::f_from_data_size(view.data(), &shape, kind)?);
        }
        Ok(Self { file: file.to_owned(), metadata, tensors })
    }

    /// A tensor by name, on the CPU.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// A tensor that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn expect_tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensor(name).with_context(|| format!("{}: has no tensor {name}", self.file.display()))
    }

    /// A text from the metadata.
    ///
    /// # Errors
    /// When it is missing.
    pub fn text(&self, name: &str) -> Result<&str> {
        let text = self.metadata.get(name).map(String::as_str);
        text.with_context(|| format!("{}: has no metadata {name}", self.file.display()))
    }

    /// A counter from the metadata.
    ///
    /// # Errors
    /// When it is missing or no number.
    pub fn counter(&self, name: &str) -> Result<u64> {
        let value = self.text(name)?;
        value.parse().ok().with_context(|| {
            let problem = refusal("a whole number", &Value::from(value));
            format!("{}: metadata {name}: {}", self.file.display(), one_line(&problem))
        })
    }

    /// Copies the tensors of these names into the live ones. Nothing is changed unless every one fits.
    ///
    /// # Errors
    /// When one is missing, or has another shape or kind.
    pub fn restore(&self, live: &NamedTensors) -> Result<()> {
        let file = self.file.display();
        let mut pairs = Vec::with_capacity(live.len());
        for (name, target) in live {
            let source = self.expect_tensor(name)?;
            if source.size() != target.size() || source.kind() != target.kind() {
                let (found, expected) = ((source.kind(), source.size()), (target.kind(), target.size()));
                bail!("{file}: tensor {name}: expected {expected:?}, got {found:?}");
            }
            pairs.push((source, target.shallow_clone()));
        }
        tch::no_grad(|| pairs.into_iter().try_for_each(|(source, mut target)| target.f_copy_(source)))?;
        Ok(())
    }
}

/// CRC-32 over names, types, shapes and contents, in the order of the names, and over the metadata, in the order of its names: a step
/// counter that has lost a bit is no less damaged than a weight.
fn checksum<'a>(tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize], &'a [u8])>, metadata: &Metadata) -> String {
    let mut hasher = crc32fast::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let mut sorted: Vec<_> = tensors.collect();
    sorted.sort_by_key(|(name, ..)| *name);
    for (name, dtype, shape, data) in sorted {
        add(name.as_bytes());
        add(format!("{dtype:?} {shape:?}").as_bytes());
        add(data);
    }
    let mut sorted: Vec<_> = metadata.iter().collect();
    sorted.sort();
    for (name, text) in sorted {
        add(name.as_bytes());
        add(text.as_bytes());
    }
    format!("{:08x}", hasher.finalize())
}

/// CRC-32 over names and contents, in the order of the names.
fn checksum_of_contents<'a>(tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut sorted: Vec<_> = tensors.collect();
    sorted.sort_by_key(|(name, _)| *name);
    let mut hasher = crc32fast::Hasher::new();
    for (name, data) in sorted {
        hasher.update(name.as_bytes());
        hasher.update(&(data.len() as u64).to_le_bytes());
        hasher.update(data);
    }
    format!("{:08x}", hasher.finalize())
}

fn host_bytes(tensor: &Tensor) -> Result<Vec<u8>> {
    let host = tensor.detach().to_device(Device::Cpu).contiguous();
    let size = host.kind().elt_size_in_bytes();
    let mut bytes = vec![0_u8; host.numel() * size];
    host.f_copy_data_u8(&mut bytes, host.numel())?;
    Ok(bytes)
}

/// The kinds that a state is made of.
const KINDS: [(Kind, Dtype); 6] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

fn dtype(name: &str, kind: Kind) -> Result<Dtype> {
    KINDS
        .iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, dtype)| *dtype)
        .with_context(|| format!("tensor {name} is of kind {kind:?}, which checkpoints do not hold"))
}

fn kind(name: &str, dtype: Dtype) -> Result<Kind> {
    KINDS
        .iter()
        .find(|(_, known)| *known == dtype)
        .map(|(kind, _)| *kind)
        .with_context(|| format!("tensor {name} is of type {dtype:?}, which checkpoints do not hold"))
}
