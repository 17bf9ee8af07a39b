//! β-TCVAE: mutual information, total correlation and dimension-wise KL, each under its own weight.

use crate::estimator::{AggregateTerms, Densities, Estimator};
use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, ForwardPass, Weight};
use serde::{Deserialize, Serialize};

/// The ELBO with its KL taken apart.
///
/// ```text
/// loss = E_q[−log p(x|z)] + α MI + β TC + γ DWKL             docs/mathematics.md §3; Chen et al. 2018, Eq. 3
/// ```
///
/// The terms are estimated from the batch ([`crate::estimator`]) at the sampled z. With α = β = γ = 1 the loss is minus the ELBO with the KL
/// sampled instead of in closed form, in value and gradient, whatever the estimator.
///
/// With `mi_weight` 0 it is the mutual-information-free form, which leaves the code free to tell the examples apart. The estimator `exact`
/// trains on q(z) itself, and so takes the whole data set as its batch.
///
/// Reports the estimates as `estimate/<term>_<estimator>`; for MWS also as `estimate/<term>_uniform`, which has the same gradient and a value
/// that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BetaTcVae {
    /// Weight of the mutual information I(x; z) (α).
    pub mi_weight: Weight,
    /// Weight of the total correlation (β).
    pub tc_weight: Weight,
    /// Weight of the dimension-wise KL (γ).
    pub dw_kl_weight: Weight,
    /// How q(z) is estimated.
    pub estimator: Estimator,
}

impl Objective for BetaTcVae {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let posterior = pass.posterior.gaussian().expect("beta-tcvae needs a posterior with a density");
        let parts = ElboParts::of(pass);
        let estimate = Densities::estimate(self.estimator, posterior, &pass.z, context.dataset_len).terms();
        let loss = &parts.reconstruction
            + self.mi_weight.times(&estimate.mutual_information, context.step)
            + self.tc_weight.times(&estimate.total_correlation, context.step)
            + self.dw_kl_weight.times(&estimate.dimension_wise_kl, context.step);

        let mut terms = with_estimate(Terms::new(loss).with_elbo(&parts), &estimate, self.estimator);
        if self.estimator == Estimator::Mws {
            let uniform = estimate.with_weights_scaled((context.dataset_len as f64).ln(), pass.latent());
            terms = with_estimate(terms, &uniform, Estimator::Uniform);
        }
        terms
            .with_weight("mi_weight", &self.mi_weight, context)
            .with_weight("tc_weight", &self.tc_weight, context)
            .with_weight("dw_kl_weight", &self.dw_kl_weight, context)
    }

    fn check(&self, batch: i64, dataset_len: i64, _latent: i64) -> anyhow::Result<()> {
        Ok(self.estimator.check(batch, dataset_len)?)
    }
}

fn with_estimate(terms: Terms, estimate: &AggregateTerms, estimator: Estimator) -> Terms {
    estimate
        .named()
        .into_iter()
        .fold(terms, |terms, (name, value)| terms.with(format!("estimate/{name}_{}", estimator.name()), value))
}
