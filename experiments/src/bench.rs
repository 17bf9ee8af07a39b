//! What a training step costs, whole and in parts, and what another program needs to take the same step.
//!
//! Times are of this process alone: `scripts/bench.py` interleaves them with another program's, so that what the machine does meanwhile
//! touches both sides.

use crate::BuiltIn;
use anyhow::{Context, Result};
use elbo_core::{Algorithm, BatchContext, Generator, Player};
use elbo_data::{BatchOrder, Splits};
use elbo_native::memory;
use elbo_native::recorder::record;
use elbo_runner::{BuildContext, Method, Run, RunConfig, RunOptions, device};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind, Tensor};

/// Steps before anything is timed: caches fill, allocators settle, a capture is made.
const WARM_UP: u64 = 5;
/// A step that no bench comes to.
const NEVER: u64 = 1_000_000_000;
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
    /// One update of the VAE's parameters by gradients that are there.
    Optimiser,
    /// The runner's step and a log point after it.
    Logged,
    /// The step of each of the runs that share the device, in turn: [`Subject::share`].
    Shared,
}

impl Part {
    /// Those of one run.
    pub const ALONE: [Self; 6] = [Self::Step, Self::Gather, Self::Forward, Self::Update, Self::Optimiser, Self::Logged];
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Step, Self::Gather, Self::Forward, Self::Update, Self::Optimiser, Self::Logged, Self::Shared];

    /// As in the table and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Gather => "gather",
            Self::Forward => "forward",
            Self::Update => "update",
            Self::Optimiser => "optimiser",
            Self::Logged => "logged",
            Self::Shared => "shared",
        }
    }
}

/// Where runs are opened, and of what.
struct Opened {
    folder: tempfile::TempDir,
    config: Value,
    origin: String,
}

impl Opened {
    /// A run that does nothing but steps and, every so many, a log point: whatever else there is, is the user's to choose.
    fn run(&self, name: &str, log_every: u64) -> Result<Run<BuiltIn>> {
        let mut config = self.config.clone();
        config["seed"] = json!(SEED);
        for (field, value) in [
            ("steps", NEVER),
            ("log_every", log_every),
            ("images_every", 0),
            ("evaluate_every", 0),
            ("score_every", 0),
            ("checkpoint_every", NEVER),
        ] {
            config["train"][field] = json!(value);
        }
        let config = RunConfig::from_value(config, &self.origin)?;
        let directory = self.folder.path().join(name);
        let options = RunOptions { config: Some(config), origin: self.origin.clone(), directory, resume: false };
        Run::open(&options, &mut |_| {})
    }
}

/// A configuration under the clock.
pub struct Subject {
    key: String,
    device: Device,
    run: Run<BuiltIn>,
    logged: Run<BuiltIn>,
    shared: Vec<Run<BuiltIn>>,
    algorithm: Box<dyn Algorithm>,
    player: Player,
    gradients: Vec<Tensor>,
    data: Splits,
    noise: Generator,
    order: BatchOrder,
    batch: Tensor,
    step: Tensor,
    opened: Opened,
}

impl Subject {
    /// Builds it: two runs in a folder of their own, which is removed at the end, and the algorithm once more for its parts.
    ///
    /// # Errors
    /// What the configuration or this machine does not allow.
    pub fn new(config: &Value, origin: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("no folder for the runs")?;
        let opened = Opened { folder, config: config.clone(), origin: origin.to_owned() };
        let (run, logged) = (opened.run("run", NEVER)?, opened.run("logged", 1)?);
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
        // Parameters of its own, which the step above does not touch.
        let parameters = algorithm.vae().parameters();
        let apart = |(name, tensor): (String, Tensor)| (name, tensor.detach().copy().set_requires_grad(true));
        let player = Player::new(parameters.into_iter().map(apart).collect(), &config.optimizer)?;
        let gradients = player.parameters().iter().map(|(_, tensor)| tensor.detach().full_like(1e-3)).collect();
        let shared = Vec::new();
        Ok(Self {
            key,
            device,
            run,
            logged,
            shared,
            algorithm,
            player,
            gradients,
            data,
            noise,
            order,
            batch,
            step,
            opened,
        })
    }

    /// Opens `count` runs of this configuration that share the device, for [`Part::Shared`].
    ///
    /// # Errors
    /// As for [`Subject::new`].
    pub fn share(&mut self, count: usize) -> Result<()> {
        for index in self.shared.len()..count {
            let run = self.opened.run(&format!("shared-{index}"), NEVER)?;
            run.rejoin()?;
            self.shared.push(run);
        }
        Ok(())
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
        for run in [&mut self.run, &mut self.logged].into_iter().chain(&mut self.shared) {
            run.take_notes();
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
            Part::Optimiser => {
                let gradients = self.gradients.iter().map(Tensor::shallow_clone).collect();
                self.player.step(gradients, &self.step, None)?;
            }
            Part::Shared => {
                for run in &mut self.shared {
                    run.advance_apart()?;
                }
            }
        }
        Ok(())
    }

    /// Waits until the device has done all that it was given.
    fn wait(&self) -> Result<()> {
        if self.device.is_cuda() {
            for run in [&self.run, &self.logged].into_iter().chain(&self.shared) {
                run.rejoin()?;
            }
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

    /// Kernels, copies and fills of the captured step, once one is captured.
    pub fn graph_nodes(&self) -> Option<usize> {
        self.run.graph_nodes()
    }

    /// Most bytes held so far: on CUDA in tensors, by libtorch's allocator; on the CPU in this process, resident, nothing left out. Runs for
    /// other parts than [`Part::Step`] are in it.
    ///
    /// # Errors
    /// When it is not to be had.
    pub fn peak_memory(&self) -> Result<u64> {
        if let Device::Cuda(index) = self.device {
            return Ok(u64::try_from(memory::cuda(index)?.peak_allocated)?);
        }
        let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("/proc/self/status: no VmHWM")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().context("/proc/self/status: VmHWM")?;
        Ok(1024 * kilobytes)
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
