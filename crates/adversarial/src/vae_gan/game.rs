//! The game of encoder, decoder and discriminator.

use super::equilibrium::Gates;
use super::{AdversarySees, DecoderCost, Discriminator, VaeGan};
use crate::game::{Costs, Game, Mode, Parts, Route, forward, play};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::named::prefixed;
use elbo_core::{Algorithm, BatchContext, FieldError, NamedTensors, NonNegative, Player, Scalars, Vae};
use elbo_objectives::single::complete;
use tch::Tensor;

/// A [`VaeGan`] in training.
#[derive(Debug)]
pub struct VaeGanGame {
    config: VaeGan,
    vae: Vae,
    discriminator: Discriminator,
    encoder_player: Player,
    decoder_player: Player,
    discriminator_player: Player,
}

impl VaeGanGame {
    pub(super) fn new(config: VaeGan, parts: Parts<'_>) -> Result<Self, FieldError> {
        let width = config.discriminator_width.map_or(1.0, NonNegative::get);
        let initialiser = Initialiser::new(parts.initialisation, parts.device, Initialisation::PyTorch);
        let discriminator = Discriminator::new(&initialiser, parts.vae.image(), width);
        let of = |prefix: &str| {
            let mut parameters = parts.vae.parameters();
            parameters.retain(|(name, _)| name.starts_with(prefix));
            parameters
        };
        let encoder_player = Player::new(of("encoder."), parts.optimizer).map_err(|error| error.under("optimizer"))?;
        let decoder_player = Player::new(of("decoder."), &config.decoder_optimizer)
            .map_err(|error| error.under("method.decoder_optimizer"))?;
        let named = prefixed("discriminator", discriminator.parameters());
        let discriminator_player = Player::new(named, &config.discriminator_optimizer)
            .map_err(|error| error.under("method.discriminator_optimizer"))?;
        Ok(Self { config, vae: parts.vae, discriminator, encoder_player, decoder_player, discriminator_player })
    }

    /// The discriminator.
    pub fn discriminator(&self) -> &Discriminator {
        &self.discriminator
    }

    fn sees_reconstructions(&self) -> bool {
        self.config.adversary_sees == AdversarySees::PriorAndReconstruction
    }

    /// Names of the discriminator's costs.
    fn discriminator_costs(&self) -> &'static [&'static str] {
        if self.sees_reconstructions() {
            &["data", "prior_samples", "reconstructions"]
        } else {
            &["data", "prior_samples"]
        }
    }

    fn gated(&self, costs: &Costs) -> Option<Gates> {
        let costs: Vec<&Tensor> = self.discriminator_costs().iter().map(|name| costs.get(name)).collect();
        self.config.equilibrium.map(|equilibrium| equilibrium.gates(&costs))
    }

    /// `L_prior`, from the KL of every example (`[B]`).
    fn prior_cost(&self, kl: &Tensor, step: &Tensor) -> Tensor {
        let kl = kl.mean(None);
        match &self.config.capacity {
            None => kl,
            Some(capacity) => {
                let gap = (&kl - capacity.schedule().at(step).to_kind(kl.kind())).abs();
                capacity.capacity_weight.times(&gap, step)
            }
        }
    }
}

/// −log N(`of_data` | `of_reconstructions`, I) in nats, the mean over the batch. Shapes: `[B, F]`.
pub(crate) fn feature_reconstruction(of_data: &Tensor, of_reconstructions: &Tensor) -> Tensor {
    let features = of_data.size()[1] as f64;
    let distance = (of_data - of_reconstructions).square().sum_dim_intlist(-1, false, None).mean(None);
    distance * 0.5 + 0.5 * features * (2.0 * std::f64::consts::PI).ln()
}

impl Game for VaeGanGame {
    fn players(&self) -> Vec<(&'static str, &Player)> {
        vec![
            ("encoder", &self.encoder_player),
            ("decoder", &self.decoder_player),
            ("discriminator", &self.discriminator_player),
        ]
    }

    fn players_mut(&mut self) -> Vec<&mut Player> {
        vec![&mut self.encoder_player, &mut self.decoder_player, &mut self.discriminator_player]
    }

    fn routes(&self) -> Vec<Route> {
        let route = |cost, player| Route { cost, player };
        let mut routes = vec![route("prior", "encoder"), route("features", "encoder")];
        if self.config.gamma.get() > 0.0 {
            routes.push(route("features", "decoder"));
        }
        routes.extend(self.discriminator_costs().iter().map(|cost| route(cost, "discriminator")));
        match self.config.decoder_cost {
            DecoderCost::NonSaturating => routes.push(route("fooling", "decoder")),
            // The cost on data does not depend on the decoder.
            DecoderCost::Saturating if self.config.gamma.get() < 1.0 => {
                routes.extend(self.discriminator_costs()[1..].iter().map(|cost| route(cost, "decoder")));
            }
            DecoderCost::Saturating => {}
        }
        routes
    }

