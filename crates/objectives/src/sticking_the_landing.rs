//! Sticking the landing: the sampled ELBO without the part of its gradient that is zero in the mean.

use crate::elbo::NoWeights;
use crate::{ElboParts, Objective, Terms};
use elbo_core::posterior::{normal_log_density, standard_normal_log_density};
use elbo_core::{BatchContext, ForwardPass, Gaussian};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Minus the ELBO with its KL sampled, whose gradient reaches the encoder through z alone.
///
/// ```text
/// loss = −E_q[log p(x|z) + log p(z) − log q(z|x)]       docs/mathematics.md §1; Roeder et al. 2017, Eq. 8
/// ```
///
/// The parameters of log q(z|x) are held fixed; what that leaves out is the score, whose mean over z is 0. So the gradient is a
/// **surrogate**: not the loss's draw by draw, but the ELBO's in the mean, and where q(z|x) is the true posterior its variance is 0. It is
/// [`Iwae`](crate::Iwae) with one sample and the gradient `dreg`.
///
/// It has no weights; its configuration is `{}`. Reports `kl_sampled`, mean log q(z|x) − log p(z), beside the closed form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "NoWeights", into = "NoWeights")]
pub struct StickingTheLanding;

impl From<NoWeights> for StickingTheLanding {
    fn from(_: NoWeights) -> Self {
        Self
    }
}

impl From<StickingTheLanding> for NoWeights {
    fn from(_: StickingTheLanding) -> Self {
        Self {}
    }
}

impl Objective for StickingTheLanding {
    fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
        let posterior = pass.posterior.gaussian().expect("sticking-the-landing needs a posterior with a density");
        let kl = (log_density_along_z(posterior, &pass.z) - standard_normal_log_density(&pass.z)).mean(None::<Kind>);
        let parts = ElboParts::of(pass);
        Terms::new(&parts.reconstruction + &kl).with_elbo(&parts).with("kl_sampled", kl)
    }
}

/// log q(z|x) as a function of z alone, its mean and variance held fixed: `[B, D]` or `[K, B, D]` → `[B]` or `[K, B]`.
fn log_density_along_z(posterior: &Gaussian, z: &Tensor) -> Tensor {
    normal_log_density(z, &posterior.mean.detach(), &posterior.log_var.detach()).sum_dim_intlist(
        -1,
        false,
        None::<Kind>,
    )
}
