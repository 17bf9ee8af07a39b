//! Mutual information, total correlation and dimension-wise KL from the densities of a batch.

use super::{Estimator, MemoryBudget, Points};
use elbo_core::Gaussian;
use elbo_core::posterior::standard_normal_log_density;
use tch::Tensor;

/// Log-densities of one batch's samples, in nats; everything the three terms are made of.
#[derive(Debug)]
pub struct Densities {
    /// `log q(z_i|x_i)`, `[R]`; R = B where every row holds its own sample.
    pub conditional: Tensor,
    /// Estimate of `log q(z_i)`, `[R]`.
    pub joint: Tensor,
    /// Estimates of `log q(z_id)`, `[R, D]`.
    pub marginals: Tensor,
    /// `log p(z_i)`, `[R]`.
    pub prior: Tensor,
}

/// The three terms of the KL, batch means in nats. Their sum is the sampled KL, mean log q(z|x) − log p(z).
#[derive(Debug)]
pub struct AggregateTerms {
    /// MI: `log q(z|x) − log q(z)`.
    pub mutual_information: Tensor,
    /// TC: `log q(z) − Σ_d log q(z_d)`.
    pub total_correlation: Tensor,
    /// DWKL: `Σ_d log q(z_d) − log p(z)`.
    pub dimension_wise_kl: Tensor,
}

impl Densities {
    /// The densities at `z` (`[B, D]`, row i drawn from row i of `posterior`), q(z) as `estimator` has it for a data set of `dataset_len`
    /// examples.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses, and for shapes that do not fit.
    pub fn estimate(estimator: Estimator, posterior: &Gaussian, z: &Tensor, dataset_len: i64) -> Self {
        let budget = MemoryBudget::of(z.device());
        Self::estimate_at(estimator, posterior, &Points { z, own: None }, dataset_len, budget)
    }

    /// The densities at any number R of `points`, each drawn from the row of `posterior` that it names as its own.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses, and for shapes that do not fit.
    pub fn estimate_at(
        estimator: Estimator,
        posterior: &Gaussian,
        points: &Points<'_>,
        dataset_len: i64,
        budget: MemoryBudget,
    ) -> Self {
        let all = (0..points.z.size()[1]).collect();
        let densities = estimator.group_densities(points, posterior, dataset_len, &[all], budget);
        Self {
            conditional: points.log_density(posterior),
            joint: densities.groups.squeeze_dim(1),
            marginals: densities.marginals,
            prior: standard_normal_log_density(points.z),
        }
    }

    /// Batch means of the three terms.
    pub fn terms(&self) -> AggregateTerms {
        let product = self.marginals.sum_dim_intlist(-1, false, None);
        AggregateTerms {
            mutual_information: (&self.conditional - &self.joint).mean(None),
            total_correlation: (&self.joint - &product).mean(None),
            dimension_wise_kl: (product - &self.prior).mean(None),
        }
    }
}

impl AggregateTerms {
    /// The terms that the same batch would give with every weight multiplied by `exp(log_factor)`, without a second pass: log q(z) and
    /// each of the `latent` marginals move by `log_factor`.
    ///
    /// MWS becomes Uniform with `log_factor` = ln N.
    pub fn with_weights_scaled(&self, log_factor: f64, latent: i64) -> Self {
        let dimensions = latent as f64;
        Self {
            mutual_information: &self.mutual_information - log_factor,
            total_correlation: &self.total_correlation + (1.0 - dimensions) * log_factor,
            dimension_wise_kl: &self.dimension_wise_kl + dimensions * log_factor,
        }
    }

    /// The terms with their names, in the order of the decomposition.
    pub fn named(&self) -> [(&'static str, &Tensor); 3] {
        [
            ("mutual_information", &self.mutual_information),
            ("total_correlation", &self.total_correlation),
            ("dimension_wise_kl", &self.dimension_wise_kl),
        ]
    }
}
