//! What a training step costs, whole and in parts, and what another program needs to take the same step.
//!
//! Times are of this process alone: `scripts/bench.py` interleaves them with another program's, so that what the machine does meanwhile
//! touches both sides.

use crate::BuiltIn;
use anyhow::{Context, Result};
use elbo_core::{Algorithm, BatchContext, Generator};
use elbo_data::{BatchOrder, Splits};
use elbo_native::recorder::record;
use elbo_runner::{BuildContext, Method, Run, RunConfig, RunOptions, device};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Steps before anything is timed: caches fill, allocators settle, a capture is made.
const WARM_UP: u64 = 5;
/// Steps between two log points where logging is timed.
const LOG_EVERY: u64 = 100;
/// Seed of everything.
const SEED: u64 = 1;

/// A part of a step, or the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The runner's step: batch, update, window, and nothing that is due at log points.
    Step,
    /// The batch alone.
    Gather,
    /// Networks and loss, without gradients.
    Forward,
    /// The algorithm's step on a batch that is there: forward, backward, optimiser.
    Update,
    /// The runner's step, with a log point every hundred of them.
    Logged,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Step, Self::Gather, Self::Forward, Self::Update, Self::Logged];

    /// As in the table and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Gather => "gather",
            Self::Forward => "forward",
            Self::Update => "update",
            Self::Logged => "logged",
        }
    }
}

/// A configuration under the clock.
pub struct Subject {
    key: String,
    device: Device,
    run: Run<BuiltIn>,
    logged: Run<BuiltIn>,
    algorithm: Box<dyn Algorithm>,
    data: Splits,
    noise: Generator,
    order: BatchOrder,
    batch: Tensor,
    step: Tensor,
    _folder: tempfile::TempDir,
}

impl Subject {
    /// Builds it: two runs in a folder of their own, which is removed at the end, and the algorithm once more for its parts.
    ///
    /// # Errors
    /// What the configuration or this machine does not allow.
    pub fn new(config: &Value, origin: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the runs")?;
        let open = |name: &str, log_every: u64| -> Result<Run<BuiltIn>> {
            let mut config = config.clone();
            // Nothing but steps: each of the others is the user's to choose.
            config["seed"] = json!(SEED);
            for (field, value) in [
                ("steps", 1_000_000_000),
                ("log_every", log_every),
                ("images_every", 0),
                ("evaluate_every", 0),
                ("score_every", 0),
                ("checkpoint_every", 1_000_000_000),
            ] {
                config["train"][field] = json!(value);
            }
            let config = RunConfig::from_value(config, origin)?;
            let options = RunOptions {
                config: Some(config),
                origin: origin.to_owned(),
                directory: folder.path().join(name),
                resume: false,
            };
            Run::open(&options, &mut |_| {})
        };
        let (run, logged) = (open("run", 1_000_000_000)?, open("logged", LOG_EVERY)?);
        let config = run.config().clone();
        let device = run.device();
        device::set_precision(config.precision)?;
        let data = config.data.load(device, &mut |_| {})?;
        let images = &data.train.images;
        let shape = images.shape();
        let algorithm = config.method.build(&BuildContext {
            model: &config.model,
            optimizer: &config.optimizer,
            image: [shape.channels, shape.height, shape.width],
            dataset_len: images.len(),
            device,
            initialisation: &Generator::new(Device::Cpu, SEED)?,
        })?;
        let noise = Generator::new(device, SEED)?;
        let mut order = BatchOrder::new(images.len(), config.data.batch_size, &noise)?;
        let batch = images.gather(&order.next_indices(), &noise);
        order.advance();
        let kind = if device.is_cuda() { "cuda" } else { "cpu" };
        let resolved = serde_json::to_value(&config)?;
        let word = |pointer: &str| resolved.pointer(pointer).and_then(Value::as_str).unwrap_or("unknown").to_owned();
        let key = format!("{}/{}/{}/{kind}", word("/method/name"), word("/model/network"), config.data.batch_size);
        let step = Tensor::zeros([], (Kind::Int64, device));
        Ok(Self { key, device, run, logged, algorithm, data, noise, order, batch, step, _folder: folder })
    }

