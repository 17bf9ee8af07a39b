//! β-VAE: the KL under a weight.

use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, ForwardPass, Weight};
use serde::{Deserialize, Serialize};

/// The ELBO with a weight on its KL.
///
/// ```text
/// loss = E_q[−log p(x|z)] + β KL(q(z|x) ‖ p(z))              docs/mathematics.md §5; Higgins et al. 2017, Eq. 4
/// ```
///
/// β = 1 is [`Elbo`](crate::Elbo); the curves `kl` and `elbo` stay unweighted at every β.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BetaVae {
    /// Weight of the KL (β).
    pub beta: Weight,
}

impl Objective for BetaVae {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        Terms::new(&parts.reconstruction + self.beta.times(&parts.kl, context.step))
            .with_elbo(&parts)
            .with_weight("beta", &self.beta, context)
    }
}
