//! Distances between a batch of codes and samples of the prior, and dependence between groups of coordinates: pure functions on tensors.
//!
//! Everything here is computed from samples or moments of one batch, is differentiable with respect to them, and is free of the density
//! of either side. What is a kernel mean has the kernel's unit (a pure number) and is not in nats.
//!
//! | module | what |
//! |---|---|
//! | [`kernel`] | squared distances that do not cancel, [`Kernel`] |
//! | [`mmd`] | MMD² between two samples: biased, unbiased, linear-time |
//! | [`hsic`] | HSIC between two or more groups of coordinates: biased, unbiased, joint |
//! | [`covariance`] | the moments of DIP-VAE and their distance from those of the prior |
//! | [`config`] | [`Mmd`]: kernel, bandwidth and form of a configuration |

pub mod config;
pub mod covariance;
pub mod hsic;
pub mod kernel;
pub mod mmd;
mod positive;

pub use config::{KernelName, Mmd, MmdForm};
pub use kernel::Kernel;
pub use positive::Positive;
