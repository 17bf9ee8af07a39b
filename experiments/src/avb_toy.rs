//! Four points in two latent dimensions: what a Gaussian posterior costs, and what an implicit one gains.
//!
//! Mescheder et al. 2017, Sec. 5.1: x is one of four one-hot vectors. The best q(z|x) tile the prior, so that q(z) = p(z) and the
//! log-likelihood is −ln 4; no diagonal Gaussians can.
//!
//! | module | what |
//! |---|---|
//! | [`settings`] | the settings that are shipped, and files of one's own |
//! | [`training`] | the two models, trained |
//! | [`grid`] | log p(x), and every term of a Gaussian posterior, by a sum over the plane |
//! | [`histogram`], [`samples`] | the terms of an implicit posterior from its samples |
//! | [`report`], [`picture`] | figures with their errors as a table and as JSON; both posteriors |

pub mod grid;
pub mod histogram;
pub mod picture;
pub mod report;
pub mod samples;
pub mod settings;
pub mod training;

pub use report::{Figures, Measured};
pub use settings::Settings;
