//! Wasserstein autoencoder with MMD: reconstruction, and the aggregate posterior held to the prior.

use crate::divergence::Mmd;
use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, ForwardPass, Weight};
use serde::{Deserialize, Serialize};

/// Reconstruction with MMD² in the place of the KL.
///
/// ```text
/// loss = E_q[−log p(x|z)] + w MMD²(q(z), p(z))                      docs/mathematics.md §4; Tolstikhin et al. 2018, Algorithm 2
/// ```
///
/// The paper's loss is ‖x − f(z)‖² + λ MMD². Under N(f, σ²) the reconstruction here is ‖x − f(z)‖²/(2 σ²) and a constant, so that the same
/// balance is λ = 2 σ² w. It is [`InfoVae`](crate::InfoVae) with α = 1 and λ = w. Nothing here keeps a code's own variance up: encoders may become
/// deterministic, which the paper has them be.
///
/// Reports `mmd`, unweighted, in the kernel's unit; `kl` and `elbo` stay for comparison and are no part of the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaeMmd {
    /// Weight of MMD² (λ/(2 σ²) in the paper's terms).
    pub divergence_weight: Weight,
    /// Kernel and form.
    pub divergence: Mmd,
}

impl Objective for WaeMmd {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        let mmd = self.divergence.to_prior(&pass.z, context.noise);
        Terms::new(&parts.reconstruction + self.divergence_weight.times(&mmd, context.step))
            .with_elbo(&parts)
            .with("mmd", mmd)
            .with_weight("divergence_weight", &self.divergence_weight, context)
    }

    fn check(&self, batch: i64, _dataset_len: i64, _latent: i64) -> anyhow::Result<()> {
        self.divergence.check_as("divergence", batch)
    }
}
