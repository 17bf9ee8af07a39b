//! Second moments of the aggregate posterior, and their distance from those of N(0, I).

use elbo_core::Gaussian;
use tch::{Kind, Tensor};

/// Covariance of the means over the batch, with 1/B: `[B, D]` → `[D, D]`.
///
/// ```text
/// Cov[μ] = 1/B Σ_i (μ_i − μ̄)(μ_i − μ̄)ᵀ                                    docs/mathematics.md §5; Kumar et al. 2018, §3
/// ```
///
/// Centred before it is multiplied, so that means far from the origin keep their digits.
pub fn covariance(mean: &Tensor) -> Tensor {
    assert_eq!(mean.dim(), 2, "mean must be [B, D], got {:?}", mean.size());
    let centred = mean - mean.mean_dim(0, true, None::<Kind>);
    centred.transpose(0, 1).matmul(&centred) / mean.size()[0] as f64
}

/// Covariance of z under the aggregate posterior of the batch: `[D, D]`.
///
/// ```text
/// Cov[z] = Cov[μ] + E[diag σ²]                                              docs/mathematics.md §5; Kumar et al. 2018, §3
/// ```
///
/// The mean variance of each dimension goes on that dimension's diagonal element, and nowhere else.
pub fn aggregate_covariance(posterior: &Gaussian) -> Tensor {
    covariance(&posterior.mean) + posterior.log_var.exp().mean_dim(0, false, None::<Kind>).diag_embed(0, 0, 1)
}

/// `Σ_{i≠j} C_ij²`, each pair counted twice: `[D, D]` symmetric → scalar.
pub fn off_diagonal(covariance: &Tensor) -> Tensor {
    covariance.triu(1).square().sum(None) * 2.0
}

/// `Σ_i (C_ii − 1)²`: `[D, D]` → scalar.
pub fn diagonal(covariance: &Tensor) -> Tensor {
    (covariance.diagonal(0, 0, 1) - 1.0).square().sum(None)
}
