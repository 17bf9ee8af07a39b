//! Checkpoints and the summary.

use super::Run;
use crate::checkpoint;
use crate::files::write_atomically;
use crate::method::Method;
use crate::records::summary::{Status, Summary};
use anyhow::Result;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Metadata of a checkpoint: seconds that the run has taken.
pub(super) const WALL_SECONDS: &str = "wall_seconds";

impl<M: Method> Run<M> {
    /// Writes a checkpoint of this moment, after the curves that lead up to it, and removes old ones.
    ///
    /// # Errors
    /// [`crate::Diverged`] rather than a checkpoint of parameters that are not finite; otherwise when the disk fails.
    pub fn checkpoint(&mut self) -> Result<PathBuf> {
        self.stop_if_diverged()?;
        self.refuse_non_finite_state()?;
        self.curves.sync()?;
        let (tensors, mut metadata) = self.trainer.state()?;
        metadata.insert(WALL_SECONDS.to_owned(), self.clock.wall_seconds().to_string());
        metadata.insert("elbo_version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let folder = self.directory.checkpoints();
        let file = checkpoint::write(&folder, self.step(), &tensors, metadata)?;
        checkpoint::prune(&folder, usize::try_from(self.config.train.keep_checkpoints)?)?;
        Ok(file)
    }

    /// The run is over: last checkpoint, summary, and its row in the HPARAMS table.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.checkpoint()?;
        self.close(Status::Finished)
    }

    /// Stops before the last step, on a signal: checkpoint and summary. The run can be resumed.
    ///
    /// # Errors
    /// As [`Run::checkpoint`].
    pub fn interrupt(&mut self) -> Result<PathBuf> {
        let file = self.checkpoint()?;
        self.close(Status::Interrupted)?;
        Ok(file)
    }

    /// Writes `summary.json`.
    pub(super) fn close(&mut self, status: Status) -> Result<()> {
        self.curves.end(self.step(), status)?;
        Ok(self.summary(status)?.write(&self.directory.summary())?)
    }

    /// The run in one object.
    ///
    /// # Errors
    /// When the directory's checkpoints cannot be listed.
    pub fn summary(&self, status: Status) -> Result<Summary> {
        let images_seen = self.step() * u64::try_from(self.config.data.batch_size)?;
        Ok(Summary {
            elbo_version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.config.name.clone(),
            status,
            steps: self.step(),
            epochs: images_seen as f64 / self.data.train.images.len() as f64,
            images_seen,
            wall_seconds: self.clock.wall_seconds(),
            steps_per_second: self.clock.speed(),
            last_checkpoint: self.last_checkpoint()?,
            scalars: self.curves.latest().to_vec(),
            results: serde_json::Map::new(),
        })
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// When the directory's checkpoints cannot be listed.
    pub fn newest_checkpoint(&self) -> Result<Option<PathBuf>> {
        Ok(checkpoint::list(&self.directory.checkpoints())?.into_iter().next().map(|(_, file)| file))
    }

    /// The newest checkpoint, relative to the run's directory.
    pub(super) fn last_checkpoint(&self) -> Result<Option<PathBuf>> {
        Ok(self
            .newest_checkpoint()?
            .map(|file| file.strip_prefix(self.directory.path()).map(Path::to_owned).unwrap_or(file)))
    }

    /// A checkpoint is for going on from: parameters that are not finite are none.
    fn refuse_non_finite_state(&self) -> Result<()> {
        for (name, tensor) in self.trainer.algorithm.state() {
            if is_float(&tensor) && i64::try_from(tensor.isfinite().all().to_kind(Kind::Int64))? == 0 {
                return Err(self.diverged_in_state(&name)?.into());
            }
        }
        Ok(())
    }

    /// A file of the run that is written beside and renamed.
    pub(super) fn write_file(path: &Path, content: &serde_json::Value) -> Result<()> {
        Ok(write_atomically(path, format!("{content:#}\n").as_bytes())?)
    }
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.kind(), Kind::Float | Kind::Double)
}
