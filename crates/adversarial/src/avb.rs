//! Adversarial variational Bayes: the ELBO of a posterior that is known through its samples alone.

mod contrast;
mod game;

pub use contrast::{ContrastName, Reference, VARIANCE_FLOOR};
pub use game::AvbGame;

use crate::critic::{Critic, PairCriticConfig};
use crate::game::Parts;
use elbo_core::{FieldError, OptimizerConfig, config};
use serde::{Deserialize, Serialize};

/// Mescheder et al. 2017, Algorithms 1 and 2.
///
/// ```text
/// loss   = E_q[T(x, z̃) + log r(z|x) − log p(z) − log p(x|z)]          docs/mathematics.md §7; note (7), (8)
/// critic = E_q softplus(−T(x, z̃)) + E_N(0,I) softplus(T(x, z̃))
/// ```
///
/// r(z|x) is what `contrast` says: the prior itself (z̃ = z, and the two logarithms cancel), or N(μ(x), σ²(x)) with z̃ = (z − μ)/σ.
/// Gradients of the loss reach the model through z alone (Proposition 2): T is held fixed, and so are μ and σ wherever they stand.
///
/// A step is one update of the model and `critic_steps` of the critic: the first from the same codes as the model's, all gradients before
/// all steps, the others on the same batch of x with fresh noise, after the model has moved.
///
/// Reports `reconstruction`, `kl_adversarial` (`E_q[T + log r − log p]`: the KL where T is optimal, and neither it nor a bound elsewhere),
/// `nwj_bound` (`E_q T − E_r e^T + 1 + E_q[log r − log p]`, at most the KL for any T), `elbo_adversarial`, `critic_cost`,
/// `critic_accuracy`, and what is exact where q(z|x) is Gaussian: `kl`, `kl_per_dimension`, `elbo`. T has not been trained on the samples
/// that it is judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Avb {
    /// What q(z|x) is told apart from.
    pub contrast: ContrastName,
    /// Updates of the critic for one of the model.
    #[serde(deserialize_with = "config::count")]
    pub critic_steps: u32,
    /// The network of T.
    pub critic: PairCriticConfig,
    /// How T is updated. Its schedules count updates of the model.
    pub critic_optimizer: OptimizerConfig,
}

impl Avb {
    /// Makes the critic and both players.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn build(self, parts: Parts<'_>) -> Result<AvbGame<Box<dyn Critic>>, FieldError> {
        let sizes = [parts.vae.image().iter().product(), parts.vae.latent()];
        let critic = self.critic.build(sizes, parts.initialisation, parts.device);
        let critic = critic.map_err(|error| error.under("method.critic"))?;
        AvbGame::new(self, critic, parts)
    }
}
