//! Mutual information, total correlation and dimension-wise KL from the densities of a batch.

use super::{Estimator, GroupDensities, MemoryBudget, Points};
use elbo_core::Gaussian;
use elbo_core::posterior::standard_normal_log_density;
use tch::Tensor;

/// Log-densities of one batch's samples, in nats; everything the three terms are made of.
#[derive(Debug)]
pub struct Densities {
    /// `log q(z_i|x_i)`, `[B]`.
    pub conditional: Tensor,
    /// Estimate of `log q(z_i)`, `[B]`.
    pub joint: Tensor,
    /// Estimates of `log q(z_id)`, `[B, D]`.
    pub marginals: Tensor,
    /// `log p(z_i)`, `[B]`.
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
        assert_eq!(
            z.size(),
            posterior.mean.size(),
            "z must have the shape of the posterior's mean: one sample per row"
        );
        Self::estimate_at(estimator, posterior, Points::of_each_row(z), dataset_len, MemoryBudget::of(z.device()))
    }

    /// The densities at any number of points, each drawn from the row of `posterior` that it names. Shapes have R in the place of B.
    ///
    /// # Panics
    /// As [`Densities::estimate`].
    pub fn estimate_at(
        estimator: Estimator,
        posterior: &Gaussian,
        points: Points<'_>,
        dataset_len: i64,
        budget: MemoryBudget,
    ) -> Self {
        let all: Vec<i64> = (0..posterior.mean.size()[1]).collect();
        let GroupDensities { groups, marginals } =
            estimator.group_densities(points, posterior, dataset_len, &[all], budget);
        let conditional = match points.own {
            None => posterior.log_density(points.z),
            Some(own) => {
                let row = |t: &Tensor| t.index_select(0, own);
                Gaussian::new(row(&posterior.mean), row(&posterior.log_var)).log_density(points.z)
            }
        };
        Self { conditional, joint: groups.squeeze_dim(1), marginals, prior: standard_normal_log_density(points.z) }
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
