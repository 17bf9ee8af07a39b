//! Densities of groups of latent dimensions under one weighted mixture.

use super::{Estimator, MemoryBudget, pairwise_log_density};
use elbo_core::Gaussian;
use elbo_core::posterior::normal_log_density;
use tch::{Kind, Tensor};

/// Points at which q(z) is asked for, and the row of the batch that each was drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// `[R, D]`.
    pub z: &'a Tensor,
    /// Row of each point's own example in the batch, Int64 `[R]`. Without it, point i belongs to row i, and R = B.
    pub own: Option<&'a Tensor>,
}

impl Points<'_> {
    /// `log q(z_i|x_i)` under each point's own row of `posterior`, `[R]`.
    pub fn log_density(&self, posterior: &Gaussian) -> Tensor {
        let Some(own) = self.own else { return posterior.log_density(self.z) };
        let rows = |t: &Tensor| t.index_select(0, own);
        normal_log_density(self.z, &rows(&posterior.mean), &rows(&posterior.log_var)).sum_dim_intlist(-1, false, None)
    }

    /// # Panics
    /// For shapes that do not fit.
    fn check(&self, posterior: &Gaussian) {
        let (points, components) = (self.z.size(), posterior.mean.size());
        assert!(
            points.len() == 2 && points[1] == components[1],
            "z must be [R, {}], as the posterior's mean has it; got {points:?}",
            components[1]
        );
        match self.own {
            None => assert_eq!(points, components, "z must have the shape of the posterior's mean: one sample per row"),
            Some(own) => {
                assert_eq!(own.size(), points[..1], "own must be [R], a row of the batch for each point");
                assert_eq!(own.kind(), Kind::Int64, "own must hold row numbers (Int64)");
            }
        }
    }
}

/// Log-densities under a mixture, in nats.
#[derive(Debug)]
pub struct GroupDensities {
    /// `log q(z_g)` of each group g of dimensions, `[R, G]`.
    pub groups: Tensor,
    /// `log q(z_d)`, `[R, D]`.
    pub marginals: Tensor,
}

impl Estimator {
    /// `log q(z_g)` of groups of dimensions, and `log q(z_d)` of each dimension, at `points`, q(z) as this estimator has it from the batch
    /// `posterior` for a data set of `dataset_len` examples.
    ///
    /// ```text
    /// log q(z_g) = logsumexp_j(log w_ij + Σ_{d ∈ g} ℓ_ijd),   ℓ_ijd = log N(z_id; μ_jd, σ_jd²)          docs/mathematics.md §3.1
    /// ```
    ///
    /// `groups` are lists of dimensions, which may overlap. Gradients flow to `z`, mean and log-variance.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses, and for shapes or groups that do not fit.
    pub fn group_densities(
        self,
        points: &Points<'_>,
        posterior: &Gaussian,
        dataset_len: i64,
        groups: &[Vec<i64>],
        budget: MemoryBudget,
    ) -> GroupDensities {
        let _ = budget;
        points.check(posterior);
        let (z, batch) = (points.z, posterior.mean.size()[0]);
        let log_weights = match points.own {
            None => self.log_weights(0..batch, batch, dataset_len, (z.kind(), z.device())),
            Some(own) => self.log_weights_of(own, batch, dataset_len, z.kind()),
        };
        let pairwise = pairwise_log_density(z, &posterior.mean, &posterior.log_var);
        let of_group = |group: &Vec<i64>| {
            assert!(!group.is_empty(), "a group needs at least one dimension");
            let sum: Tensor = group.iter().map(|&dimension| pairwise.select(0, dimension)).sum();
            (sum + &log_weights).logsumexp(-1, false)
        };
        let groups: Vec<Tensor> = groups.iter().map(of_group).collect();
        let marginals = (&pairwise + &log_weights).logsumexp(-1, false).transpose(0, 1);
        GroupDensities { groups: Tensor::stack(&groups, 1), marginals }
    }
}
