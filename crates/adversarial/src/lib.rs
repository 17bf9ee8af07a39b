//! Adversarial inference: density ratios from classifiers, and the methods that train with them.
//!
//! A method is a [`Game`]: players with parameters and an optimiser of their own, costs of one batch, and a table of which cost trains which
//! player. [`testing::check_routing`] holds a game to its table.
//!
//! | module | what |
//! |---|---|
//! | [`game`] | [`Game`], its [`Costs`] and [`Route`]s, and [`play`](game::play): all gradients first, then all steps |
//! | [`ratio`] | log P/Q from a balanced classifier: its cost, its values, and [`RatioEstimator`] |
//! | [`critic`] | the networks T(z) and T(x, z) |
//! | [`avb`] | adversarial variational Bayes, with and without adaptive contrast |
//! | [`factor_vae`] | FactorVAE: the total correlation by a critic |
//! | [`testing`] | the routing test for games, ours and yours |

pub mod avb;
pub mod critic;
pub mod factor_vae;
pub mod game;
pub mod ratio;
pub mod testing;

pub use avb::{Avb, ContrastName};
pub use critic::{AggregateCriticConfig, ConcatenationCritic, Critic, InnerProductCritic, PairCriticConfig};
pub use factor_vae::FactorVae;
pub use game::{Costs, Game, Mode, Parts, Route};
pub use ratio::RatioEstimator;
