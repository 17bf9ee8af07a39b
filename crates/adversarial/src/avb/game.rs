//! The game of model and critic.

use super::{Avb, ContrastName, Reference};
use crate::critic::Critic;
use crate::game::{Costs, Game, Mode, Parts, Route, forward, play};
use crate::ratio::{accuracy, logistic_cost, nwj_bound};
use elbo_core::named::prefixed;
use elbo_core::player::non_finite;
use elbo_core::{Algorithm, BatchContext, FieldError, Knowledge, NamedTensors, Player, Scalars, Vae};
use elbo_objectives::single::complete;
use tch::Tensor;

/// An [`Avb`] in training.
#[derive(Debug)]
pub struct AvbGame<C> {
    config: Avb,
    vae: Vae,
    critic: C,
    model_player: Player,
    critic_player: Player,
}

impl<C: Critic> AvbGame<C> {
    /// A game with a critic of one's own; [`Avb::critic`] is not looked at.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn new(config: Avb, critic: C, parts: Parts<'_>) -> Result<Self, FieldError> {
        if config.contrast == ContrastName::Moments && parts.vae.knowledge() == Knowledge::Samples {
            let expected = "prior or batch-moments, for an implicit posterior has no moments (moment-tractable has)";
            return Err(FieldError::expected("method.contrast", expected, config.contrast));
        }
        let model_player = parts.model_player()?;
        let critic_player = Player::new(prefixed("critic", critic.parameters()), &config.critic_optimizer)
            .map_err(|error| error.under("method.critic_optimizer"))?;
        Ok(Self { config, vae: parts.vae, critic, model_player, critic_player })
    }

    /// T.
    pub fn critic(&self) -> &C {
        &self.critic
    }

    /// T on codes of q and on codes of r, both `[B]`. The codes are constants, so that the critic's cost trains the critic alone.
    fn judged(&self, x: &Tensor, whitened: &Tensor, context: &BatchContext<'_>) -> (Tensor, Tensor) {
        let of_reference = context.noise.normal(&whitened.size(), whitened.kind());
        (self.critic.log_ratio(x, &whitened.detach()), self.critic.log_ratio(x, &of_reference))
    }

    /// The critic's other updates, on fresh noise. `flag` is 1 where the step so far was not finite: then nobody moves.
    fn refine(&mut self, x: &Tensor, context: &BatchContext<'_>, mut flag: Tensor) -> anyhow::Result<Tensor> {
        for _ in 1..self.config.critic_steps {
            let whitened = tch::no_grad(|| {
                let (posterior, z) = self.vae.infer_training(x, context.noise, 1);
                Reference::new(self.config.contrast, &posterior, &z).whiten(&z)
            });
            let (on_posterior, on_reference) = self.judged(x, &whitened, context);
            let cost = logistic_cost(&on_posterior, &on_reference);
            let gradients = self.critic_player.gradients(&cost)?;
            flag = flag.maximum(&non_finite(&cost, &gradients)?.0);
            self.critic_player.step(gradients, context.step, Some(&flag))?;
        }
        Ok(flag)
    }
}

impl<C: Critic> Game for AvbGame<C> {
    fn players(&self) -> Vec<(&'static str, &Player)> {
        vec![("model", &self.model_player), ("critic", &self.critic_player)]
    }

    fn players_mut(&mut self) -> Vec<&mut Player> {
        vec![&mut self.model_player, &mut self.critic_player]
    }

    fn routes(&self) -> Vec<Route> {
        vec![
            Route { cost: "reconstruction", player: "model" },
            Route { cost: "divergence", player: "model" },
            Route { cost: "critic", player: "critic" },
        ]
    }

    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)> {
        let pass = forward(&self.vae, x, context.noise, mode);
        let reference = Reference::new(self.config.contrast, &pass.posterior, &pass.z);
        let whitened = reference.whiten(&pass.z);
        let reconstruction = -pass.log_likelihood().mean(None);
        let contrast = reference.log_ratio_to_prior(&pass.z).map(|ratio| ratio.mean(None));
        let plus_contrast = |value: Tensor| match &contrast {
            Some(contrast) => value + contrast,
            None => value,
        };
        let divergence = plus_contrast(self.critic.log_ratio(x, &whitened).mean(None));

        let (on_posterior, on_reference) = self.judged(x, &whitened, context);
        let critic = logistic_cost(&on_posterior, &on_reference);
        let loss = &reconstruction + &divergence;
        let mut scalars = Scalars::new()
            .with("loss", &loss)
            .with("reconstruction", &reconstruction)
            .with("kl_adversarial", &divergence)
            .with("nwj_bound", &plus_contrast(nwj_bound(&on_posterior, &on_reference)))
            .with("elbo_adversarial", &-&loss)
            .with("critic_cost", &critic)
            .with("critic_accuracy", &accuracy(&on_posterior, &on_reference));
        complete(&mut scalars, &pass);
        let costs =
            Costs::new().with("reconstruction", reconstruction).with("divergence", divergence).with("critic", critic);
        Ok((costs, scalars))
    }

    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>> {
        let model = costs.get("reconstruction") + costs.get("divergence");
        Ok(vec![self.model_player.gradients(&model)?, self.critic_player.gradients(costs.get("critic"))?])
    }
}

impl<C: Critic> Algorithm for AvbGame<C> {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let (costs, scalars) = self.costs(x, context, Mode::Training)?;
        let scalars = play(self, &costs, scalars, context.step)?;
        drop(costs);
        let flag = scalars.non_finite().expect("play flags every step").shallow_clone();
        let flag = self.refine(x, context, flag)?;
        Ok(scalars.with_non_finite(&flag))
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
            self.config.contrast != ContrastName::BatchMoments || batch >= 2,
            "expected a batch of at least 2, whose codes have a variance; got {batch}"
        );
        Ok(())
    }
}
