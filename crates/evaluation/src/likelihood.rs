//! How well a model explains held-out images, in nats: bounds on log p(x) and estimates of it, for every model alike
//! (docs/mathematics.md §1, §10).
//!
//! | module | what |
//! |---|---|
//! | [`split`] | ELBO, reconstruction and KL over every image of a split |
//! | [`importance`] | the importance-weighted bound of K samples |
//! | [`annealing`] | annealed importance sampling: chains that walk from the encoder's Gaussian to the posterior |
//! | [`mod@bidirectional`] | the same on simulated data in both directions: log p(x) from below and from above |
//! | [`pilot`] | step sizes for the chains, adapted before the run and frozen in it |
//! | [`runs`] | the two directions of a run along the path, over frozen kernels |
//! | [`hamiltonian`] | leapfrog trajectories and the Metropolis-corrected kernel |
//! | [`whitened`] | a model's posterior in the coordinates of its encoder |
//! | [`simulation`] | pictures drawn from p(x\|z) |
//! | [`mod@gaps`] | approximation gap and amortisation gap |
//!
//! All estimates are per image, `[B]` in float64; [`mean_over_images`] says what a whole set of them amounts to. The
//! model decodes in its own kind, which is that of the pictures. Whatever is decoded is decoded in blocks of bounded
//! size, so that memory does not grow with the number of samples or chains.

pub mod annealing;
pub mod bidirectional;
mod conditional;
pub mod gaps;
pub mod hamiltonian;
pub mod importance;
pub mod pilot;
pub mod runs;
pub mod simulation;
pub mod split;
pub mod whitened;

pub use annealing::{Annealed, Settings, annealed};
pub use bidirectional::{Bidirectional, bidirectional};
pub use gaps::{Bounds, Gaps, Refinement, bounds, gaps};
pub use importance::importance_weighted;
pub use split::{Code, Elbo, elbo};

use crate::exact::Estimate;
use tch::{Kind, Tensor};

/// Mean over images of a value `[B]`, and its standard error: the spread of the images over √B. One transfer to the
/// host.
///
/// The error of a single image is NaN: nothing is known of the spread.
pub fn mean_over_images(values: &Tensor) -> Estimate {
    assert!(values.dim() == 1 && values.numel() > 0, "values must be [B], B ≥ 1, got {:?}", values.size());
    let values: Vec<f64> = Vec::try_from(values.detach().to_kind(Kind::Double)).expect("float64 values");
    Estimate::of(&values)
}
