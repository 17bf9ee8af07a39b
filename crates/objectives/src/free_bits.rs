//! Free bits: each latent dimension has some nats for nothing.

use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, ForwardPass, NonNegative, Weight};
use serde::{Deserialize, Serialize};
use tch::Kind;

/// The ELBO whose KL counts only above λ nats in each dimension, so that no dimension is switched off to save them.
///
/// ```text
/// loss = E_q[−log p(x|z)] + β Σ_d max(λ, KL_d)          KL_d the batch mean; docs/mathematics.md §5; Kingma et al. 2016, Eq. 15
/// ```
///
/// Below λ a dimension's KL has no gradient. λ = 0 and β = 1 is [`Elbo`](crate::Elbo). The paper's groups are single dimensions here.
///
/// Reports `free_bits_kl`, the sum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeBits {
    /// Nats that each dimension has for nothing (λ).
    pub free_nats: NonNegative,
    /// Weight of the sum (β).
    pub beta: Weight,
}

impl Objective for FreeBits {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        let floored = parts.kl_per_dimension.clamp_min(self.free_nats.get()).sum(None::<Kind>);
        Terms::new(&parts.reconstruction + self.beta.times(&floored, context.step))
            .with_elbo(&parts)
            .with("free_bits_kl", floored)
            .with_weight("beta", &self.beta, context)
    }
}
