//! `InfoVAE` with an f-divergence by a critic.

use super::AggregateGame;
use super::rule::{Push, Rule, ShiftedWeight, exact_zero};
use crate::critic::AggregateCriticConfig;
use crate::divergence::FDivergence;
use crate::game::Parts;
use elbo_core::{FieldError, OptimizerConfig, Weight, config};
use serde::{Deserialize, Deserializer, Serialize};

/// The ELBO with a preference for information (α) and a weight on the divergence of q(z) from p(z) (λ).
///
/// ```text
/// loss   = E_q[−log p(x|z)] + (1 − α) KL(q(z|x) ‖ p(z)) + (α + λ − 1) D_f(q(z) ‖ p(z))          docs/mathematics.md §4; Zhao et al. 2019
/// critic = E_q(z) softplus(−T) + E_p(z) softplus(T)
/// ```
///
/// The gradient of `D_f` is that of [`FDivergence::sampler_surrogate`], right for every f at the optimal T; `loss` contains the surrogate,
/// whose **value** is not the divergence. α = 0, λ = 1 is the ELBO. Where one of the derived weights comes out negative the loss rewards
/// what it is there to hold down: refused, unless `allow_negative` says that this is meant. With an implicit posterior α must be 1.
///
/// Reports `divergence_surrogate`, and `estimate/aggregate_divergence_bound`: the variational bound on `D_f(q(z) ‖ p(z))` for the T of the
/// step, below it in expectation over batches that T has not seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfoVaeGan {
    /// Preference for mutual information (α): 1 − α weighs the KL.
    #[serde(deserialize_with = "finite")]
    pub alpha: f64,
    /// Weight of the divergence in the paper's first form (λ): α + λ − 1 weighs it here.
    pub lambda: Weight,
    /// f; any but the total variation.
    pub divergence: FDivergence,
    /// The network of T.
    pub critic: AggregateCriticConfig,
    /// Whether −log p(z) is added to the network's output, which then has log q(z) alone to learn.
    pub critic_knows_prior: bool,
    /// How T is updated.
    pub critic_optimizer: OptimizerConfig,
    /// Updates of T for one of the model.
    #[serde(deserialize_with = "config::count")]
    pub critic_steps: u64,
    /// Whether a derived weight may be negative.
    #[serde(default)]
    pub allow_negative: bool,
}

impl InfoVaeGan {
    /// Weight of the KL, 1 − α.
    pub fn kl_weight(&self) -> f64 {
        exact_zero(1.0 - self.alpha)
    }

    /// Smallest and largest weight of the divergence, α + λ − 1, over the schedule of λ.
    pub fn divergence_weight_range(&self) -> (f64, f64) {
        self.weight().range()
    }

    fn weight(&self) -> ShiftedWeight {
        ShiftedWeight { field: "lambda", weight: self.lambda, shift: self.alpha - 1.0 }
    }

    /// Makes the critic and both players.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn build(self, parts: Parts<'_>) -> Result<AggregateGame, FieldError> {
        self.check().map_err(|error| error.under("method"))?;
        let rule = Rule {
            kl_weight: self.kl_weight(),
            push: Push::Surrogate(self.divergence),
            weight: self.weight(),
            critic_is_weighed: false,
            critic_knows_prior: self.critic_knows_prior,
            critic_steps: self.critic_steps,
        };
        AggregateGame::new(rule, &self.critic, &self.critic_optimizer, parts)
    }

    fn check(&self) -> Result<(), FieldError> {
        if !self.divergence.trains_a_sampler() {
            let expected =
                "a divergence other than total-variation, whose f′ is a step that gives an encoder no gradient";
            return Err(FieldError::expected("divergence", expected, self.divergence));
        }
        if self.allow_negative {
            return Ok(());
        }
        if self.kl_weight() < 0.0 {
            let expected = format!(
                "a finite number ≤ 1, because the KL's weight 1 − alpha is {:.4} and would reward it (or \"allow_negative\": true)",
                self.kl_weight()
            );
            return Err(FieldError::expected("alpha", &expected, self.alpha));
        }
        let (smallest, _) = self.divergence_weight_range();
        if smallest < 0.0 {
            let expected = format!(
                "at least 1 − alpha = {} at every step, because the divergence's weight alpha + lambda − 1 falls to {smallest:.4} and would \
                 reward it (or \"allow_negative\": true)",
                self.kl_weight()
            );
            return Err(FieldError::expected("lambda", &expected, self.lambda.schedule().range().0));
        }
        Ok(())
    }
}

fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    config::expect(deserializer, "a finite number", |value| value.as_f64().filter(|number| number.is_finite()))
}
