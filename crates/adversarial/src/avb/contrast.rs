//! What q(z|x) is contrasted with: the prior, or a Gaussian with its moments.

use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Gaussian, Posterior, choices};
use tch::Tensor;

choices! {
    /// A choice of r(z|x).
    pub enum ContrastName {
        /// The prior: r = p.
        Prior = "prior",
        /// A Gaussian with the moments of q(z|x), which the encoder has to know.
        Moments = "moments",
        /// A Gaussian with the moments of the batch's own codes: for data where every row has the same x.
        BatchMoments = "batch-moments",
    }
}

/// Added to every variance: σ² = Var + 1e−4, in z̃ and in log r alike. Mescheder et al. use the same number in z̃.
pub const VARIANCE_FLOOR: f64 = 1e-4;

/// r(z|x) for the rows of a batch.
///
/// Its moments are constants: without gradient wherever they stand. One σ whitens z and stands in log r; with two, T* + log r is not log q,
/// as in the published code of the method (docs/mathematics.md §7).
#[derive(Debug)]
pub struct Reference {
    /// Mean and log σ; `None` for the prior.
    moments: Option<(Tensor, Tensor)>,
}

impl Reference {
    /// As `name` says, for a posterior and its samples `z` (`[B, D]`).
    ///
    /// # Panics
    /// For [`ContrastName::Moments`] where the posterior has none.
    pub fn new(name: ContrastName, posterior: &Posterior, z: &Tensor) -> Self {
        match name {
            ContrastName::Prior => Self::prior(),
            ContrastName::Moments => Self::of(posterior.moments().expect("the posterior has no moments")),
            ContrastName::BatchMoments => Self::of_batch(z),
        }
    }

    /// The prior.
    pub fn prior() -> Self {
        Self { moments: None }
    }

    /// N(mean, variance + [`VARIANCE_FLOOR`]) for every row.
    pub fn of(moments: &Gaussian) -> Self {
        Self::with_variance(moments.mean.detach(), &moments.log_var.detach().exp())
    }

    /// The same for all rows, with mean and (biased) variance of the rows themselves.
    pub fn of_batch(z: &Tensor) -> Self {
        let z = z.detach();
        let mean = z.mean_dim(0, true, None);
        let variance = (&z - &mean).square().mean_dim(0, true, None);
        Self::with_variance(mean, &variance)
    }

    fn with_variance(mean: Tensor, variance: &Tensor) -> Self {
        Self { moments: Some((mean, (variance + VARIANCE_FLOOR).log() * 0.5)) }
    }

    /// z̃ = (z − μ)/σ, `[B, D]`: standard normal where z is a sample of r. z itself for the prior.
    pub fn whiten(&self, z: &Tensor) -> Tensor {
        match &self.moments {
            None => z.shallow_clone(),
            Some((mean, log_scale)) => (z - mean) * (-log_scale).exp(),
        }
    }

    /// log r(z|x) − log p(z) in nats, `[B]`; `None` for the prior, where it is 0.
    pub fn log_ratio_to_prior(&self, z: &Tensor) -> Option<Tensor> {
        self.moments.as_ref().map(|_| self.log_density(z) - standard_normal_log_density(z))
    }

    /// log r(z|x) in nats, `[B]`: `log N(z̃; 0, I) − Σ_d log σ_d`.
    pub fn log_density(&self, z: &Tensor) -> Tensor {
        let whitened = standard_normal_log_density(&self.whiten(z));
        match &self.moments {
            None => whitened,
            Some((_, log_scale)) => whitened - log_scale.sum_dim_intlist(-1, false, None),
        }
    }
}
