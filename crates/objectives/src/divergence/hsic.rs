//! The Hilbert–Schmidt independence criterion: how far codes are from independent groups of coordinates, from kernel matrices.
//!
//! ```text
//! HSIC(a, b) = MMD²(P(a, b), P(a) P(b)) under the product kernel k(a, a') l(b, b')                     Gretton et al. 2005
//! ```
//!
//! Zero exactly when a and b are independent, for the kernels here. A kernel matrix is `[B, B]`, `K_ij = k(a_i, a_j)`
//! ([`gram`]); results are scalars with the kernels' unit.

use super::kernel::{Kernel, squared_distances};
use tch::{Kind, Tensor};

/// `k(a_i, a_j)` for all rows of `points` (`[B, D]`): `[B, B]`.
pub fn gram(points: &Tensor, kernel: &Kernel) -> Tensor {
    kernel.at(&squared_distances(points, points))
}

/// HSIC of the empirical distribution (V-statistic).
///
/// ```text
/// 1/B² tr(K H L H),    H = I − 1/B                                                          Gretton et al. 2005, §3, with 1/B²
/// ```
///
/// Never negative; its mean is off by a share of 1/B, upwards where the two are independent. The paper prints 1/(B − 1)²: multiply by
/// `(B/(B − 1))²`, which is not unbiased either.
pub fn biased(first: &Tensor, second: &Tensor) -> Tensor {
    let batch = rows_of(&[first, second]) as f64;
    // H is idempotent: centring both sides keeps digits that K would lose against its own mean.
    (centred(first) * centred(second)).sum(None) / batch.powi(2)
}

/// HSIC without bias.
///
/// ```text
/// 1/(B (B − 3)) [tr(K̃ L̃) + 1ᵀK̃1 1ᵀL̃1/((B − 1)(B − 2)) − 2/(B − 2) 1ᵀK̃L̃1],    K̃ = K without its diagonal      Song et al. 2012
/// ```
///
/// Computed as `1/(B (B − 3)) Σ_{i≠j} A_ij B_ij` of both matrices centred so that every row sums to zero without the diagonal, which is the
/// same number with less cancellation. May be negative.
///
/// # Panics
/// For fewer than four rows.
pub fn unbiased(first: &Tensor, second: &Tensor) -> Tensor {
    let batch = rows_of(&[first, second]);
    assert!(batch >= 4, "the unbiased HSIC needs four rows, got {batch}");
    let scale = (batch * (batch - 3)) as f64;
    (centred_without_diagonal(first) * centred_without_diagonal(second)).sum(None) / scale
}

/// HSIC of any number of groups against their joint independence (dHSIC, V-statistic); of two groups it is [`biased`].
///
/// ```text
/// 1/B² Σ_ij Π_g K^g_ij + Π_g (1/B² Σ_ij K^g_ij) − 2/B Σ_i Π_g (1/B Σ_j K^g_ij)                       Pfister et al. 2018
/// ```
///
/// Three means that nearly cancel: in float32 the result has an absolute error of about 1e-7 times the kernels at zero.
///
/// # Panics
/// For fewer than two groups.
pub fn joint(grams: &[Tensor]) -> Tensor {
    assert!(grams.len() >= 2, "dHSIC compares at least two groups, got {}", grams.len());
    rows_of(&grams.iter().collect::<Vec<_>>());
    let product =
        |factors: Vec<Tensor>| factors.into_iter().reduce(|product, factor| product * factor).expect("groups");
    let row_means: Vec<Tensor> = grams.iter().map(|gram| gram.mean_dim(-1, false, None::<Kind>)).collect();
    let together = product(grams.iter().map(Tensor::shallow_clone).collect()).mean(None);
    let apart = product(row_means.iter().map(|means| means.mean(None)).collect());
    together + apart - product(row_means).mean(None) * 2.0
}

/// H K H.
fn centred(gram: &Tensor) -> Tensor {
    let rows = gram.mean_dim(-1, true, None::<Kind>);
    gram - &rows - rows.transpose(0, 1) + rows.mean(None)
}

/// Off the diagonal `K_ij − (row_i + row_j)/(B − 2) + total/((B − 1)(B − 2))`, the sums without the diagonal; zero on it.
fn centred_without_diagonal(gram: &Tensor) -> Tensor {
    let batch = gram.size()[0];
    let diagonal = Tensor::eye(batch, (Kind::Bool, gram.device()));
    let batch = batch as f64;
    let rows = gram.masked_fill(&diagonal, 0.0).sum_dim_intlist(-1, true, None::<Kind>);
    let total = rows.sum(None) / ((batch - 1.0) * (batch - 2.0));
    let rows = rows / (batch - 2.0);
    (gram - &rows - rows.transpose(0, 1) + total).masked_fill(&diagonal, 0.0)
}

fn rows_of(grams: &[&Tensor]) -> i64 {
    let size = grams[0].size();
    assert!(size.len() == 2 && size[0] == size[1], "a kernel matrix must be [B, B], got {size:?}");
    assert!(grams.iter().all(|gram| gram.size() == size), "kernel matrices of one batch must have one size");
    size[0]
}
