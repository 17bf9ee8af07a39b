//! All that changes from step to step, and nothing else: what a checkpoint holds.

use crate::capture::{Outcome, Recorder, Stepping, Work};
use crate::checkpoint::{Checkpoint, Metadata};
use crate::latch::Latch;
use crate::window::Window;
use anyhow::Result;
use elbo_core::{Algorithm, BatchContext, Generator, NamedTensors, Ranks};
use elbo_data::{BatchOrder, Images};
use tch::{Device, Kind, Tensor};

const STEP: &str = "step";
const WINDOW_STEPS: &str = "window_steps";
const WINDOW_LAYOUT: &str = "window_layout";
const WINDOW: &str = "run.window";
const GENERATOR: &str = "run.generator";

/// How steps are taken from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stepped {
    /// As replays of a graph of so many nodes.
    Captured(usize),
    /// One operator after the other, for this reason.
    NotCaptured(String),
}

/// An algorithm in training, with its data order, its noise and its step counter.
pub(crate) struct Trainer {
    pub(crate) algorithm: Box<dyn Algorithm>,
    pub(crate) window: Window,
    pub(crate) latch: Latch,
    noise: Generator,
    order: BatchOrder,
    /// Updates done, on the device: what schedules read.
    step_on_device: Tensor,
    /// Updates done, on the host.
    step: u64,
    stepping: Stepping,
}

/// A step on the device: a batch, an update, its numbers.
struct OneStep<'a> {
    trainer: &'a mut Trainer,
    images: &'a Images,
}

impl Work for OneStep<'_> {
    fn run(&mut self) -> Result<()> {
        self.trainer.on_device(self.images)
    }

    fn noise(&self) -> &Generator {
        &self.trainer.noise
    }
}

impl Trainer {
    pub(crate) fn new(
        algorithm: Box<dyn Algorithm>,
        noise: Generator,
        order: BatchOrder,
        batch: i64,
        device: Device,
    ) -> Self {
        Self {
            algorithm,
            window: Window::new(device),
            latch: Latch::new(&Tensor::zeros([batch], (Kind::Int64, device))),
            noise,
            order,
            step_on_device: Tensor::zeros([], (Kind::Int64, device)),
            step: 0,
            stepping: Stepping::OneByOne,
        }
    }

    /// From now on steps are recorded, once they are warm, and replayed.
    pub(crate) fn capture(&mut self, recorder: impl Recorder + 'static) {
        self.stepping = Stepping::recorded_by(recorder);
    }

    /// Updates done.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// One update from the next batch: device work only, the host waits for nothing. Returns what a person should know of how it was
    /// taken, at the few steps where there is something.
    ///
    /// # Errors
    /// When libtorch does.
    pub(crate) fn train_one_batch(&mut self, images: &Images) -> Result<Option<Stepped>> {
        if self.order.end_of_epoch() {
            self.order.refill(&self.noise)?;
        }
        let mut stepping = std::mem::replace(&mut self.stepping, Stepping::OneByOne);
        // A recording must find the generator as the steps before left it, and one that fails leaves it in between.
        let before = if stepping.records_next() { Some(self.noise.state()?) } else { None };
        let outcome = stepping.step(&mut OneStep { trainer: self, images })?;
        self.stepping = stepping;
        let said = match outcome {
            Outcome::Taken => None,
            Outcome::Captured(nodes) => Some(Stepped::Captured(nodes)),
            Outcome::Unfit(reason) => Some(Stepped::NotCaptured(reason)),
            Outcome::Failed(reason) => {
                self.noise = Generator::new(self.noise.device(), 0)?;
                if let Some(before) = before {
                    self.noise.set_state(&before)?;
                }
                self.on_device(images)?;
                Some(Stepped::NotCaptured(format!("{reason:#}")))
            }
        };
        self.window.count();
        self.order.advance();
        self.step += 1;
        Ok(said)
    }

    /// What of a step is on the device, and may be recorded.
    fn on_device(&mut self, images: &Images) -> Result<()> {
        let indices = self.order.next_indices();
        let x = images.gather(&indices, &self.noise);
        let context = BatchContext { step: &self.step_on_device, dataset_len: images.len(), noise: &self.noise };
        let scalars = self.algorithm.train_step(&x, &context)?;
        let values = self.window.add(&scalars)?;
        let bad = match scalars.non_finite() {
            Some(flag) => flag.shallow_clone(),
            None => values.isfinite().all().logical_not(),
        };
        self.latch.update(&bad, &self.step_on_device, &indices, &values);
        let _ = self.step_on_device.g_add_scalar_(1);
        Ok(())
    }

    /// Takes rank 0's state: all ranks at the same time, after rank 0 has restored what it goes on from.
    pub(crate) fn take_first(&mut self, ranks: &Ranks) -> Result<()> {
        for (_, tensor) in self.live() {
            ranks.take_first(&tensor)?;
        }
        let generator = self.noise.state()?;
        ranks.take_first(&generator)?;
        self.noise.set_state(&generator)?;
        self.order.sync_from_state()?;
        self.step = u64::try_from(self.step_on_device.int64_value(&[]))?;
        Ok(())
    }

    /// Every live tensor that a resume needs, but the generator's state and the window, whose shape the first step decides.
    fn live(&self) -> NamedTensors {
        let mut all = self.algorithm.state();
        all.extend(elbo_core::named::prefixed("run", self.order.state()));
        all.push(("run.step".to_owned(), self.step_on_device.shallow_clone()));
        all
    }

    /// What goes into a checkpoint.
    pub(crate) fn state(&self) -> Result<(NamedTensors, Metadata)> {
        let mut tensors = self.live();
        tensors.push((GENERATOR.to_owned(), self.noise.state()?));
        tensors.push((WINDOW.to_owned(), self.window.sums().shallow_clone()));
        let metadata = Metadata::from([
            (STEP.to_owned(), self.step.to_string()),
            (WINDOW_STEPS.to_owned(), self.window.steps().to_string()),
            (WINDOW_LAYOUT.to_owned(), self.window.describe()),
        ]);
        Ok((tensors, metadata))
    }

    /// Goes back to a checkpoint. Nothing is changed unless all of it fits.
    pub(crate) fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let (step, window_steps) = (checkpoint.counter(STEP)?, checkpoint.counter(WINDOW_STEPS)?);
        let generator = checkpoint.expect_tensor(GENERATOR)?;
        let sums = checkpoint.expect_tensor(WINDOW)?;
        let layout = checkpoint.text(WINDOW_LAYOUT)?;
        let window = Window::restored(self.window.device(), sums, layout, window_steps)?;
        checkpoint.restore(&self.live())?;
        self.noise.set_state(generator)?;
        self.order.sync_from_state()?;
        (self.step, self.window) = (step, window);
        Ok(())
    }
}
