//! The Wasserstein autoencoder with a critic.

use super::AggregateGame;
use super::rule::{Push, Rule, ShiftedWeight};
use crate::critic::AggregateCriticConfig;
use crate::game::Parts;
use elbo_core::{FieldError, OptimizerConfig, Weight};
use serde::{Deserialize, Serialize};

/// Tolstikhin et al. 2018, Algorithm 1, with D = σ(−T) the probability of the prior.
///
/// ```text
/// loss   = E_q[−log p(x|z)] + λ E_q(z)[−log(1 − σ(T(z)))]                                       docs/mathematics.md §4, §6
/// critic = λ (E_q(z)[−log σ(T)] + E_p(z)[−log(1 − σ(T))])
/// ```
///
/// The paper's reconstruction is ‖x − f(z)‖²; under N(f, σ²) the one here is ‖x − f(z)‖²/(2 σ²) and a constant, so that its balance is that of
/// 2 σ² λ. With a Gaussian likelihood it is [`Aae`](super::Aae) with another weight on the critic, which an optimiser that does not mind the
/// scale of gradients cannot tell apart.
///
/// Reports `adversarial_cost` as [`Aae`](super::Aae) does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaeGan {
    /// λ.
    pub divergence_weight: Weight,
    /// The network of T.
    pub critic: AggregateCriticConfig,
    /// Whether −log p(z) is added to the network's output, which then has log q(z) alone to learn (the authors' code does so for
    /// faces, not for digits).
    pub critic_knows_prior: bool,
    /// How T is updated.
    pub critic_optimizer: OptimizerConfig,
}

impl WaeGan {
    /// Makes the critic and both players.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn build(self, parts: Parts<'_>) -> Result<AggregateGame, FieldError> {
        let rule = Rule {
            kl_weight: 0.0,
            push: Push::Fooling,
            weight: ShiftedWeight { field: "divergence_weight", weight: self.divergence_weight, shift: 0.0 },
            critic_is_weighed: true,
            critic_knows_prior: self.critic_knows_prior,
            critic_steps: 1,
        };
        AggregateGame::new(rule, &self.critic, &self.critic_optimizer, parts)
    }
}
