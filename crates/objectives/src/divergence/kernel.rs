//! Positive definite kernels of the squared distance between codes.

use tch::Tensor;

/// `‖x_i − y_j‖²` between the rows of two sets: `[R, D]`, `[S, D]` → `[R, S]`.
///
/// Taken from the differences, never from `‖x‖² + ‖y‖² − 2⟨x, y⟩`, which loses every digit in float32 where the points lie further from the
/// origin than from each other: the relative error is a few roundings wherever the points are, the result is never negative, and its
/// gradient where two points coincide is 0. `[R, S, D]` is not built, neither here nor, on the CPU, in the backward pass; on a GPU libtorch's
/// backward pass holds it for a moment.
pub fn squared_distances(x: &Tensor, y: &Tensor) -> Tensor {
    let (rows, columns) = (points(x), points(y));
    assert_eq!(rows[1], columns[1], "both sets must have the same number of dimensions D");
    Tensor::cdist(x, y, 2.0, FROM_DIFFERENCES).square()
}

/// `‖x_i − x_j‖²` for every pair `i < j` of rows, `[R, D]` → `[R (R − 1)/2]`, in the order (0, 1), (0, 2), …; with the accuracy of
/// [`squared_distances`] at half of its cost.
pub fn squared_distances_within(x: &Tensor) -> Tensor {
    points(x);
    x.pdist(2.0).square()
}

/// `‖x_i − y_i‖²` row by row: `[R, D]`, `[R, D]` → `[R]`.
pub fn squared_distances_of_rows(x: &Tensor, y: &Tensor) -> Tensor {
    assert_eq!(points(x), points(y), "row by row, both sets must have one shape");
    (x - y).square().sum_dim_intlist(-1, false, None)
}

/// `compute_mode` of `cdist`: no matrix product, at any size.
const FROM_DIFFERENCES: i64 = 2;

fn points(x: &Tensor) -> Vec<i64> {
    assert_eq!(x.dim(), 2, "points must be [R, D], got {:?}", x.size());
    x.size()
}

/// A kernel k(a, b) that falls with the squared distance d² = ‖a − b‖².
#[derive(Debug, Clone, PartialEq)]
pub enum Kernel {
    /// `exp(−d²/(2 σ²))`, σ the bandwidth, a length.
    Rbf {
        /// σ.
        bandwidth: f64,
    },
    /// `C/(C + d²)`, C the bandwidth, a squared length. Its heavy tail still pulls at codes that lie far out (Tolstikhin et al. 2018, §4).
    InverseMultiquadratic {
        /// C.
        bandwidth: f64,
    },
    /// `Σ_s s C/(s C + d²)`: inverse multiquadratic kernels of several widths at once. Tolstikhin's code has C = 2 D for a standard normal
    /// prior in D dimensions, and the seven scales 0.1, 0.2, 0.5, 1, 2, 5, 10.
    MultiScale {
        /// C.
        bandwidth: f64,
        /// The scales s.
        scales: Vec<f64>,
    },
}

impl Kernel {
    /// k at squared distances of any shape.
    pub fn at(&self, squared_distances: &Tensor) -> Tensor {
        match self {
            Self::Rbf { bandwidth } => (squared_distances * (-0.5 / bandwidth.powi(2))).exp(),
            Self::InverseMultiquadratic { bandwidth } => inverse_multiquadratic(squared_distances, *bandwidth),
            Self::MultiScale { bandwidth, scales } => {
                let at = |scale: &f64| inverse_multiquadratic(squared_distances, scale * bandwidth);
                scales.iter().map(at).reduce(|sum, kernel| sum + kernel).expect("a multi-scale kernel must have scales")
            }
        }
    }

    /// k(a, a), the largest value.
    pub fn at_zero(&self) -> f64 {
        match self {
            Self::Rbf { .. } | Self::InverseMultiquadratic { .. } => 1.0,
            Self::MultiScale { scales, .. } => scales.len() as f64,
        }
    }
}

/// `C/(C + d²)`, divided through by C, so that neither a small C nor a large d² makes it 0/0 or ∞/∞.
fn inverse_multiquadratic(squared_distances: &Tensor, bandwidth: f64) -> Tensor {
    (squared_distances * (1.0 / bandwidth) + 1.0).reciprocal()
}
