//! Adversarial inference: density ratios from classifiers, and the methods that train with them.
//!
//! A method is a [`Game`]: players with parameters and an optimiser of their own, costs of one batch, and a table of which cost trains which
//! player. [`testing::check_routing`] holds a game to its table.
//!
//! | module | what |
//! |---|---|
//! | [`game`] | [`Game`], its [`Costs`] and [`Route`]s, and [`play`](game::play): all gradients first, then all steps |
//! | [`ratio`] | log P/Q from a balanced classifier: its cost, its values, and [`RatioEstimator`] |
//! | [`divergence`] | f-divergences from a log ratio: values, bounds, and the gradient for a sampler |
//! | [`critic`] | the networks T(z) and T(x, z) |
//! | [`avb`] | adversarial variational Bayes, with and without adaptive contrast |
//! | [`factor_vae`] | FactorVAE: the total correlation by a critic |
//! | [`aggregate`] | AAE, WAE-GAN and the adversarial InfoVAE: q(z) held to p(z) by a critic |
//! | [`vae_gan`] | VAE-GAN: features of a discriminator in the place of pixels |
//! | [`testing`] | the routing test for games, ours and yours |

pub mod aggregate;
pub mod avb;
pub mod critic;
pub mod divergence;
pub mod factor_vae;
pub mod game;
pub mod ratio;
pub mod testing;
pub mod vae_gan;

pub use aggregate::{Aae, InfoVaeGan, WaeGan};
pub use avb::{Avb, ContrastName};
pub use critic::{AggregateCriticConfig, ConcatenationCritic, Critic, InnerProductCritic, PairCriticConfig};
pub use divergence::FDivergence;
pub use factor_vae::FactorVae;
pub use game::{Costs, Game, Mode, Parts, Route};
pub use ratio::RatioEstimator;
pub use vae_gan::VaeGan;
