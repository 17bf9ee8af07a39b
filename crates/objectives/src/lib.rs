//! The ELBO and its decompositions as training objectives, and the estimators of q(z) they stand on.
//!
//! An objective is a pure function of a forward pass; the struct of its weights is its configuration. Everything is in nats; a
//! log-likelihood is summed over pixels, a KL over latent dimensions, both averaged over the batch.
//!
//! | module | what |
//! |---|---|
//! | [`objective`] | the trait [`Objective`], and [`Terms`]: one loss and its named, unweighted parts |
//! | [`single`] | [`SingleObjective`]: any objective as an [`Algorithm`](elbo_core::Algorithm) |
//! | [`elbo`], [`beta_vae`], [`beta_tcvae`], [`capacity`], [`free_bits`] | the ELBO and what weighs its KL or the KL's parts |
//! | [`iwae`], [`sticking_the_landing`] | the K-sample bound, and the ELBO with a gradient of less noise |
//! | [`info_vae`], [`wae_mmd`], [`dip_vae`], [`hsic_vae`] | those that hold q(z) to the prior, or its groups apart |
//! | [`hfvae`], [`groups`] | the total correlation along nested groups of dimensions |
//! | [`divergence`] | kernels, MMD, HSIC, covariances: regularisers that need samples or moments only |
//! | [`estimator`] | q(z) and its marginals from one batch: MWS, uniform, MSS, Balanced, Exact |
//! | [`identities`] | every identity of `docs/mathematics.md`, left and right side, on random models |
//! | [`testing`] | the conformance suite for objectives, ours and yours |

pub mod beta_tcvae;
pub mod beta_vae;
pub mod capacity;
pub mod dip_vae;
pub mod divergence;
pub mod elbo;
pub mod estimator;
pub mod free_bits;
pub mod groups;
pub mod hfvae;
pub mod hsic_vae;
pub mod identities;
pub mod info_vae;
pub mod iwae;
pub mod objective;
pub mod single;
pub mod sticking_the_landing;
pub mod testing;
pub mod wae_mmd;

pub use beta_tcvae::BetaTcVae;
pub use beta_vae::BetaVae;
pub use capacity::Capacity;
pub use dip_vae::{DipForm, DipVae};
pub use elbo::Elbo;
pub use estimator::Estimator;
pub use free_bits::FreeBits;
pub use groups::Groups;
pub use hfvae::{Hfvae, HierarchicalTerms};
pub use hsic_vae::{HsicForm, HsicStatistic, HsicVae};
pub use info_vae::InfoVae;
pub use iwae::Iwae;
pub use objective::{ElboParts, Objective, Terms};
pub use single::SingleObjective;
pub use sticking_the_landing::StickingTheLanding;
pub use wae_mmd::WaeMmd;
