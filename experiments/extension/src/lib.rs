//! An objective as a user of `elbo` writes it, in a crate of its own.
//!
//! Three things make it train with the same flags, curves, checkpoints and resume as the built-in ones: a struct of weights that is its
//! configuration, [`Objective`], and [`Method`]. `src/main.rs` is the binary.

use anyhow::Result;
use elbo_core::{Algorithm, BatchContext, ForwardPass, NonNegative, Weight};
use elbo_objectives::objective::ElboParts;
use elbo_objectives::{Objective, SingleObjective, Terms};
use elbo_runner::{BuildContext, Method};
use serde::{Deserialize, Serialize};

/// Leaves the first nats of the KL free, so that the posterior does not collapse early in training.
///
/// ```text
/// loss = E_q[−log p(x|z)] + β max(KL(q(z|x) ‖ p(z)), λ)               KL averaged over the batch
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeNats {
    /// Nats of the KL that cost nothing (λ).
    pub free_nats: NonNegative,
    /// Weight of the KL beyond them (β).
    pub beta: Weight,
}

impl Objective for FreeNats {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        let paid = parts.kl.clamp_min(self.free_nats.get());
        Terms::new(&parts.reconstruction + self.beta.times(&paid, context.step))
            .with_elbo(&parts)
            .with("paid_kl", &paid)
            .with_weight("beta", &self.beta, context)
    }
}

elbo_runner::methods! {
    /// The methods of this crate.
    pub enum Methods { "free-nats" => FreeNats(FreeNats) }
}

impl Method for Methods {
    fn build(&self, context: &BuildContext<'_>) -> Result<Box<dyn Algorithm>> {
        let Self::FreeNats(objective) = self.clone();
        Ok(Box::new(SingleObjective::new(context.vae()?, objective, context.optimizer)?))
    }
}
