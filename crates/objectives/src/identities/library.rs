//! The library's own densities and divergences, called with plain numbers: one side of a comparison is then the code that trains.

use elbo_core::posterior::{kl_between_normals, kl_to_standard_normal};
use tch::Tensor;

/// A row `[1, D]`.
fn row(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).unsqueeze(0)
}

/// The only element.
pub(super) fn number(tensor: &Tensor) -> f64 {
    f64::try_from(tensor.sum(None)).expect("one number")
}

/// All elements.
pub(super) fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.flatten(0, -1)).expect("float64")
}

fn log_var(deviations: &[f64]) -> Tensor {
    row(deviations).log() * 2.0
}

/// `KL(N(mean, diag deviation²) ‖ N(0, I))`.
pub(super) fn kl_to_prior(means: &[f64], deviations: &[f64]) -> f64 {
    number(&kl_to_standard_normal(&row(means), &log_var(deviations)))
}

/// KL between two diagonal Gaussians, each (means, deviations).
pub(super) fn kl_between(one: (&[f64], &[f64]), other: (&[f64], &[f64])) -> f64 {
    number(&kl_between_normals(&row(one.0), &log_var(one.1), &row(other.0), &log_var(other.1)))
}
