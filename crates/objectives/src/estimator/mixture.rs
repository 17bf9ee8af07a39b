//! A weighted mixture of Gaussians and its marginals, in logarithms, as the formula has it.
//!
//! Any weights, all of `[D, R, B]` in memory: the plain form that [`Estimator::group_densities`](super::Estimator::group_densities) is
//! tested and measured against.

use elbo_core::posterior::normal_log_density;
use tch::Tensor;

/// Log-densities of a mixture at R points.
#[derive(Debug)]
pub struct Mixture {
    /// `logsumexp_j(log w_ij + Σ_d ℓ_ijd)`, `[R]`.
    pub joint: Tensor,
    /// `logsumexp_j(log w_ij + ℓ_ijd)`, `[R, D]`.
    pub marginals: Tensor,
}

/// `ℓ_ijd = log N(z_id; μ_jd, σ_jd²)` for every point i and every component j: `[D, R, B]`.
///
/// Shapes: `z` `[R, D]`; `mean`, `log_var` `[B, D]`. The difference z − μ is taken before it is squared: expanding the square loses every
/// digit in float32 where σ is small. D comes first, so that the sums over j run along memory.
pub fn pairwise_log_density(z: &Tensor, mean: &Tensor, log_var: &Tensor) -> Tensor {
    let (points, components) = (z.size(), mean.size());
    assert_eq!(points.len(), 2, "z must be [R, D], got {points:?}");
    assert_eq!(points[1], components[1], "z and mean must have the same number of dimensions D");
    assert_eq!(components, log_var.size(), "mean and log_var must have one shape");
    let dimension_first = |t: &Tensor| t.transpose(0, 1).contiguous();
    normal_log_density(
        &dimension_first(z).unsqueeze(2),
        &dimension_first(mean).unsqueeze(1),
        &dimension_first(log_var).unsqueeze(1),
    )
}

/// The mixture `Σ_j w_ij N(z_i; μ_j, σ_j²)` and its marginals, each under the weights of its own row.
///
/// Shapes: `z` `[R, D]`; `mean`, `log_var` `[B, D]`; `log_weights` `[R, B]`. Rows are independent of each other, so that a caller who has
/// to save memory may pass them in blocks.
pub fn log_mixture(z: &Tensor, mean: &Tensor, log_var: &Tensor, log_weights: &Tensor) -> Mixture {
    let expected = [z.size()[0], mean.size()[0]];
    assert_eq!(log_weights.size(), expected, "log_weights must be [rows of z, rows of mean]");
    let pairwise = pairwise_log_density(z, mean, log_var);
    let joint = (pairwise.sum_dim_intlist(0, false, None) + log_weights).logsumexp(-1, false);
    let marginals = (pairwise + log_weights).logsumexp(-1, false).transpose(0, 1);
    Mixture { joint, marginals }
}
