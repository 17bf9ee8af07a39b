//! log q(z) of groups of coordinates and of each coordinate, from the rows of a batch.

use super::blocks::{LogDensities, Problem};
use super::{Estimator, MemoryBudget};
use elbo_core::Gaussian;
use tch::{Tensor, no_grad};

/// Points at which a mixture is evaluated, and the rows of the batch they were drawn from.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// `[R, D]`.
    pub z: &'a Tensor,
    /// Row of the batch that each point was drawn from, Int64 `[R]`; without it point i belongs to row i, and R = B.
    pub own: Option<&'a Tensor>,
}

/// Log-densities of the aggregate posterior in nats.
#[derive(Debug)]
pub struct GroupDensities {
    /// `log q(z_g)` for each group g of coordinates, `[R, G]`.
    pub groups: Tensor,
    /// `log q(z_d)` for each coordinate, `[R, D]`.
    pub marginals: Tensor,
}

impl<'a> Points<'a> {
    /// One sample of each row, in their order.
    pub fn of_each_row(z: &'a Tensor) -> Self {
        Self { z, own: None }
    }
}

impl Estimator {
    /// Estimates of `log q(z_g)` for each of `groups` (lists of dimensions, which may overlap) and of every `log q(z_d)`, from the rows of
    /// `posterior` as a batch of `dataset_len` examples.
    ///
    /// Works through blocks of points that fit `budget`, in the forward pass and again in the backward pass; nothing of size `[R, B, D]` is
    /// kept. Differentiable once, with respect to z, mean and log-variance. The result does not depend on the budget but for rounding.
    ///
    /// ```
    /// use elbo_core::Gaussian;
    /// use elbo_objectives::Estimator;
    /// use elbo_objectives::estimator::{MemoryBudget, Points};
    /// use tch::{Device, Kind, Tensor};
    ///
    /// let standard = || Tensor::zeros([4, 2], (Kind::Double, Device::Cpu));
    /// let posterior = Gaussian::new(standard(), standard());
    /// let (z, budget) = (standard(), MemoryBudget::of(Device::Cpu));
    /// let found = Estimator::Uniform.group_densities(Points::of_each_row(&z), &posterior, 100, &[vec![0, 1]], budget);
    /// // Four equal components: log N(0; 0, I) in two dimensions is −ln 2π.
    /// let log_two_pi = (2.0 * std::f64::consts::PI).ln();
    /// assert!((found.groups.double_value(&[0, 0]) + log_two_pi).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses, and for shapes or dimensions that do not fit.
    pub fn group_densities(
        self,
        points: Points<'_>,
        posterior: &Gaussian,
        dataset_len: i64,
        groups: &[Vec<i64>],
        budget: MemoryBudget,
    ) -> GroupDensities {
        let (size, components) = (points.z.size(), posterior.mean.size());
        assert!(size.len() == 2 && size[1] == components[1], "z must be [R, {}], got {size:?}", components[1]);
        match points.own {
            None => assert_eq!(size[0], components[0], "without own rows there must be one point for each row"),
            Some(own) => assert_eq!(own.size(), size[..1], "own must be [R], a row of the batch for each point"),
        }
        let (problem, densities) = no_grad(|| {
            let problem = Problem::new((points.z, points.own), posterior, (self, dataset_len), groups, budget);
            let densities = problem.log_densities();
            (problem, densities)
        });
        let outputs = [densities.groups.shallow_clone(), densities.marginals.shallow_clone()];
        let kept = LogDensities { groups: densities.groups.detach(), marginals: densities.marginals.detach() };
        let backward = move |cotangents: &[Option<Tensor>]| {
            problem.gradients(&kept, cotangents[0].as_ref(), cotangents[1].as_ref()).map(Some).into()
        };
        let inputs = [points.z, &posterior.mean, &posterior.log_var];
        let outputs = elbo_native::with_gradient(&inputs, &outputs, backward);
        let [groups, marginals] = outputs
            .expect("inputs and outputs are there, and the outputs have no graph")
            .try_into()
            .expect("as many outputs as went in");
        GroupDensities { groups, marginals }
    }
}
