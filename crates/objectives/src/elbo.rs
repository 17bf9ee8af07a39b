//! The evidence lower bound itself.

use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, ForwardPass};
use serde::{Deserialize, Serialize};

/// Minus the evidence lower bound, the KL in closed form.
///
/// ```text
/// loss = E_q[−log p(x|z)] + KL(q(z|x) ‖ p(z))               docs/mathematics.md §1; Kingma & Welling 2014, Eq. 10
/// ```
///
/// It has no weights; its configuration is `{}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NoWeights", into = "NoWeights")]
pub struct Elbo;

/// The configuration `{}`. Serde reads a unit struct from `null` alone, and lets unknown fields pass.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoWeights {}

impl From<NoWeights> for Elbo {
    fn from(_: NoWeights) -> Self {
        Self
    }
}

impl From<Elbo> for NoWeights {
    fn from(_: Elbo) -> Self {
        Self {}
    }
}

impl Objective for Elbo {
    fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        Terms::new(&parts.reconstruction + &parts.kl).with_elbo(&parts)
    }
}
