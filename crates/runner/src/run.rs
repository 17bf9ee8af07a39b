//! The one loop.
//!
//! A [`Run`] is advanced step by step from outside, so that one process can drive several in turn. The step itself is in
//! `trainer.rs`; everything here happens between steps: log points, evaluations, pictures, checkpoints.

use crate::config::{Due, RunConfig};
use crate::directory::RunDirectory;
use crate::method::Method;
use crate::trainer::{Stepped, Trainer};
use crate::world::World;
use anyhow::Result;
use elbo_core::Algorithm;
use elbo_data::Splits;
use elbo_native::Stream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tch::{Device, Tensor};

mod capturing;
mod clock;
mod curves;
mod divergence;
mod evaluating;
mod following;
mod opening;
mod resuming;
mod saving;
mod scoring;

pub use following::Follower;
pub use opening::RunOptions;

use clock::Clock;
use curves::Curves;

/// A run in progress.
pub struct Run<M> {
    config: RunConfig<M>,
    directory: RunDirectory,
    device: Device,
    data: Splits,
    trainer: Trainer,
    /// On CUDA: where it computes while it is advanced apart, and where its steps are captured.
    stream: Option<Rc<Stream>>,
    /// Kernels, copies and fills of the captured step.
    graph_nodes: Option<usize>,
    curves: Curves,
    clock: Clock,
    /// Indices of the examples that the exact terms are computed from: all, or a fixed subset.
    subset: Tensor,
    notes: Vec<Note>,
    /// The processes that train it together, of which this is rank 0; nothing where it is the only one.
    world: Option<Arc<World>>,
}

/// Something worth telling a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// What has happened.
    Information(String),
    /// What may need attention.
    Warning(String),
}

/// What one [`Run::advance`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// One update; its number, counted from 1.
    Step(u64),
    /// One update, and the window's means went to the curves.
    Logged {
        /// Updates done.
        step: u64,
        /// Tags and values.
        scalars: Vec<(String, f64)>,
    },
    /// All steps were done before; nothing happened.
    Finished,
}

impl<M: Method> Run<M> {
    /// One training step and whatever is due after it: log point, evaluation, pictures, checkpoint.
    ///
    /// # Errors
    /// [`crate::Diverged`] when a loss was not finite, found at the next log point or checkpoint; otherwise when libtorch or the disk
    /// fails.
    pub fn advance(&mut self) -> Result<Event> {
        if self.step() >= self.config.train.steps {
            return Ok(Event::Finished);
        }
        let started = Instant::now();
        let stepped = self.trainer.train_one_batch(&self.data.train.images)?;
        self.clock.add(started.elapsed());
        if let Some(stepped) = stepped {
            if let Stepped::Captured(nodes) = stepped {
                self.graph_nodes = Some(nodes);
            }
            self.notes.push(capturing::note(stepped, self.config.train.capture)?);
        }

        let step = self.step();
        let due = self.config.train.due(step);
        if let Some(world) = self.world.as_deref().filter(|_| due != Due::default()) {
            world.ranks().settle()?;
        }
        let logged = if due.log { Some(self.log()?) } else { None };
        if due.save {
            self.compare_ranks()?;
        }
        if due.evaluate {
            self.evaluate()?;
        }
        if due.score {
            self.score()?;
        }
        if due.draw {
            self.draw()?;
        }
        if due.last {
            self.finish()?;
        } else if due.save {
            self.checkpoint()?;
        }
        Ok(logged.map_or(Event::Step(step), |scalars| Event::Logged { step, scalars }))
    }

    /// [`Run::advance`] in the run's own stream from beginning to end, so that what the device has to do for other runs of this thread is
    /// done beside it. On the CPU the same as `advance`. Between two calls the run may only be looked at after [`Run::rejoin`].
    ///
    /// # Errors
    /// As [`Run::advance`].
    pub fn advance_apart(&mut self) -> Result<Event> {
        match self.stream.clone() {
            Some(stream) => stream.run_apart(|| self.advance())?,
            None => self.advance(),
        }
    }

    /// Waits until the device has done all that was asked of it, before the first [`Run::advance_apart`] and after the last.
    ///
    /// # Errors
    /// What failed on the device.
    pub fn rejoin(&self) -> Result<()> {
        if let Some(stream) = &self.stream {
            stream.run(|| ())?;
            stream.wait()?;
        }
        Ok(())
    }

    /// The window's means go to the curves: the one transfer.
    fn log(&mut self) -> Result<Vec<(String, f64)>> {
        let waiting = Instant::now();
        // The first question to the device since the last log point: it waits for all that is queued there.
        self.stop_if_diverged()?;
        self.clock.wait(waiting.elapsed());
        let means = self.trainer.window.take()?;
        let mut scalars: Vec<_> = means.into_iter().map(|(name, value)| (tag("train", &name), value)).collect();
        scalars.push(("speed/steps_per_second".to_owned(), self.clock.take_window()));
        self.curves.scalars(self.step(), &scalars)?;
        Ok(scalars)
    }

    /// All ranks stop here before a checkpoint and hold their parameters against each other.
    fn compare_ranks(&mut self) -> Result<()> {
        if let Some(world) = self.world.clone() {
            // The others leave a run that diverged at the same point, and would not come to compare.
            self.stop_if_diverged()?;
            following::compare(&self.trainer, &world)?;
        }
        Ok(())
    }

    /// How many kernels, copies and fills the captured step has; `None` while no step is captured.
    pub fn graph_nodes(&self) -> Option<usize> {
        self.graph_nodes
    }

    /// Updates done.
    pub fn step(&self) -> u64 {
        self.trainer.step()
    }

    /// The configuration as resolved.
    pub fn config(&self) -> &RunConfig<M> {
        &self.config
    }

    /// Where the run computes.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The data.
    pub fn data(&self) -> &Splits {
        &self.data
    }

    /// The run's directory.
    pub fn directory(&self) -> &RunDirectory {
        &self.directory
    }

    /// What is being trained.
    pub fn algorithm(&self) -> &dyn Algorithm {
        self.trainer.algorithm.as_ref()
    }

    /// The newest value of every tag.
    pub fn latest(&self) -> &[(String, f64)] {
        self.curves.latest()
    }

    /// What is worth telling a person since the last call: what was evaluated, warnings.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}

/// The curve's tag of a scalar: `prefix/name`, but settings keep their own group.
fn tag(prefix: &str, name: &str) -> String {
    if name.starts_with("schedule/") { name.to_owned() } else { format!("{prefix}/{name}") }
}
