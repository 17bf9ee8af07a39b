//! How far each estimator of q(z), and its gradient, is from the exact term: measured on Gaussian codes.
//!
//! ```text
//! value     mean over batches of the estimate − exact term        docs/mathematics.md §3
//! gradient  of the same, with respect to an affine map of all codes: μ ← A μ + a, log σ² ← log σ² + s, at A = I, a = s = 0
//! ```
//!
//! The map stands for an encoder: its D² + 2 D parameters are shared by all examples, so that gradients of a batch and of the whole data set
//! are of one kind and can be compared by direction and length.

pub mod codes;
mod measure;
pub mod report;

pub use codes::StudyCodes;
pub use measure::{Measurement, Settings, TERMS, measure};
