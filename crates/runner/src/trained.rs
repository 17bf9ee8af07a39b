//! Opening a run to look at what it learnt: its `model` and the `encoder.*`, `decoder.*` and `likelihood.*` tensors of its newest
//! checkpoint. The method is opaque JSON, so runs of foreign objectives open as well.

use crate::checkpoint;
use crate::config::{DeviceChoice, Precision, RunConfig, below};
use crate::directory::stored_config;
use crate::seed::{Stream, generator};
use crate::weights::Weights;
use crate::{InputError, device};
use anyhow::Result;
use elbo_core::{Generator, Vae};
use elbo_data::Splits;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::Device;

/// A trained model with its data.
#[derive(Debug)]
pub struct TrainedRun {
    /// The run's directory, or the file of weights.
    pub path: PathBuf,
    /// Its configuration; the method is whatever JSON stands there.
    pub config: RunConfig<Value>,
    /// The model, its parameters from the newest checkpoint that is whole.
    pub vae: Vae,
    /// The data it was trained on.
    pub data: Splits,
    /// Updates that made the model; 0 for weights from elsewhere.
    pub step: u64,
    /// Where everything is.
    pub device: Device,
}

impl TrainedRun {
    /// Opens the run in `path` on `device` (default: where it was trained, or the CPU where that is not there).
    /// From here on the whole process computes in float32, whatever the run was trained in: numbers of one run are to compare with another's.
    ///
    /// # Errors
    /// When there is no run, no checkpoint of it is whole, or its data are not to be had.
    pub fn open(path: &Path, device: Option<DeviceChoice>, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let origin = path.join("config.json").display().to_string();
        let config = RunConfig::<Value>::from_value(stored_config(path)?, &origin)?;
        let device = match device {
            Some(choice) => device::resolve(choice)?,
            None => device::resolve(config.device).or_else(|_| device::resolve(DeviceChoice::Cpu))?,
        };
        let warn = |reason| progress(&format!("warning: {reason}; an older checkpoint is used"));
        let none = || InputError::new(format!("{}: has no checkpoint yet", path.display()));
        let checkpoint = checkpoint::newest(&path.join("checkpoints"), |_| Ok(()), warn)?.ok_or_else(none)?;
        let data = config.data.load(device, progress)?;
        let vae = model(&config, &origin, &data, device)?;
        checkpoint.restore(&vae.state())?;
        let step = checkpoint.counter("step")?;
        Ok(Self { path: path.to_owned(), config, vae, data, step, device })
    }

    /// The model and data that the configuration file `config` describes, with `weights` from elsewhere, on `device` (default: the
    /// configuration's). In float32, as [`TrainedRun::open`].
    ///
    /// # Errors
    /// When the configuration, the weights or the data do not fit.
    pub fn with_weights(
        config: &Path,
        weights: &Weights,
        device: Option<DeviceChoice>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let origin = config.display().to_string();
        let config = RunConfig::<Value>::read(config, &[])?;
        let device = device::resolve(device.unwrap_or(config.device))?;
        let data = config.data.load(device, progress)?;
        let vae = model(&config, &origin, &data, device)?;
        let unused = weights.restore(&vae.state())?;
        if !unused.is_empty() {
            progress(&format!("note: {}: not used: {}", weights.file.display(), unused.join(", ")));
        }
        Ok(Self { path: weights.file.clone(), config, vae, data, step: 0, device })
    }

    /// The last value of the run's curve `tag`, from its `summary.json`; nothing for weights from elsewhere, or where there is no such curve.
    pub fn last_value(&self, tag: &str) -> Option<f64> {
        let bytes = std::fs::read(self.path.join("summary.json")).ok()?;
        let summary: Value = serde_json::from_slice(&bytes).ok()?;
        summary["scalars"][tag].as_f64()
    }

    /// A generator for evaluations, the same at every call.
    ///
    /// # Errors
    /// When libtorch makes none.
    pub fn noise(&self) -> Result<Generator> {
        self.noise_of(0)
    }

    /// Another generator for each `seed`; the usual one for 0.
    ///
    /// # Errors
    /// When libtorch makes none.
    pub fn noise_of(&self, seed: u64) -> Result<Generator> {
        Ok(generator(self.device, self.config.seed ^ seed.rotate_left(32), Stream::Evaluation(self.step))?)
    }
}

/// The model that the configuration describes, not yet trained; the process computes in float32.
fn model(config: &RunConfig<Value>, origin: &str, data: &Splits, device: Device) -> Result<Vae> {
    device::set_precision(Precision::Float32)?;
    let shape = data.train.images.shape();
    let image = [shape.channels, shape.height, shape.width];
    let initialisation = generator(Device::Cpu, config.seed, Stream::Initialisation)?;
    let vae = config.model.build(image, &initialisation, device);
    Ok(vae.map_err(|error| InputError::in_field(origin, &below("model", error)))?)
}
