//! The ELBO and its decompositions as training objectives, and the estimators of q(z) they stand on.
//!
//! An objective is a pure function of a forward pass; the struct of its weights is its configuration. Everything is in nats; a
//! log-likelihood is summed over pixels, a KL over latent dimensions, both averaged over the batch.
//!
//! | module | what |
//! |---|---|
//! | [`objective`] | the trait [`Objective`], and [`Terms`]: one loss and its named, unweighted parts |
//! | [`single`] | [`SingleObjective`]: any objective as an [`Algorithm`](elbo_core::Algorithm) |
//! | [`elbo`], [`beta_vae`], [`beta_tcvae`] | the objectives |
//! | [`estimator`] | q(z) and its marginals from one batch: MWS, uniform, MSS, Balanced, Exact |
//! | [`testing`] | the conformance suite for objectives, ours and yours |

pub mod beta_tcvae;
pub mod beta_vae;
pub mod elbo;
pub mod estimator;
pub mod objective;
pub mod single;
pub mod testing;

pub use beta_tcvae::BetaTcVae;
pub use beta_vae::BetaVae;
pub use elbo::Elbo;
pub use estimator::Estimator;
pub use objective::{ElboParts, Objective, Terms};
pub use single::SingleObjective;
