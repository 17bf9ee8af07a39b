//! The routing test catches the two published leaks, rebuilt here.

use crate::factor_vae::config;
use crate::support::{adam, batch, generator, parts};
use elbo_adversarial::factor_vae::FactorVaeGame;
use elbo_adversarial::testing::check_routing;
use elbo_adversarial::{Costs, Game, Mode, Route, game};
use elbo_core::{Algorithm, BatchContext, NamedTensors, Player, Scalars, Vae};
use elbo_native::testing::single_thread;
use tch::Tensor;

/// How another code base takes its gradients: `backward` of one cost after the other, into gradients that accumulate, and the codes in
/// the critic's cost are not detached.
#[derive(Debug)]
struct Leaking {
    honest: FactorVaeGame,
    leak: Leak,
}

#[derive(Debug, Clone, Copy)]
enum Leak {
    /// `D(z)` of live codes: the critic's cost trains the encoder.
    CriticTrainsModel,
    /// The model's backward leaves gradients in the critic, which its own backward adds to: the model helps or harms the critic.
    ModelTrainsCritic,
}

impl Game for Leaking {
    fn players(&self) -> Vec<(&'static str, &Player)> {
        self.honest.players()
    }

    fn players_mut(&mut self) -> Vec<&mut Player> {
        self.honest.players_mut()
    }

    fn routes(&self) -> Vec<Route> {
        self.honest.routes()
    }

    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)> {
        let (honest, scalars) = self.honest.costs(x, context, mode)?;
        let live = match self.leak {
            // The critic's cost as it is where z is live: the same value, with a path to the encoder.
            Leak::CriticTrainsModel => honest.get("critic") + honest.get("total_correlation") * 0.5,
            Leak::ModelTrainsCritic => honest.get("critic").shallow_clone(),
        };
        let costs = Costs::new()
            .with("negative_elbo", honest.get("negative_elbo").shallow_clone())
            .with("total_correlation", honest.get("total_correlation").shallow_clone())
            .with("critic", live);
        Ok((costs, scalars))
    }

    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>> {
        let model = costs.get("negative_elbo") + costs.get("total_correlation");
        let [model_player, critic_player] = [0, 1].map(|index| self.players()[index].1.parameters());
        let (model_loss, critic_loss) = match self.leak {
            Leak::CriticTrainsModel => (&model + costs.get("critic"), costs.get("critic").shallow_clone()),
            Leak::ModelTrainsCritic => (model.shallow_clone(), &model + costs.get("critic")),
        };
        Ok(vec![
            elbo_native::gradients_keeping_graph(&model_loss, model_player)?,
            elbo_native::gradients(&critic_loss, critic_player)?,
        ])
    }
}

impl Algorithm for Leaking {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let (costs, scalars) = self.costs(x, context, Mode::Training)?;
        game::play(self, &costs, scalars, context.step)
    }

    fn evaluate(&self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        self.honest.evaluate(x, context)
    }

    fn state(&self) -> NamedTensors {
        self.honest.state()
    }

    fn vae(&self) -> &Vae {
        self.honest.vae()
    }
}

fn verdict(leak: Leak) -> String {
    let (adam, noise) = (adam(), generator(3));
    let honest = config().build(parts(&adam, &noise)).expect("a game");
    check_routing(&mut Leaking { honest, leak }, &batch(8, 1), 1).expect_err("a leak")
}

/// The discriminator of a published `FactorVAE` sees codes that are not detached, and its backward pass trains the encoder.
#[test]
fn a_critic_that_trains_the_model_is_caught() {
    single_thread();
    assert_eq!(verdict(Leak::CriticTrainsModel), "after 0 updates: the cost 'critic' trains model, and should not");
}

/// Gradients that a published VAE-GAN accumulates: the generator's backward pass trains the discriminator.
#[test]
fn a_model_that_trains_the_critic_is_caught() {
    single_thread();
    let verdict = verdict(Leak::ModelTrainsCritic);
    assert_eq!(verdict, "after 0 updates: the cost 'total_correlation' trains critic, and should not");
}
