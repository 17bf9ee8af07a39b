//! Parameters that are trained together, with the optimiser that moves them.

use crate::named::prefixed;
use crate::{FieldError, NamedTensors, Optimizer, OptimizerConfig};
use tch::{Kind, Tensor};

/// One side of a training: a set of parameters and their optimiser. A VAE alone is one player; an adversarial method has two or three.
///
/// Gradients are values, taken of one loss with respect to one player's parameters, so that no loss can leak into another's weights.
/// **All gradients first, then all steps**: a step changes tensors that another player's backward pass may still need.
#[derive(Debug)]
pub struct Player {
    optimizer: Optimizer,
}

impl Player {
    /// A player for `parameters`, which are named as in the checkpoint (`encoder.conv1.weight`).
    ///
    /// # Errors
    /// The field of `config` that does not fit.
    pub fn new(parameters: NamedTensors, config: &OptimizerConfig) -> Result<Self, FieldError> {
        Ok(Self { optimizer: config.build(parameters)? })
    }

    /// The gradients of `loss` with respect to this player's parameters, in their order.
    ///
    /// # Errors
    /// When a parameter gets no gradient; the error names it.
    pub fn gradients(&self, loss: &Tensor) -> anyhow::Result<Vec<Tensor>> {
        Ok(elbo_native::gradients(loss, self.optimizer.parameters())?)
    }

    /// [`Player::gradients`], and the graph of `loss` is kept for another player whose loss shares a part of it.
    ///
    /// # Errors
    /// As [`Player::gradients`].
    pub fn gradients_keeping_graph(&self, loss: &Tensor) -> anyhow::Result<Vec<Tensor>> {
        Ok(elbo_native::gradients_keeping_graph(loss, self.optimizer.parameters())?)
    }

    /// One update of the parameters from [`Player::gradients`], which it may scale in place. Where `skip`, a float32 scalar on the
    /// device, is 1, nothing changes.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn step(&mut self, gradients: Vec<Tensor>, step: &Tensor, skip: Option<&Tensor>) -> anyhow::Result<()> {
        // Taken by value, because clipping changes them: nobody may use them afterwards.
        let result = self.optimizer.step(&gradients, step, skip);
        drop(gradients);
        result
    }

    /// The optimiser's tensors, `optimizer.<parameter>.exp_avg` and so on; not the parameters themselves.
    pub fn state(&self) -> NamedTensors {
        prefixed("optimizer", self.optimizer.state())
    }

    /// The parameters.
    pub fn parameters(&self) -> &NamedTensors {
        self.optimizer.parameters()
    }

    /// The learning rate at `step`, a scalar on its device.
    pub fn learning_rate(&self, step: &Tensor) -> Tensor {
        self.optimizer.learning_rate(step)
    }
}

/// Whether a loss or its gradients are not finite, as a float32 scalar on the device, 0 or 1 (for `skip`), and the norm of all
/// gradients together.
///
/// A norm that overflows counts as not finite, whatever its parts.
///
/// # Errors
/// When libtorch does.
pub fn non_finite(loss: &Tensor, gradients: &[Tensor]) -> anyhow::Result<(Tensor, Tensor)> {
    let norm = elbo_native::global_norm(gradients)?;
    let sum = loss.detach() + &norm;
    // 0 times the sum is 0 where it is finite; elsewhere it is NaN, which differs from 0.
    let flag = (sum * 0.0).ne(0.0).to_kind(Kind::Float);
    Ok((flag, norm))
}