    fn costs(&self, x: &Tensor, context: &BatchContext<'_>, mode: Mode) -> anyhow::Result<(Costs, Scalars)> {
        let training = mode == Mode::Training;
        let pass = forward(&self.vae, x, context.noise, mode);
        let from_prior = context.noise.normal(&pass.z.size(), pass.z.kind());
        let from_prior = if training { self.vae.decode_training(&from_prior) } else { self.vae.decode(&from_prior) };
        let likelihood = self.vae.likelihood();
        let judge = |pictures: &Tensor| self.discriminator.judge(pictures, self.config.feature, training);
        let of_data = judge(x);
        let of_reconstructions = judge(&likelihood.mean(&pass.decoded));
        let of_prior = judge(&likelihood.mean(&from_prior));

        let kl = pass.posterior.kl_to_prior();
        let features = feature_reconstruction(&of_data.features, &of_reconstructions.features);
        let [data, prior_samples, reconstructions] =
            [-&of_data.logits, of_prior.logits.shallow_clone(), of_reconstructions.logits.shallow_clone()]
                .map(|logits| logits.softplus().mean(None));
        let prior = self.prior_cost(&kl, context.step);
        let mut scalars = Scalars::new().with("loss", &(&prior + &features));
        complete(&mut scalars, &pass);
        scalars.push("feature_reconstruction", &features);
        scalars.push("discriminator_cost/data", &data);
        scalars.push("discriminator_cost/prior", &prior_samples);
        scalars.push("discriminator_cost/reconstruction", &reconstructions);

        let mut costs = Costs::new()
            .with("prior", prior)
            .with("features", features)
            .with("data", data)
            .with("prior_samples", prior_samples);
        if self.sees_reconstructions() {
            costs = costs.with("reconstructions", reconstructions);
        }
        if self.config.decoder_cost == DecoderCost::NonSaturating {
            let fooled = |logits: &Tensor| (-logits).softplus().mean(None);
            let mut fooling = fooled(&of_prior.logits);
            if self.sees_reconstructions() {
                fooling += fooled(&of_reconstructions.logits);
            }
            costs = costs.with("fooling", fooling);
        }
        if let Some(gates) = self.gated(&costs) {
            scalars.push("gate/decoder", &gates.decoder);
            scalars.push("gate/discriminator", &gates.discriminator);
        }
        if let Some(capacity) = &self.config.capacity {
            scalars.push("schedule/capacity", &capacity.schedule().at(context.step));
        }
        Ok((costs, scalars))
    }

    fn gradients(&self, costs: &Costs) -> anyhow::Result<Vec<Vec<Tensor>>> {
        let gamma = self.config.gamma.get();
        let sum = |names: &[&str]| names.iter().map(|name| costs.get(name).shallow_clone()).sum::<Tensor>();
        let adversarial = match self.config.decoder_cost {
            DecoderCost::NonSaturating => costs.get("fooling").shallow_clone(),
            DecoderCost::Saturating => sum(&self.discriminator_costs()[1..]) * -(1.0 - gamma),
        };
        // One graph for all three: the reconstructions are decoded and judged once.
        let encoder = self.encoder_player.gradients_keeping_graph(&sum(&["prior", "features"]))?;
        let decoder = costs.get("features") * gamma + adversarial;
        let decoder = self.decoder_player.gradients_keeping_graph(&decoder)?;
        let discriminator = self.discriminator_player.gradients(&sum(self.discriminator_costs()))?;
        Ok(vec![encoder, decoder, discriminator])
    }

    fn gates(&self, costs: &Costs) -> Vec<Option<Tensor>> {
        match self.gated(costs) {
            None => vec![None, None, None],
            Some(Gates { decoder, discriminator }) => vec![None, Some(decoder), Some(discriminator)],
        }
    }
}

impl Algorithm for VaeGanGame {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let (costs, scalars) = self.costs(x, context, Mode::Training)?;
        play(self, &costs, scalars, context.step)
    }

    fn evaluate(&self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        Ok(tch::no_grad(|| self.costs(x, context, Mode::Evaluation))?.1)
    }

    fn state(&self) -> NamedTensors {
        let mut state = self.vae.state();
        state.extend(prefixed("discriminator", self.discriminator.parameters()));
        state.extend(prefixed("discriminator", self.discriminator.buffers()));
        for (_, player) in self.players() {
            state.extend(player.state());
        }
        state
    }

    fn vae(&self) -> &Vae {
        &self.vae
    }

    fn check(&self, batch: i64, _dataset_len: i64) -> anyhow::Result<()> {
        anyhow::ensure!(batch >= 2, "expected a batch of at least 2, whose moments normalise it; got {batch}");
        Ok(())
    }
}
