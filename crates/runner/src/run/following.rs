//! The part of a run that the processes beside rank 0 have: the steps, and nothing that is written.

use super::opening::{build, data_error};
use crate::Diverged;
use crate::config::{RunConfig, TrainConfig};
use crate::device;
use crate::method::Method;
use crate::trainer::Trainer;
use crate::world::World;
use anyhow::Result;
use elbo_data::Splits;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::Arc;
use tch::Tensor;

/// What rank 0 tells the others.
#[derive(Deserialize)]
#[serde(bound = "M: DeserializeOwned")]
struct Told<M> {
    config: RunConfig<M>,
    directory: PathBuf,
    origin: String,
}

/// One process's part of a run that rank 0 leads.
pub struct Follower {
    train: TrainConfig,
    data: Splits,
    trainer: Trainer,
    world: Arc<World>,
    directory: PathBuf,
}

impl Follower {
    /// Takes configuration and state from rank 0.
    ///
    /// # Errors
    /// What this machine lacks, or that another rank is lost.
    pub fn open<M: Method>(world: Arc<World>, progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let Told { config, directory, origin } = world.configuration::<Told<M>>()?;
        let device = device::of_rank(device::resolve(config.device)?, world.local_rank())?;
        device::set_precision(config.precision)?;
        let data = config.data.load(device, progress).map_err(|error| data_error(&origin, error))?;
        let mut trainer = build(&config, &origin, device, &data, Some(&world))?;
        world.ranks().meet()?;
        world.join_gpus(device)?;
        trainer.take_first(world.ranks())?;
        Ok(Self { train: config.train, data, trainer, world, directory })
    }

    /// Updates done.
    pub fn step(&self) -> u64 {
        self.trainer.step()
    }

    /// All updates to do.
    pub fn steps(&self) -> u64 {
        self.train.steps
    }

    /// One training step, beside the same one of every other rank; false when all are done.
    ///
    /// # Errors
    /// [`Diverged`] where rank 0 finds it too; a rank that is lost.
    pub fn advance(&mut self) -> Result<bool> {
        if self.step() >= self.train.steps {
            return Ok(false);
        }
        self.trainer.train_one_batch(&self.data.train.images)?;
        let due = self.train.due(self.step());
        if due.log || due.save {
            self.world.ranks().settle()?;
        }
        if (due.log || due.save)
            && let Some(bad) = self.trainer.latch.read()?
        {
            return Err(Diverged { step: bad.step + 1, report: self.directory.join("divergence.json") }.into());
        }
        if due.save {
            compare(&self.trainer, &self.world)?;
        }
        Ok(true)
    }
}

/// Refuses to save what is not one model: after every step the parameters are the same bits on all ranks, or something is broken.
pub(super) fn compare(trainer: &Trainer, world: &World) -> Result<()> {
    let parameters: Vec<Tensor> = trainer.algorithm.vae().parameters().into_iter().map(|(_, tensor)| tensor).collect();
    let differing = world.ranks().differing(&parameters)?;
    if let Some(rank) = differing.first() {
        anyhow::bail!(
            "the parameters of rank {rank} are not those of rank 0 after step {}: do both machines have the same libtorch and processor?",
            trainer.step()
        );
    }
    Ok(())
}
