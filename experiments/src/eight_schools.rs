//! Eight schools: a posterior that is known, and how near adversarial variational Bayes comes to it.
//!
//! ```text
//! KL(q ‖ posterior) = E_q log q − E_q log p(z, y) + log p(y)                docs/mathematics.md §7; Mescheder et al. 2017, §5.1
//! ```
//!
//! Eight of ten dimensions integrate out, so that log p(y) and the posterior of (μ, τ) are exact on a grid. The divergence of a Gaussian
//! is exact too. An implicit q has no density: its divergence is estimated from samples by nearest neighbours, by the same estimator
//! that is read on the Gaussians beside their exact figures.
//!
//! | module | what |
//! |---|---|
//! | [`model`] | the joint density and the grid |
//! | [`mod@hmc`] | the reference: Hamiltonian Monte Carlo |
//! | [`diagnostics`] | R̂ and effective samples of chains |
//! | [`gaussians`] | mean-field and full-rank Gaussians at an exact ELBO |
//! | [`avb`] | an implicit q and its critic, with and without adaptive contrast |
//! | [`modes`] | how many modes samples have |
//! | [`mod@study`] | all of it, every approximation read alike |
//! | [`report`], [`pictures`] | what is shown |
//! | [`settings`] | what it is made with |

pub mod avb;
pub mod diagnostics;
pub mod gaussians;
pub mod hmc;
pub mod model;
pub mod modes;
pub mod pictures;
pub mod report;
pub mod settings;
pub mod study;

pub use settings::Settings;
pub use study::{Study, study};
