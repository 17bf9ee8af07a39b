//! All that changes from step to step, and nothing else: what a checkpoint holds.

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
        }
    }

    /// Updates done.
    pub(crate) fn step(&self) -> u64 {
        self.step
    }

    /// One update from the next batch: device work only, the host waits for nothing.
    pub(crate) fn train_one_batch(&mut self, images: &Images) -> Result<()> {
        if self.order.end_of_epoch() {
            self.order.refill(&self.noise)?;
        }
        let indices = self.order.next_indices();
        let x = images.gather(&indices, &self.noise);
        let context = BatchContext { step: &self.step_on_device, dataset_len: images.len(), noise: &self.noise };
        let scalars = self.algorithm.train_step(&x, &context)?;
        let values = self.window.add(&scalars);
        let bad = match scalars.non_finite() {
            Some(flag) => flag.shallow_clone(),
            None => values.isfinite().all().logical_not(),
        };
        self.latch.update(&bad, &self.step_on_device, &indices, &values);
        let _ = self.step_on_device.g_add_scalar_(1);
        self.order.advance();
        self.step += 1;
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
