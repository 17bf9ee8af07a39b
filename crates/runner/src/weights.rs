//! Weights from elsewhere: a safetensors file beside a configuration, so that models of other frameworks are evaluated like our own.
//!
//! Names and layouts are those of our checkpoints (`encoder.conv1.weight`, …: as in PyTorch, see the README of the configurations). Other
//! names are translated by a JSON file, `{"their name": "our name"}`; a model whose mean and log-variance have layers of their own gives
//! `"their mean layer": "encoder.head.weight:mean"` and `"encoder.head.weight:log_var"`.

use crate::InputError;
use crate::config::read_json;
use elbo_core::NamedTensors;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use tch::{Kind, Tensor};

elbo_core::choices! {
    /// How mean and log-variance share the last layer of an encoder: rows of its weight, entries of its bias.
    pub enum Head {
        /// All means, then all log-variances, as ours.
        Halves = "halves",
        /// Mean and log-variance of each dimension in turn.
        Interleaved = "interleaved",
    }
}

/// A file of weights, and how to read it.
#[derive(Debug, Clone)]
pub struct Weights {
    /// The safetensors file.
    pub file: PathBuf,
    /// A JSON object from its names to ours, for the names that differ.
    pub names: Option<PathBuf>,
    /// How mean and log-variance share the encoder's last layer.
    pub head: Head,
}

/// The parts that a layer of ours may be put together from, and the half of its rows that each one is.
const HALVES: [(&str, i64); 2] = [(":mean", 0), (":log_var", 1)];

impl Weights {
    /// Copies the file's tensors into `parameters`. Nothing is changed unless all are there and fit.
    ///
    /// Returns the names in the file that were not used.
    ///
    /// # Errors
    /// [`InputError`] naming the file and the tensor.
    pub fn restore(&self, parameters: &NamedTensors) -> anyhow::Result<Vec<String>> {
        let file = self.file.display();
        let refuse = |problem: String| InputError::new(format!("{file}: {problem}"));
        let bytes = fs::read(&self.file).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|error| {
            refuse(format!("expected a sound safetensors file{}: {error}", foreign(&bytes).unwrap_or_default()))
        })?;
        let renamed = self.translation(&tensors, parameters)?;
        let mut copies = Vec::new();
        for (name, target) in parameters {
            for (part, target) in places(name, target, &renamed) {
                let source = renamed.get(&part).map_or(part.as_str(), String::as_str);
                let view = tensors.tensor(source).map_err(|_| {
                    let hint = if self.names.is_some() { "" } else { "; --names MAP.json translates other names" };
                    refuse(format!("expected a tensor {source}, got {}{hint}", listing(&tensors)))
                })?;
                let value = read(&view).map_err(|problem| refuse(format!("tensor {source}: {problem}")))?;
                if value.size() != target.size() {
                    let sizes = format!("expected {:?} for {part}, got {:?}", target.size(), value.size());
                    return Err(refuse(format!("tensor {source}: {sizes}")).into());
                }
                if value.isfinite().all().int64_value(&[]) == 0 {
                    return Err(refuse(format!("tensor {source}: expected finite numbers")).into());
                }
                let interleaved = self.head == Head::Interleaved && name.starts_with("encoder.head.") && part == *name;
                copies.push((
                    if interleaved { halves_of_interleaved(&value) } else { value },
                    target,
                    source.to_owned(),
                ));
            }
        }
        let used: Vec<String> = copies.iter().map(|(_, _, source)| source.clone()).collect();
        tch::no_grad(|| copies.into_iter().try_for_each(|(value, mut target, _)| target.f_copy_(&value)))?;
        let mut unused: Vec<String> =
            tensors.names().into_iter().map(ToString::to_string).filter(|name| !used.contains(name)).collect();
        unused.sort();
        Ok(unused)
    }

    /// From our names to the file's, for those that the map gives.
    fn translation(
        &self,
        tensors: &SafeTensors<'_>,
        parameters: &NamedTensors,
    ) -> Result<BTreeMap<String, String>, InputError> {
        let Some(map) = &self.names else { return Ok(BTreeMap::new()) };
        let refuse = |problem: String| InputError::new(format!("{}: {problem}", map.display()));
        let value = read_json(map)?;
        let object =
            value.as_object().ok_or_else(|| refuse("expected an object {\"their name\": \"our name\"}".to_owned()))?;
        let mut renamed = BTreeMap::new();
        for (theirs, ours) in object {
            let ours =
                ours.as_str().ok_or_else(|| refuse(format!("{theirs}: expected one of our names, got {ours}")))?;
            if tensors.tensor(theirs).is_err() {
                return Err(refuse(format!(
                    "{theirs}: expected a tensor of {}, got {}",
                    self.file.display(),
                    listing(tensors)
                )));
            }
            let whole = HALVES.iter().find_map(|(part, _)| ours.strip_suffix(part)).unwrap_or(ours);
            if !parameters.iter().any(|(name, _)| name == whole) {
                let known: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
                return Err(refuse(format!("{theirs}: expected one of {}, got {ours}", known.join(", "))));
            }
            if let Some(first) = renamed.insert(ours.to_owned(), theirs.clone()) {
                return Err(refuse(format!("{theirs}: expected each of our names once, got {ours} for {first} too")));
            }
        }
        Ok(renamed)
    }
}

/// What a file is that is no safetensors and that someone took for it. Nothing of it is opened: a pickle is a program.
pub(crate) fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        // safetensors, with a length that may be any eight bytes: damaged, if anything.
        [_, _, _, _, _, _, _, _, b'{', ..] => None,
        // torch.save: a zip archive of a pickle and tensors, since PyTorch 1.6; a bare pickle before.
        [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => {
            Some(", got an archive or a pickle of torch.save (write it with safetensors.torch.save_file)")
        }
        _ => None,
    }
}

/// Where the tensors of a parameter go: the whole of it, or its halves where the map names those.
fn places(name: &str, target: &Tensor, renamed: &BTreeMap<String, String>) -> Vec<(String, Tensor)> {
    let halves: Vec<(String, i64)> = HALVES.iter().map(|(part, half)| (format!("{name}{part}"), *half)).collect();
    if halves.iter().any(|(part, _)| renamed.contains_key(part)) {
        let rows = target.size()[0] / 2;
        return halves.into_iter().map(|(part, half)| (part, target.narrow(0, half * rows, rows))).collect();
    }
    vec![(name.to_owned(), target.shallow_clone())]
}

/// Rows 0, 2, 4, … and then 1, 3, 5, ….
fn halves_of_interleaved(value: &Tensor) -> Tensor {
    let rows = value.size()[0];
    let every_other = |first: i64| value.slice(0, first, rows, 2);
    Tensor::cat(&[every_other(0), every_other(1)], 0)
}

fn read(view: &TensorView<'_>) -> Result<Tensor, String> {
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        other => return Err(format!("expected floating-point numbers, got {other:?}")),
    };
    let shape: Vec<i64> = view.shape().iter().map(|&size| size as i64).collect();
    let tensor = Tensor::f_from_data_size(view.data(), &shape, kind).map_err(|error| error.to_string())?;
    Ok(tensor.to_kind(if kind == Kind::Double { Kind::Double } else { Kind::Float }))
}

/// The names of a file's tensors, not all of many.
fn listing(tensors: &SafeTensors<'_>) -> String {
    const SHOWN: usize = 12;
    let mut names: Vec<String> = tensors.names().into_iter().map(ToString::to_string).collect();
    names.sort();
    if names.is_empty() {
        return "none".to_owned();
    }
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    names.truncate(SHOWN);
    format!("{}{more}", names.join(", "))
}
