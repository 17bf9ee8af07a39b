//! Any objective as an algorithm: one VAE, one loss, one optimiser.

use crate::{ElboParts, Objective, Terms};
use elbo_core::player::non_finite;
use elbo_core::{
    Algorithm, BatchContext, FieldError, ForwardPass, NamedTensors, OptimizerConfig, Player, Ranks, Scalars, Vae,
};
use std::sync::Arc;
use tch::Tensor;

/// Trains a VAE by one objective.
///
/// A step reports `loss`, the terms of the objective, what is missing of `reconstruction`, `kl`, `kl_per_dimension` and `elbo`, then
/// `gradient_norm` (before clipping) and `schedule/learning_rate`. A loss or gradient that is not finite skips the update and is flagged.
#[derive(Debug)]
pub struct SingleObjective<O> {
    vae: Vae,
    player: Player,
    objective: O,
    ranks: Option<Arc<Ranks>>,
}

impl<O: Objective> SingleObjective<O> {
    /// Trains all parameters of `vae`.
    ///
    /// # Errors
    /// The field of `optimizer` that does not fit.
    pub fn new(vae: Vae, objective: O, optimizer: &OptimizerConfig) -> Result<Self, FieldError> {
        let player = Player::new(vae.parameters(), optimizer)?;
        Ok(Self { vae, player, objective, ranks: None })
    }

    /// The objective.
    pub fn objective(&self) -> &O {
        &self.objective
    }

    fn terms(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> (Tensor, Scalars) {
        let Terms { loss, scalars } = self.objective.evaluate(pass, context);
        let mut reported = Scalars::new().with("loss", &loss);
        for (name, value) in scalars.entries() {
            reported.push(name.as_str(), value);
        }
        complete(&mut reported, pass);
        (loss, reported)
    }
}

/// Adds what every run shows and this method did not report, so that curves can be compared between methods: `reconstruction`, and for a
/// Gaussian posterior `kl`, `kl_per_dimension` and `elbo`.
pub fn complete(reported: &mut Scalars, pass: &ForwardPass) {
    let is_missing = |name: &str| reported.get(name).is_none();
    let missing = ["reconstruction", "kl", "kl_per_dimension", "elbo"].map(is_missing);
    if missing == [false; 4] {
        return;
    }
    tch::no_grad(|| {
        if pass.posterior.gaussian().is_none() {
            if missing[0] {
                reported.push("reconstruction", &-pass.log_likelihood().mean(None));
            }
            return;
        }
        let parts = ElboParts::of(pass);
        let elbo = parts.elbo();
        let values = [&parts.reconstruction, &parts.kl, &parts.kl_per_dimension, &elbo];
        for ((name, value), missing) in
            ["reconstruction", "kl", "kl_per_dimension", "elbo"].into_iter().zip(values).zip(missing)
        {
            if missing {
                reported.push(name, value);
            }
        }
    });
}

impl<O: Objective> Algorithm for SingleObjective<O> {
    fn train_step(&mut self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let samples = self.objective.samples();
        let pass = match &self.ranks {
            None => self.vae.forward_training(x, context.noise, samples),
            Some(ranks) => self.vae.forward_among(x, context.noise, samples, ranks)?,
        };
        let (loss, reported) = self.terms(&pass, context);
        let mut gradients = self.player.gradients(&loss)?;
        if let Some(ranks) = &self.ranks {
            gradients = ranks.sum(&gradients)?;
        }
        let (skip, gradient_norm) = non_finite(&loss, &gradients)?;
        self.player.step(gradients, context.step, Some(&skip))?;
        Ok(reported
            .with("gradient_norm", &gradient_norm)
            .with("schedule/learning_rate", &self.player.learning_rate(context.step))
            .with_non_finite(&skip))
    }

    fn evaluate(&self, x: &Tensor, context: &BatchContext<'_>) -> anyhow::Result<Scalars> {
        let terms = || {
            let pass = self.vae.forward(x, context.noise, self.objective.samples());
            self.terms(&pass, context).1
        };
        Ok(tch::no_grad(terms))
    }

    fn state(&self) -> NamedTensors {
        let mut state = self.vae.state();
        state.extend(self.player.state());
        state
    }

    fn vae(&self) -> &Vae {
        &self.vae
    }

    fn check(&self, batch: i64, dataset_len: i64) -> anyhow::Result<()> {
        self.objective.check(batch, dataset_len, self.vae.latent())
    }
    fn train_among(&mut self, ranks: Arc<Ranks>) -> Result<(), FieldError> {
        if !self.vae.can_be_shared() {
            let message = "expected gaussian, the only posterior that several processes can train together";
            return Err(FieldError::new("model.posterior", message));
        }
        self.ranks = Some(ranks);
        Ok(())
    }
}
