//! The adversarial autoencoder.

use super::AggregateGame;
use super::rule::{Push, Rule, ShiftedWeight};
use crate::critic::AggregateCriticConfig;
use crate::game::Parts;
use elbo_core::{FieldError, OptimizerConfig, Weight};
use serde::{Deserialize, Serialize};

/// Makhzani et al. 2016: a reconstruction, and an encoder that fools the critic.
///
/// ```text
/// loss   = E_q[−log p(x|z)] + w E_q(z) softplus(T(z))                                           docs/mathematics.md §6
/// critic = E_q(z) softplus(−T) + E_p(z) softplus(T)
/// ```
///
/// The paper takes reconstruction and fooling in turn, with an optimiser for each; here one update takes their sum, and w is what their two
/// learning rates would say. Nothing here keeps a code's own variance up: an encoder may become deterministic, which is one of the
/// paper's three choices, and then the exact KL(q(z) ‖ p(z)) over a finite data set has no bound that the critic would see.
///
/// Reports `adversarial_cost`, E softplus(T), unweighted: log 2 where the critic cannot tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aae {
    /// Weight of fooling the critic (w).
    pub divergence_weight: Weight,
    /// The network of T.
    pub critic: AggregateCriticConfig,
    /// How T is updated.
    pub critic_optimizer: OptimizerConfig,
}

impl Aae {
    /// Makes the critic and both players.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn build(self, parts: Parts<'_>) -> Result<AggregateGame, FieldError> {
        let rule = Rule {
            kl_weight: 0.0,
            push: Push::Fooling,
            weight: ShiftedWeight { field: "divergence_weight", weight: self.divergence_weight, shift: 0.0 },
            critic_is_weighed: false,
            critic_knows_prior: false,
            critic_steps: 1,
        };
        AggregateGame::new(rule, &self.critic, &self.critic_optimizer, parts)
    }
}
