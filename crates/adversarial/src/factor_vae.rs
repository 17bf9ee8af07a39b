//! FactorVAE: the ELBO, and a critic that tells q(z) from the product of its marginals.

use crate::critic::{AggregateCritic, AggregateCriticConfig, Critic};
use crate::game::{Costs, Game, Mode, Parts, Route, forward, play, with_density};
use crate::ratio::{accuracy, logistic_cost};
use elbo_core::named::prefixed;
use elbo_core::{
    Algorithm, BatchContext, FieldError, Generator, NamedTensors, OptimizerConfig, Player, Scalars, Vae, Weight,
};
use elbo_objectives::ElboParts;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Kim & Mnih 2018, Eq. 2 and Algorithm 2.
///
/// ```text
/// loss   = E_q[−log p(x|z)] + KL(q(z|x) ‖ p(z)) + γ E_q(z) T(z)                               docs/mathematics.md §6
/// critic = E_q(z) softplus(−T) + E_Πq(z_d) softplus(T)
/// ```
///
/// A batch is taken in two halves: the first trains the model and stands for q(z), the second, each coordinate of its codes permuted across
/// the rows by itself, for Π `q(z_d)`. So the model sees half of `data.batch_size`.
///
/// Reports what every method does, `estimate/total_correlation_critic` (E T over the batch: neither the total correlation nor a bound),
/// `critic_cost` and `critic_accuracy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactorVae {
    /// Weight of the total correlation (γ).
    pub tc_weight: Weight,
    /// The network of T.
    pub critic: AggregateCriticConfig,
    /// How T is updated.
    pub critic_optimizer: OptimizerConfig,
}

/// A [`FactorVae`] in training.
#[derive(Debug)]
pub struct FactorVaeGame {
    config: FactorVae,
    vae: Vae,
    critic: AggregateCritic,
    model_player: Player,
    critic_player: Player,
}

impl FactorVae {
    /// Makes the critic and both players.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn build(self, parts: Parts<'_>) -> Result<FactorVaeGame, FieldError> {
        with_density(&parts.vae)?;
        let critic = self.critic.build(parts.vae.latent(), parts.initialisation, parts.device);
        let critic = critic.map_err(|error| error.under("method.critic"))?;
        let model_player = parts.model_player()?;
        let critic_player = Player::new(prefixed("critic", critic.parameters()), &self.critic_optimizer)
            .map_err(|error| error.under("method.critic_optimizer"))?;
        Ok(FactorVaeGame { config: self, vae: parts.vae, critic, model_player, critic_player })
    }
}

/// Every coordinate of `z` (`[B, D]`) permuted across the rows, each by a permutation of its own: a sample of Π `q(z_d)` where the rows are one of
/// q(z).
pub fn permuted(z: &Tensor, noise: &Generator) -> Tensor {
    let order = noise.uniform(&z.size(), Kind::Float).argsort(0, false);
    z.gather(0, &order, false)
}

impl Game for FactorVaeGame {
    fn players(&self) -> Vec<(&'static str, &Player)> {
        vec![("model", &self.model_player), ("critic", &self.critic_player)]
    }

    fn players_mut(&mut self) -> Vec<&mut Player> {
        vec![&mut self.model_player, &mut self.critic_player]
    }

    fn routes(&self) -> Vec<Route> {
        vec![
            Route { cost: "negative_elbo", player: "model" },
            Route { cost: "total_correlation", player: "model" },
            Route { cost: "critic", player: "critic" },
        ]
    }

    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)> {
        // An evaluation takes all of x for both: its last batch may hold one example.
        let (first, second) = match mode {
            Mode::Training => {
                let half = x.size()[0] / 2;
                let second = self.vae.infer_training(&x.narrow(0, half, half), context.noise, 1).1;
                (x.narrow(0, 0, half), Some(second))
            }
            Mode::Evaluation => (x.shallow_clone(), None),
        };
        let pass = forward(&self.vae, &first, context.noise, mode);
        let parts = ElboParts::of(&pass);
        let on_joint = self.critic.of(&pass.z);
        let total_correlation = on_joint.mean(None);
        let product = permuted(&second.as_ref().unwrap_or(&pass.z).detach(), context.noise);
        let (joint, product) = (self.critic.of(&pass.z.detach()), self.critic.of(&product));
        let critic = logistic_cost(&joint, &product);

        let weighed = self.config.tc_weight.times(&total_correlation, context.step);
        let negative_elbo = &parts.reconstruction + &parts.kl;
        let mut scalars = Scalars::new()
            .with("loss", &(&negative_elbo + &weighed))
            .with("reconstruction", &parts.reconstruction)
            .with("kl", &parts.kl)
            .with("kl_per_dimension", &parts.kl_per_dimension)
            .with("elbo", &parts.elbo())
            .with("estimate/total_correlation_critic", &total_correlation)
            .with("critic_cost", &critic)
            .with("critic_accuracy", &accuracy(&joint, &product));
        if self.config.tc_weight.schedule().constant().is_none() {
            scalars.push("schedule/tc_weight", &self.config.tc_weight.schedule().at(context.step));
        }
        let costs =
            Costs::new().with("negative_elbo", negative_elbo).with("total_correlation", weighed).with("critic", critic);
        Ok((costs, scalars))
    }

    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>> {
        let model = costs.get("negative_elbo") + costs.get("total_correlation");
        Ok(vec![self.model_player.gradients(&model)?, self.critic_player.gradients(costs.get("critic"))?])
    }
}

impl Algorithm for FactorVaeGame {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let (costs, scalars) = self.costs(x, context, Mode::Training)?;
        play(self, &costs, scalars, context.step)
    }

    fn evaluate(&self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        Ok(tch::no_grad(|| self.costs(x, context, Mode::Evaluation))?.1)
    }

    fn state(&self) -> NamedTensors {
        let mut state = self.vae.state();
        state.extend(prefixed("critic", self.critic.parameters()));
        state.extend(self.model_player.state());
        state.extend(self.critic_player.state());
        state
    }

    fn vae(&self) -> &Vae {
        &self.vae
    }

    fn check(&self, batch: i64, _dataset_len: i64) -> anyhow::Result<()> {
        anyhow::ensure!(
            batch >= 4 && batch % 2 == 0,
            "expected an even batch of at least 4, whose halves train the model and stand for the permuted codes; got {batch}"
        );
        Ok(())
    }
}
