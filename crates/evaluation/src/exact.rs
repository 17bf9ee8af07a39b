//! The terms of the KL over a whole data set: the quantities themselves, where a minibatch has only estimates of them.
//!
//! ```text
//! q(z) = 1/N Σ_n N(z; μ_n, σ_n²)                                                       docs/mathematics.md §3
//!
//! MI   = E[log q(z|x) − log q(z)]       TC = E[log q(z) − Σ_d log q(z_d)]       DWKL = E[Σ_d log q(z_d) − log p(z)]
//! ```
//!
//! log q(z) and every `log q(z_d)` are evaluated exactly, as mixtures over all N encodings; the expectation is the mean over S samples of
//! q(z), and all the error there is. It is reported: an [`Estimate`] is a value with its standard error.
//!
//! The work is N·S·D exponentials, over blocks that fit a [`MemoryBudget`]; memory does not grow with N·S. What a minibatch would have
//! made of the same codes stands in [`minibatch`].

mod densities;
pub mod minibatch;

pub use densities::{Densities, mixture_log_density};
pub use elbo_objectives::estimator::MemoryBudget;

use elbo_core::Gaussian;
use serde::Serialize;
use tch::{Kind, Tensor};

/// A mean over independent samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean.
    pub value: f64,
    /// Its standard error: the samples' standard deviation over √S.
    pub standard_error: f64,
}

/// KL(q(z|x) ‖ p(z)) taken apart, in nats. The three terms add up to `kl_sampled`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decomposition {
    /// I(x; z), at most ln N.
    pub mutual_information: Estimate,
    /// `KL(q(z) ‖ Π_d q(z_d))`.
    pub total_correlation: Estimate,
    /// `Σ_d KL(q(z_d) ‖ p(z_d))`.
    pub dimension_wise_kl: Estimate,
    /// The sum of the three from the same samples: mean log q(z|x) − log p(z).
    pub kl_sampled: Estimate,
    /// Summands of `dimension_wise_kl`, `KL(q(z_d) ‖ p(z_d))` for each d.
    pub marginal_kl: Vec<Estimate>,
    /// Entropy of each coordinate, `−E[log q(z_d)]`; ½ ln 2πe = 1.419 for one that carries nothing.
    pub marginal_entropy: Vec<Estimate>,
    /// KL(q(z|x) ‖ p(z)) in closed form, averaged over all N encodings: no sampling error.
    pub kl_analytic: f64,
}

/// Samples of the aggregate posterior, with the encodings they came from.
#[derive(Debug)]
pub struct Samples {
    /// z, `[S, D]`.
    pub z: Tensor,
    /// Row of the encodings that each z was drawn from, Int64 `[S]`.
    pub own: Tensor,
}

/// Told how many of how many samples are done; an error of its own, such as an interruption, ends the work.
pub type Progress<'a> = dyn FnMut(usize, usize) -> anyhow::Result<()> + 'a;

/// The decomposition of the KL under the mixture of all rows of `encodings`.
///
/// Shapes: `encodings` `[N, D]`; `samples` z `[S, D]` and own `[S]`, S ≥ 2; all on one device. Differences and exponentials are in the
/// kind of `encodings`, sums over N in float64. Standard errors take the samples as independent; where `own` visits every example equally
/// often they are upper bounds.
///
/// # Panics
/// For shapes that do not fit.
pub fn decompose(encodings: &Gaussian, samples: &Samples, budget: MemoryBudget) -> Decomposition {
    Densities::of(encodings, samples, budget).decompose(encodings)
}

impl Densities {
    /// Means and standard errors of the terms; one transfer to the host. `encodings` are those of [`Densities::of`].
    pub fn decompose(&self, encodings: &Gaussian) -> Decomposition {
        tch::no_grad(|| {
            let wide = |t: &Tensor| t.to_kind(Kind::Double);
            let kl_analytic = Gaussian::new(wide(&encodings.mean), wide(&encodings.log_var)).kl_to_prior().mean(None);
            let prior = self.prior.sum_dim_intlist(-1, false, None);
            let product = self.marginals.sum_dim_intlist(-1, false, None);
            let terms = [
                &self.conditional - &self.joint,
                &self.joint - &product,
                &product - &prior,
                &self.conditional - &prior,
            ];
            // One column per term: MI, TC, DWKL, their sum, then the marginal KLs and the marginal entropies.
            let columns = Tensor::cat(&[Tensor::stack(&terms, 1), &self.marginals - &self.prior, -&self.marginals], 1);
            let (count, latent) = (columns.size()[0], self.marginals.size()[1] as usize);
            assert!(count >= 2, "a standard error needs at least 2 samples, got {count}");
            let standard_errors = columns.std_dim(0, true, false) / (count as f64).sqrt();
            let host = Tensor::cat(&[columns.mean_dim(0, false, None), standard_errors, kl_analytic.view(1)], 0);
            let host: Vec<f64> = Vec::try_from(host).expect("float64 values");
            let width = columns.size()[1] as usize;
            let estimate = |column: usize| Estimate { value: host[column], standard_error: host[width + column] };
            Decomposition {
                mutual_information: estimate(0),
                total_correlation: estimate(1),
                dimension_wise_kl: estimate(2),
                kl_sampled: estimate(3),
                marginal_kl: (4..4 + latent).map(estimate).collect(),
                marginal_entropy: (4 + latent..4 + 2 * latent).map(estimate).collect(),
                kl_analytic: host[2 * width],
            }
        })
    }
}

impl Estimate {
    /// The mean of independent values, with its standard error; that of a single value is NaN, for nothing is known of the spread.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let value = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|other| (other - value).powi(2)).sum::<f64>() / (count - 1.0);
        Self { value, standard_error: (variance / count).sqrt() }
    }
}
