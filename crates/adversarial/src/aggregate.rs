//! q(z) held to p(z) by a critic: what AAE, WAE-GAN and the adversarial `InfoVAE` share.
//!
//! The critic's T(z) separates codes (P, the numerator) from samples of the prior (Q): `T → log q(z) − log p(z)`. A method says what the
//! encoder descends of T, and with which weight.

mod aae;
mod info_vae_gan;
mod rule;
mod wae_gan;

pub use aae::Aae;
pub use info_vae_gan::InfoVaeGan;
pub use wae_gan::WaeGan;

use crate::critic::{AggregateCritic, AggregateCriticConfig, Critic};
use crate::game::{Costs, Game, Mode, Parts, Route, forward, play};
use crate::ratio::{accuracy, logistic_cost, nwj_bound};
use elbo_core::named::prefixed;
use elbo_core::player::non_finite;
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Algorithm, BatchContext, FieldError, Knowledge, NamedTensors, OptimizerConfig, Player, Scalars, Vae};
use elbo_objectives::ElboParts;
use elbo_objectives::single::complete;
use rule::Rule;
use tch::Tensor;

/// A method of this family in training.
///
/// ```text
/// loss   = E_q[−log p(x|z)] + kl_weight KL(q(z|x) ‖ p(z)) + weight · push(T(z))
/// critic = E_q(z) softplus(−T) + E_p(z) softplus(T)                                             docs/mathematics.md §6
/// ```
///
/// Works with Gaussian and with implicit posteriors; where a KL in closed form has a weight, with the former only.
///
/// Reports what every method does, then what the encoder descends (`adversarial_cost` or `divergence_surrogate`),
/// `estimate/aggregate_kl_critic` (E T over the batch's codes: neither KL(q(z) ‖ p(z)) nor a bound), `estimate/aggregate_kl_nwj` (a lower
/// bound on it for any T, in expectation over batches that T has not seen), `critic_cost` and `critic_accuracy`.
#[derive(Debug)]
pub struct AggregateGame {
    rule: Rule,
    vae: Vae,
    critic: AggregateCritic,
    model_player: Player,
    critic_player: Player,
}

impl AggregateGame {
    /// Makes the critic and both players.
    fn new(
        rule: Rule,
        critic: &AggregateCriticConfig,
        critic_optimizer: &OptimizerConfig,
        parts: Parts<'_>,
    ) -> Result<Self, FieldError> {
        if rule.kl_weight != 0.0 && parts.vae.knowledge() != Knowledge::Density {
            let expected =
                "1, because 1 − alpha weighs KL(q(z|x) ‖ p(z)) and an implicit posterior has none in closed form";
            return Err(FieldError::expected("method.alpha", expected, 1.0 - rule.kl_weight));
        }
        let critic = critic.build(parts.vae.latent(), parts.initialisation, parts.device);
        let critic = critic.map_err(|error| error.under("method.critic"))?;
        let model_player = parts.model_player()?;
        let critic_player = Player::new(prefixed("critic", critic.parameters()), critic_optimizer)
            .map_err(|error| error.under("method.critic_optimizer"))?;
        Ok(Self { rule, vae: parts.vae, critic, model_player, critic_player })
    }

    /// T of every row of `z` (`[B, D]`): `[B]`, in nats.
    pub fn log_ratio(&self, z: &Tensor) -> Tensor {
        let learnt = self.critic.of(z);
        if self.rule.critic_knows_prior { learnt - standard_normal_log_density(z) } else { learnt }
    }

