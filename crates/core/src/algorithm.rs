//! One training step: the contract between a method and the loop.

use crate::{FieldError, NamedTensors, Ranks, Scalars, Vae};
use elbo_native::Generator;
use std::sync::Arc;
use tch::Tensor;

/// What a step may know besides its batch.
///
/// Built by the runner once per step, from things that live as long as the run.
#[derive(Debug, Clone, Copy)]
pub struct BatchContext<'a> {
    /// Updates done so far: an Int64 scalar on the device, advanced by the runner once per [`Algorithm::train_step`].
    pub step: &'a Tensor,
    /// Size N of the training set, which the estimators of q(z) need.
    pub dataset_len: i64,
    /// The run's own generator (an evaluation's own, in [`Algorithm::evaluate`]).
    pub noise: &'a Generator,
}

/// A method of training: it owns its networks and optimisers, one or three.
///
/// The step's contract, for every implementation: consecutive steps issue the same operators with the same shapes and the same host
/// scalars, and none that makes the host wait for the device, so that a step can be captured in a CUDA graph. What changes from step to
/// step is arithmetic on [`BatchContext::step`]. `elbo_native::recorder` checks it.
pub trait Algorithm {
    /// Updates the parameters from one batch `x` (`[B, C, H, W]`, values in `[0, 1]`) and reports the terms of the loss before the
    /// update. A non-finite loss or gradient must leave parameters and optimisers as they were, and be flagged with
    /// [`Scalars::with_non_finite`].
    ///
    /// # Errors
    /// When libtorch does; never for a value.
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars>;

    /// The same terms for a batch, without gradients and without changing anything.
    ///
    /// # Errors
    /// When libtorch does.
    fn evaluate(&self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars>;

    /// Every tensor that a resume needs, live, by name: `encoder.*`, `decoder.*`, `likelihood.*`, other networks under their own
    /// prefix, optimisers as `optimizer.*`. Order and addresses never change; a checkpoint is restored into them with `copy_`.
    fn state(&self) -> NamedTensors;

    /// The model, for evaluation and pictures.
    fn vae(&self) -> &Vae;

    /// Refuses a run whose batch size or data set does not fit the method, before it starts.
    ///
    /// # Errors
    /// What would fit, as in `expected a batch of at least 2, …; got 1`; the runner puts `data.batch_size` in front. Where a field of the
    /// method itself is wrong, a [`FieldError`] whose field is below `method`.
    fn check(&self, batch: i64, dataset_len: i64) -> anyhow::Result<()> {
        let _ = (batch, dataset_len);
        Ok(())
    }

    /// From now on [`Algorithm::train_step`] is one process's part of a step that several take together: each is given the whole batch
    /// and equal generators, and leaves equal parameters.
    ///
    /// # Errors
    /// Why the method cannot; the fields are those of the whole configuration (`method.name`).
    fn train_among(&mut self, ranks: Arc<Ranks>) -> Result<(), FieldError> {
        let _ = ranks;
        let message = "expected a method of one objective, which alone several processes can train; start one process for this one";
        Err(FieldError::new("method.name", message))
    }
}
