//! log P/Q from a balanced classifier.
//!
//! P is the numerator (label 1, samples of the model's side), Q the denominator (label 0). The classifier σ(T) that minimises
//!
//! ```text
//! E_P softplus(−T) + E_Q softplus(T)          docs/mathematics.md §6, §7; note (7) with its sign turned
//! ```
//!
//! has `T = log P − log Q`.

use crate::Critic;
use elbo_core::{FieldError, NamedTensors, OptimizerConfig, Player};
use tch::Tensor;

/// The classifier's cost in nats, a scalar: `mean softplus(−T)` over samples of P and `mean softplus(T)` over samples of Q, added.
///
/// Never negative; `2 log 2` where T is 0; `2 log 2 − 2 JS(P, Q)` at the optimum. Shapes: `on_numerator` `[B]`, `on_denominator` `[B']`.
pub fn logistic_cost(on_numerator: &Tensor, on_denominator: &Tensor) -> Tensor {
    (-on_numerator).softplus().mean(None) + on_denominator.softplus().mean(None)
}

/// The share of samples that the classifier gets right, both sides weighing the same: ½ where it knows nothing. A scalar.
pub fn accuracy(on_numerator: &Tensor, on_denominator: &Tensor) -> Tensor {
    let share = |right: Tensor| right.to_kind(on_numerator.kind()).mean(None);
    (share(on_numerator.gt(0.0)) + share(on_denominator.lt(0.0))) * 0.5
}

/// The bound of Nguyen, Wainwright & Jordan, `E_P T − E_Q e^T + 1 ≤ KL(P ‖ Q)` for **any** T, in nats; equal at `T = log P/Q`.
///
/// In expectation over samples that T was not trained on. Shapes as [`logistic_cost`].
pub fn nwj_bound(on_numerator: &Tensor, on_denominator: &Tensor) -> Tensor {
    on_numerator.mean(None) - on_denominator.exp().mean(None) + 1.0
}

/// The bound of Donsker & Varadhan, `E_P T − log E_Q e^T ≤ KL(P ‖ Q)` for **any** T, in nats; above [`nwj_bound`] for the same T.
///
/// The logarithm of a mean over samples is biased down, so from a batch the value is biased **up**. Shapes as [`logistic_cost`].
pub fn donsker_varadhan_bound(on_numerator: &Tensor, on_denominator: &Tensor) -> Tensor {
    let count = on_denominator.size()[0] as f64;
    on_numerator.mean(None) - (on_denominator.logsumexp(0, false) - count.ln())
}

/// A critic with the optimiser that fits it to samples of two distributions.
#[derive(Debug)]
pub struct RatioEstimator<C> {
    critic: C,
    player: Player,
}

impl<C: Critic> RatioEstimator<C> {
    /// An estimator that has seen nothing.
    ///
    /// # Errors
    /// The field of `optimizer` that does not fit.
    pub fn new(critic: C, optimizer: &OptimizerConfig) -> Result<Self, FieldError> {
        let player = Player::new(critic.parameters(), optimizer)?;
        Ok(Self { critic, player })
    }

    /// One update from pairs (x, z) of P and of Q; returns the cost before it, a scalar on the device. `step` counts updates: an Int64 scalar
    /// on the device, for a scheduled learning rate.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn train(
        &mut self,
        numerator: (&Tensor, &Tensor),
        denominator: (&Tensor, &Tensor),
        step: &Tensor,
    ) -> anyhow::Result<Tensor> {
        let on_numerator = self.critic.log_ratio(&numerator.0.detach(), &numerator.1.detach());
        let on_denominator = self.critic.log_ratio(&denominator.0.detach(), &denominator.1.detach());
        let cost = logistic_cost(&on_numerator, &on_denominator);
        let gradients = self.player.gradients(&cost)?;
        self.player.step(gradients, step, None)?;
        Ok(cost.detach())
    }

    /// T.
    pub fn critic(&self) -> &C {
        &self.critic
    }

    /// Parameters and optimiser.
    pub fn state(&self) -> NamedTensors {
        let mut state = self.critic.parameters();
        state.extend(self.player.state());
        state
    }
}
