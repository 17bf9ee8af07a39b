//! The maximum mean discrepancy between two distributions, from samples of both.
//!
//! ```text
//! MMD²(P, Q) = E k(x, x') + E k(y, y') − 2 E k(x, y)          x, x' ~ P;  y, y' ~ Q;        Gretton et al. 2012, Lemma 6
//! ```
//!
//! Zero exactly when P = Q, for each of the kernels here. Three estimates of it:
//!
//! | | mean | value | cost |
//! |---|---|---|---|
//! | [`biased`] | too high by (k(0) − E k(x, x'))/R + (k(0) − E k(y, y'))/S | ≥ 0 | R S |
//! | [`unbiased`] | MMD² | may be negative | R S |
//! | [`linear_time`] | MMD² | may be negative, with more spread | R |
//!
//! The bias has a gradient: [`biased`] also rewards codes that lie closer together than the prior's samples do.
//! Results are scalars with the kernel's unit. `x` `[R, D]`, `y` `[S, D]`, both of one kind.

use super::kernel::{Kernel, squared_distances, squared_distances_of_rows, squared_distances_within};
use tch::Tensor;

/// MMD² as the distance of two empirical distributions, every pair counted, a point with itself too (V-statistic).
///
/// ```text
/// 1/R² Σ_ij k(x_i, x_j) + 1/S² Σ_ij k(y_i, y_j) − 2/(R S) Σ_ij k(x_i, y_j)                    Gretton et al. 2012, Eq. 5
/// ```
///
/// Zero for equal samples; never negative but for rounding.
pub fn biased(x: &Tensor, y: &Tensor, kernel: &Kernel) -> Tensor {
    let within = |points: &Tensor| {
        let count = points.size()[0] as f64;
        let pairs = kernel.at(&squared_distances_within(points)).sum(None);
        pairs * (2.0 / count.powi(2)) + kernel.at_zero() / count
    };
    within(x) + within(y) - kernel.at(&squared_distances(x, y)).mean(None) * 2.0
}

/// MMD² without bias: a point's kernel with itself is left out (U-statistic).
///
/// ```text
/// 1/(R (R − 1)) Σ_{i≠j} k(x_i, x_j) + 1/(S (S − 1)) Σ_{i≠j} k(y_i, y_j) − 2/(R S) Σ_ij k(x_i, y_j)     Gretton et al. 2012, Eq. 3
/// ```
///
/// # Panics
/// For fewer than two points on either side.
pub fn unbiased(x: &Tensor, y: &Tensor, kernel: &Kernel) -> Tensor {
    let within = |points: &Tensor| {
        assert!(points.size()[0] >= 2, "the unbiased MMD² needs two points of each sample, got {:?}", points.size());
        kernel.at(&squared_distances_within(points)).mean(None)
    };
    within(x) + within(y) - kernel.at(&squared_distances(x, y)).mean(None) * 2.0
}

/// MMD² without bias from every point used once: time and memory grow with B, not with B².
///
/// ```text
/// 2/B Σ_i [k(x_2i, x_2i+1) + k(y_2i, y_2i+1) − k(x_2i, y_2i+1) − k(x_2i+1, y_2i)]                     Gretton et al. 2012, Lemma 14
/// ```
///
/// The last of an odd number of rows is left out. Shapes: `x`, `y` `[B, D]`.
///
/// # Panics
/// For fewer than two rows, or different numbers of them.
pub fn linear_time(x: &Tensor, y: &Tensor, kernel: &Kernel) -> Tensor {
    assert_eq!(x.size(), y.size(), "the linear-time MMD² pairs the rows of x and y: both must be [B, D]");
    let pairs = x.size()[0] / 2;
    assert!(pairs >= 1, "the linear-time MMD² needs two points of each sample, got {:?}", x.size());
    let halves = |points: &Tensor| (points.slice(0, 0, 2 * pairs, 2), points.slice(0, 1, 2 * pairs, 2));
    let ((x, next_x), (y, next_y)) = (halves(x), halves(y));
    let at = |a: &Tensor, b: &Tensor| kernel.at(&squared_distances_of_rows(a, b));
    (at(&x, &next_x) + at(&y, &next_y) - at(&x, &next_y) - at(&next_x, &y)).mean(None)
}
