//! InfoVAE: the ELBO with the mutual information free, and the aggregate posterior held to the prior by MMD.

use crate::divergence::Mmd;
use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, FieldError, ForwardPass, Weight, config};
use serde::{Deserialize, Deserializer, Serialize};
use tch::Tensor;

/// The ELBO with a preference for information (α) and a weight on the distance of q(z) from p(z) (λ).
///
/// ```text
/// loss = E_q[−log p(x|z)] + (1 − α) KL(q(z|x) ‖ p(z)) + (α + λ − 1) MMD²(q(z), p(z))        docs/mathematics.md §4; Zhao et al. 2019
/// ```
///
/// Neither of the two weights stands in the configuration. Where one of them comes out negative the loss rewards what it is there to hold
/// down, at any value of the schedule: refused, unless `allow_negative` says that this is meant. α = 0, λ = 1 is [`Elbo`](crate::Elbo);
/// α = 1 is [`WaeMmd`](crate::WaeMmd) with weight λ.
///
/// Reports `mmd`, unweighted, in the kernel's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfoVae {
    /// Preference for mutual information (α): 1 − α weighs the KL.
    #[serde(deserialize_with = "finite")]
    pub alpha: f64,
    /// Weight of the distance between q(z) and p(z) in the paper's first form (λ): α + λ − 1 weighs MMD².
    pub lambda: Weight,
    /// The distance.
    pub divergence: Mmd,
    /// Whether a derived weight may be negative.
    #[serde(default)]
    pub allow_negative: bool,
}

impl InfoVae {
    /// Weight of the KL, 1 − α.
    pub fn kl_weight(&self) -> f64 {
        exact_zero(1.0 - self.alpha)
    }

    /// Smallest and largest weight of MMD², α + λ − 1, over the schedule of λ.
    pub fn divergence_weight_range(&self) -> (f64, f64) {
        let (smallest, largest) = self.lambda.schedule().range();
        (self.divergence_weight(smallest), self.divergence_weight(largest))
    }

    fn divergence_weight(&self, lambda: f64) -> f64 {
        exact_zero(self.alpha + lambda - 1.0)
    }

    /// (α + λ − 1) · `divergence`.
    fn weighed(&self, divergence: &Tensor, step: &Tensor) -> Tensor {
        let lambda = self.lambda.schedule();
        match lambda.constant() {
            Some(lambda) => divergence * self.divergence_weight(lambda),
            None => divergence * (lambda.at(step).to_kind(divergence.kind()) + (self.alpha - 1.0)),
        }
    }
}

impl Objective for InfoVae {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        let mmd = self.divergence.to_prior(&pass.z, context.noise);
        let loss = &parts.reconstruction + &parts.kl * self.kl_weight() + self.weighed(&mmd, context.step);
        Terms::new(loss).with_elbo(&parts).with("mmd", mmd).with_weight("lambda", &self.lambda, context)
    }

    fn check(&self, batch: i64, _dataset_len: i64, _latent: i64) -> anyhow::Result<()> {
        self.divergence.check_as("divergence", batch)?;
        if self.allow_negative {
            return Ok(());
        }
        if self.kl_weight() < 0.0 {
            let expected = format!(
                "a finite number ≤ 1, because the KL's weight 1 − alpha is {:.4} and would reward it (or \"allow_negative\": true)",
                self.kl_weight()
            );
            return Err(FieldError::expected("alpha", &expected, self.alpha).into());
        }
        let (smallest, _) = self.divergence_weight_range();
        if smallest < 0.0 {
            let expected = format!(
                "at least 1 − alpha = {} at every step, because MMD's weight alpha + lambda − 1 falls to {smallest:.4} and would reward it \
                 (or \"allow_negative\": true)",
                self.kl_weight()
            );
            return Err(FieldError::expected("lambda", &expected, self.lambda.schedule().range().0).into());
        }
        Ok(())
    }
}

/// What is left of 1 where the subtraction leaves nothing but rounding is 0.
fn exact_zero(difference: f64) -> f64 {
    if difference.abs() < 1e-12 { 0.0 } else { difference }
}

fn finite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    config::expect(deserializer, "a finite number", |value| value.as_f64().filter(|number| number.is_finite()))
}