    /// `<method>/<network>/<batch>/<device>`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Seconds that so many of a part took, with all that the device had to do for them.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn time(&mut self, part: Part, count: u64) -> Result<f64> {
        self.wait()?;
        let started = Instant::now();
        for _ in 0..count {
            self.once(part)?;
        }
        self.wait()?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Takes some steps of every part.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn warm_up(&mut self) -> Result<()> {
        for part in Part::ALL {
            self.time(part, WARM_UP)?;
        }
        Ok(())
    }

    fn once(&mut self, part: Part) -> Result<()> {
        let images = &self.data.train.images;
        let context = BatchContext { step: &self.step, dataset_len: images.len(), noise: &self.noise };
        match part {
            Part::Step => drop(self.run.advance()?),
            Part::Logged => drop(self.logged.advance()?),
            Part::Gather => {
                if self.order.end_of_epoch() {
                    self.order.refill(&self.noise)?;
                }
                let _ = images.gather(&self.order.next_indices(), &self.noise);
                self.order.advance();
            }
            Part::Forward => drop(self.algorithm.evaluate(&self.batch, &context)?),
            Part::Update => drop(self.algorithm.train_step(&self.batch, &context)?),
        }
        Ok(())
    }

    /// Waits until the device has done all that it was given.
    fn wait(&self) -> Result<()> {
        if self.device.is_cuda() {
            self.run.rejoin()?;
            self.logged.rejoin()?;
            let _ = self.step.int64_value(&[]);
        }
        Ok(())
    }

    /// Operators that a step runs, those of the backward pass included.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn operators(&mut self) -> Result<usize> {
        let (result, operators) = record(|| self.once(Part::Update))?;
        result?;
        Ok(operators.len())
    }

    /// Writes what another program needs to take the same steps: `model.safetensors` (the parameters), `steps.safetensors` (of each of some
    /// steps the batch `x/<i>` and the noise `epsilon/<i>`, `[B, D]`), `images.safetensors` (all images, one byte a pixel) and
    /// `expected.json` with the losses.
    ///
    /// # Errors
    /// The method has no Gaussian posterior, or the disk fails.
    pub fn export(&mut self, folder: &Path, steps: i64) -> Result<()> {
        let images = &self.data.train.images;
        let named: Vec<(String, Tensor)> = self.algorithm.vae().parameters();
        let host: Vec<(String, Tensor)> =
            named.iter().map(|(name, tensor)| (name.clone(), tensor.detach().to_device(Device::Cpu).copy())).collect();
        Tensor::write_safetensors(&host, folder.join("model.safetensors"))?;
        let (mut taken, mut losses) = (Vec::new(), Vec::new());
        let batch = self.batch.size()[0];
        let latent = self.algorithm.vae().latent();
        for index in 0..steps {
            if self.order.end_of_epoch() {
                self.order.refill(&self.noise)?;
            }
            let x = images.gather(&self.order.next_indices(), &self.noise);
            self.order.advance();
            // What the step will draw: the state is taken back.
            let before = self.noise.state()?;
            let epsilon = self.noise.normal(&[batch, latent], Kind::Float);
            self.noise.set_state(&before)?;
            let context = BatchContext { step: &self.step, dataset_len: images.len(), noise: &self.noise };
            let scalars = self.algorithm.train_step(&x, &context)?;
            let _ = self.step.g_add_scalar_(1);
            losses.push(scalars.get("loss").context("a step without a loss")?.double_value(&[]));
            taken.push((format!("x/{index}"), x.to_device(Device::Cpu)));
            taken.push((format!("epsilon/{index}"), epsilon.to_device(Device::Cpu)));
        }
        Tensor::write_safetensors(&taken, folder.join("steps.safetensors"))?;
        let all = Tensor::arange(images.len(), (Kind::Int64, self.device));
        let pixels = (images.gather(&all, &self.noise) * 255.0).round().to_kind(Kind::Uint8).to_device(Device::Cpu);
        Tensor::write_safetensors(&[("images", &pixels)], folder.join("images.safetensors"))?;
        let config = serde_json::to_value(self.run.config())?;
        let expected = json!({ "key": self.key, "config": config, "losses": losses, "dataset_len": images.len() });
        Ok(elbo_runner::files::write_atomically(&folder.join("expected.json"), format!("{expected:#}\n").as_bytes())?)
    }
}
