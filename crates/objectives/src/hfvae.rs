//! HFVAE: the total correlation taken apart along groups of dimensions, each level under its own weight.

use crate::estimator::{Estimator, MemoryBudget, Points};
use crate::groups::{Groups, Level};
use crate::{ElboParts, Objective, Terms};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{BatchContext, FieldError, ForwardPass, Gaussian, Weight};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// The ELBO with its KL taken apart along a tree of groups of dimensions.
///
/// ```text
/// loss = E_q[−log p(x|z)] + α MI + Σ_k β_k TC_k + γ DWKL              docs/mathematics.md §5; Esmaeili et al. 2019
/// TC_k = E[Σ_g log q(z_g) − Σ_c log q(z_c)]       g the lists of level k, c their children, lists and dimensions
/// ```
///
/// `TC_0` is the dependence between the outermost groups, the rest that within them, level by level. The sum telescopes whatever the tree: Σ
/// `TC_k` is the total correlation of β-TCVAE, and with all weights 1 the loss is minus the ELBO with the KL sampled. Of a flat list the loss
/// is [`BetaTcVae`](crate::BetaTcVae).
///
/// Reports `estimate/mutual_information_<e>`, `estimate/total_correlation_<e>` (the sum), `estimate/total_correlation_by_level_<e>/<k>` and
/// `estimate/dimension_wise_kl_<e>`, e the estimator; for MWS those of Uniform as well, which have the same gradient and can be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hfvae {
    /// Every latent dimension once, as nested lists.
    pub groups: Groups,
    /// Weight of the mutual information I(x; z) (α).
    pub mi_weight: Weight,
    /// Weights of the total correlations, from between the outermost groups inwards (`β_k`): as many as `groups` has levels.
    pub tc_weights: Vec<Weight>,
    /// Weight of the dimension-wise KL (γ).
    pub dw_kl_weight: Weight,
    /// How q(z) is estimated.
    pub estimator: Estimator,
}

/// The terms of the KL along a tree of groups, batch means in nats. Their sum is the sampled KL.
#[derive(Debug)]
pub struct HierarchicalTerms {
    /// MI: `log q(z|x) − log q(z)`.
    pub mutual_information: Tensor,
    /// `TC_k` of every level, from the root.
    pub total_correlations: Vec<Tensor>,
    /// DWKL: `Σ_d log q(z_d) − log p(z)`.
    pub dimension_wise_kl: Tensor,
}

impl HierarchicalTerms {
    /// The terms at `z` (`[B, D]`, row i drawn from row i of `posterior`), q(z) as `estimator` has it for `dataset_len` examples.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses, groups that [`Groups::check`] refuses, and shapes that do not fit.
    pub fn estimate(estimator: Estimator, posterior: &Gaussian, z: &Tensor, dataset_len: i64, groups: &Groups) -> Self {
        let budget = MemoryBudget::of(z.device());
        let points = Points::of_each_row(z);
        let densities = estimator.group_densities(points, posterior, dataset_len, &groups.lists(), budget);
        let (lists, marginals) = (&densities.groups, &densities.marginals);
        let product = marginals.sum_dim_intlist(-1, false, None::<Kind>);
        let of_level = |level: &Level| {
            let sum = |first, count| lists.narrow(1, first, count).sum_dim_intlist(-1, false, None::<Kind>);
            let mut difference = sum(level.first, level.lists);
            if level.child_lists > 0 {
                difference -= sum(level.first + level.lists, level.child_lists);
            }
            for &dimension in &level.child_dimensions {
                difference -= marginals.select(1, dimension);
            }
            difference.mean(None)
        };
        Self {
            mutual_information: (posterior.log_density(z) - lists.select(1, 0)).mean(None),
            total_correlations: groups.levels().iter().map(of_level).collect(),
            dimension_wise_kl: (product - standard_normal_log_density(z)).mean(None),
        }
    }

    /// Σ over the levels: the total correlation of all dimensions.
    pub fn total_correlation(&self) -> Tensor {
        self.total_correlations.iter().sum()
    }

    /// The terms that the same batch would give with every weight of the mixture multiplied by `exp(log_factor)`, without a second pass. MWS
    /// becomes Uniform with `log_factor` = ln N.
    pub fn with_weights_scaled(&self, log_factor: f64, groups: &Groups) -> Self {
        let levels = groups.levels();
        let children = |level: &Level| level.child_lists + level.child_dimensions.len() as i64;
        let latent: usize = levels.iter().map(|level| level.child_dimensions.len()).sum();
        let shifted = |(level, value): (&Level, &Tensor)| value + (level.lists - children(level)) as f64 * log_factor;
        Self {
            mutual_information: &self.mutual_information - log_factor,
            total_correlations: levels.iter().zip(&self.total_correlations).map(shifted).collect(),
            dimension_wise_kl: &self.dimension_wise_kl + latent as f64 * log_factor,
        }
    }

    fn report(&self, terms: Terms, estimator: Estimator) -> Terms {
        let name = |term: &str| format!("estimate/{term}_{}", estimator.name());
        terms
            .with(name("mutual_information"), &self.mutual_information)
            .with(name("total_correlation"), self.total_correlation())
            .with(name("total_correlation_by_level"), Tensor::stack(&self.total_correlations, 0))
            .with(name("dimension_wise_kl"), &self.dimension_wise_kl)
    }
}

impl Objective for Hfvae {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let posterior = pass.posterior.gaussian().expect("hfvae needs a posterior with a density");
        let parts = ElboParts::of(pass);
        let estimate =
            HierarchicalTerms::estimate(self.estimator, posterior, &pass.z, context.dataset_len, &self.groups);
        let mut loss = &parts.reconstruction
            + self.mi_weight.times(&estimate.mutual_information, context.step)
            + self.dw_kl_weight.times(&estimate.dimension_wise_kl, context.step);
        for (weight, total_correlation) in self.tc_weights.iter().zip(&estimate.total_correlations) {
            loss += weight.times(total_correlation, context.step);
        }

        let mut terms = estimate.report(Terms::new(loss).with_elbo(&parts), self.estimator);
        if self.estimator == Estimator::Mws {
            let uniform = estimate.with_weights_scaled((context.dataset_len as f64).ln(), &self.groups);
            terms = uniform.report(terms, Estimator::Uniform);
        }
        terms = terms.with_weight("mi_weight", &self.mi_weight, context);
        for (level, weight) in self.tc_weights.iter().enumerate() {
            terms = terms.with_weight(&format!("tc_weights/{level}"), weight, context);
        }
        terms.with_weight("dw_kl_weight", &self.dw_kl_weight, context)
    }

    fn check(&self, batch: i64, dataset_len: i64, latent: i64) -> anyhow::Result<()> {
        self.groups.check(latent).map_err(|error| FieldError::new("groups", error))?;
        let (depth, weights) = (self.groups.depth(), self.tc_weights.len());
        if weights != depth {
            let expected = format!("{depth} weights, one for each level of groups");
            return Err(FieldError::expected("tc_weights", &expected, weights).into());
        }
        Ok(self.estimator.check(batch, dataset_len)?)
    }
}