    /// One update of the critic alone, on codes and samples of its own; 1 where it was skipped.
    fn fit_critic(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Tensor> {
        let codes = tch::no_grad(|| self.vae.infer_training(x, context.noise, 1).1);
        let prior = context.noise.normal(&codes.size(), codes.kind());
        let cost = logistic_cost(&self.log_ratio(&codes), &self.log_ratio(&prior));
        let cost = self.rule.critic_cost(&cost, context.step);
        let gradients = self.critic_player.gradients(&cost)?;
        let skip = non_finite(&cost, &gradients)?.0;
        self.critic_player.step(gradients, context.step, Some(&skip))?;
        Ok(skip)
    }
}

/// All costs but the critic's, added.
fn of_the_model(costs: &Costs) -> Tensor {
    let names = costs.names().into_iter().filter(|name| *name != "critic");
    names.map(|name| costs.get(name).shallow_clone()).sum()
}

impl Game for AggregateGame {
    fn players(&self) -> Vec<(&'static str, &Player)> {
        vec![("model", &self.model_player), ("critic", &self.critic_player)]
    }

    fn players_mut(&mut self) -> Vec<&mut Player> {
        vec![&mut self.model_player, &mut self.critic_player]
    }

    /// A term whose weight is always 0 is not there.
    fn routes(&self) -> Vec<Route> {
        let mut routes = vec![Route { cost: "reconstruction", player: "model" }];
        if self.rule.kl_weight != 0.0 {
            routes.push(Route { cost: "kl", player: "model" });
        }
        if !self.rule.weight.is_zero() {
            routes.push(Route { cost: "divergence", player: "model" });
        }
        if !(self.rule.critic_is_weighed && self.rule.weight.is_zero()) {
            routes.push(Route { cost: "critic", player: "critic" });
        }
        routes
    }

    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)> {
        let rule = &self.rule;
        let pass = forward(&self.vae, x, context.noise, mode);
        let prior = context.noise.normal(&pass.z.size(), pass.z.kind());
        let push = rule.push.of(&self.log_ratio(&pass.z));
        let (on_codes, on_prior) = (self.log_ratio(&pass.z.detach()), self.log_ratio(&prior));
        let critic = logistic_cost(&on_codes, &on_prior);

        let reconstruction = -pass.log_likelihood().mean(None);
        let mut costs = Costs::new().with("reconstruction", reconstruction.shallow_clone());
        if rule.kl_weight != 0.0 {
            costs = costs.with("kl", ElboParts::of(&pass).kl * rule.kl_weight);
        }
        if !rule.weight.is_zero() {
            costs = costs.with("divergence", rule.weight.times(&push, context.step));
        }
        let costs = costs.with("critic", rule.critic_cost(&critic, context.step));

        let mut scalars = Scalars::new().with("loss", &of_the_model(&costs)).with("reconstruction", &reconstruction);
        complete(&mut scalars, &pass);
        scalars.push(rule.push.name(), &push);
        scalars.push("estimate/aggregate_kl_critic", &on_codes.mean(None));
        scalars.push("estimate/aggregate_kl_nwj", &nwj_bound(&on_codes, &on_prior));
        if let Some(divergence) = rule.push.divergence() {
            scalars.push("estimate/aggregate_divergence_bound", &divergence.bound(&on_codes, &on_prior));
        }
        scalars.push("critic_cost", &critic);
        scalars.push("critic_accuracy", &accuracy(&on_codes, &on_prior));
        rule.weight.report(&mut scalars, context.step);
        Ok((costs, scalars))
    }

    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>> {
        let model = of_the_model(costs);
        Ok(vec![self.model_player.gradients(&model)?, self.critic_player.gradients(costs.get("critic"))?])
    }
}

impl Algorithm for AggregateGame {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        // The last of the critic's updates is taken together with the model's.
        let mut skipped: Option<Tensor> = None;
        for _ in 1..self.rule.critic_steps {
            let skip = self.fit_critic(x, context)?;
            skipped = Some(skipped.map_or_else(|| skip.shallow_clone(), |before| before.maximum(&skip)));
        }
        let (costs, scalars) = self.costs(x, context, Mode::Training)?;
        let scalars = play(self, &costs, scalars, context.step)?;
        Ok(match (skipped, scalars.non_finite()) {
            (Some(skipped), Some(flag)) => {
                let flag = flag.maximum(&skipped.to_kind(flag.kind()));
                scalars.with_non_finite(&flag)
            }
            _ => scalars,
        })
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
}
