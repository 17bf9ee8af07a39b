//! Adversarial variational Bayes where there is no data set: one posterior, an encoder of noise alone, and a critic of z.

use super::model::{DIMENSIONS, EightSchools};
use elbo_adversarial::ratio::{accuracy, logistic_cost, nwj_bound};
use elbo_adversarial::{ConcatenationCritic, Critic};
use elbo_core::config::count;
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Activation;
use elbo_core::networks::Mlp;
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{FieldError, Generator, NamedTensors, Network, NonNegative, OptimizerConfig, Player};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Added to the standard deviations of a batch.
const SMALLEST_SCALE: f64 = 1e-6;

/// How one approximation is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvbSettings {
    /// Primal updates.
    #[serde(deserialize_with = "count")]
    pub iterations: i64,
    /// Samples of a batch.
    #[serde(deserialize_with = "count")]
    pub batch_size: i64,
    /// Updates of the critic for each of the encoder.
    #[serde(deserialize_with = "count")]
    pub critic_steps: i64,
    /// Widths of the encoder's hidden layers (ELU).
    pub encoder_hidden: Vec<i64>,
    /// Features of the critic (leaky `ReLU`, slope 0.2).
    #[serde(deserialize_with = "count")]
    pub critic_width: i64,
    /// Residual blocks of the critic.
    #[serde(deserialize_with = "count")]
    pub critic_blocks: i64,
    /// c of the critic's `c ‖z‖²`: ½ is −log p(z) up to a constant.
    pub critic_square: NonNegative,
    /// Contrast with a Gaussian of the batch's moments in place of the prior.
    pub adaptive_contrast: bool,
    /// Start of the parameters.
    pub initialisation: Initialisation,
    /// Of the encoder.
    pub optimizer: OptimizerConfig,
    /// Of the critic; its schedule counts iterations.
    pub critic_optimizer: OptimizerConfig,
}

/// An implicit approximation q of the posterior, `z = g(ε)`, `ε ~ N(0, I_10)`, in training.
///
/// ```text
/// critic    min  E_q softplus(−T(z)) + E_r softplus(T(z))                         docs/mathematics.md §7
/// encoder   min  E_q [T(z) + log r(z) − log p(z, y)],   through z alone
/// ```
///
/// r is the prior, or, with adaptive contrast, the Gaussian of the batch's own means and standard deviations; T is then a function of
/// `(z − μ)/σ`, and the moments are constants for every gradient.
#[derive(Debug)]
pub struct Avb {
    model: EightSchools,
    encoder: Mlp,
    critic: ConcatenationCritic,
    encoder_player: Player,
    critic_player: Player,
    settings: AvbSettings,
    /// Iterations done, Int64 on the device.
    step: Tensor,
    /// The x of the critic: none.
    nothing: Tensor,
}

/// What an iteration found before its updates: device scalars.
#[derive(Debug)]
pub struct Iteration {
    /// The encoder's cost, nats: −ELBO if T were optimal.
    pub loss: Tensor,
    /// The critic's cost at its first update, nats.
    pub critic_cost: Tensor,
    /// The critic's accuracy there.
    pub critic_accuracy: Tensor,
    /// `E_q T`, nats: an estimate of KL(q ‖ r), no bound.
    pub kl_adversarial: Tensor,
    /// A lower bound of KL(q ‖ r) in expectation, nats.
    pub nwj_bound: Tensor,
}

/// z, as the critic sees it, with what of the encoder's cost is not T.
struct Contrast {
    seen: Tensor,
    /// log r(z) − log p(z, y), `[B]`.
    rest: Tensor,
}

impl Avb {
    /// Networks drawn from `noise`, a CPU generator, on `device`.
    ///
    /// # Errors
    /// The field that does not fit.
    pub fn new(settings: &AvbSettings, noise: &Generator, device: Device) -> Result<Self, FieldError> {
        if settings.encoder_hidden.is_empty() || settings.encoder_hidden.iter().any(|&width| width < 1) {
            let got = format!("{:?}", settings.encoder_hidden);
            return Err(FieldError::expected("encoder_hidden", "a list of at least one integer ≥ 1", got));
        }
        let initialiser = Initialiser::new(noise, device, settings.initialisation);
        let encoder = Mlp::new(&initialiser, DIMENSIONS, &settings.encoder_hidden, Activation::Elu, DIMENSIONS, 1);
        let critic = ConcatenationCritic::new(
            &initialiser,
            [0, DIMENSIONS],
            settings.critic_width,
            settings.critic_blocks as usize,
            Activation::LeakyReluFifth,
            settings.critic_square.get(),
        );
        let within = |name: &str| {
            let name = name.to_owned();
            move |error: FieldError| FieldError::new(format!("{name}.{}", error.field), error.message)
        };
        let encoder_player = Player::new(encoder.parameters(), &settings.optimizer).map_err(within("optimizer"))?;
        let critic_player =
            Player::new(critic.parameters(), &settings.critic_optimizer).map_err(within("critic_optimizer"))?;
        Ok(Self {
            model: EightSchools::new(device, Kind::Float),
            encoder,
            critic,
            encoder_player,
            critic_player,
            settings: settings.clone(),
            step: Tensor::zeros([], (Kind::Int64, device)),
            nothing: Tensor::zeros([settings.batch_size, 0], (Kind::Float, device)),
        })
    }

    /// One iteration: the encoder's update and the critic's first from the same batch, all gradients before all steps; then the critic's
    /// further updates, each from a fresh batch of the encoder as it now is.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn iterate(&mut self, noise: &Generator) -> anyhow::Result<Iteration> {
        let z = self.draw_batch(noise);
        let contrast = self.contrast(&z);
        let on_q = self.critic.log_ratio(&self.nothing, &contrast.seen);
        let loss = (&on_q + &contrast.rest).mean(None);
        let encoder_gradients = self.encoder_player.gradients(&loss)?;
        let (cost, on_q, on_r) = self.critic_cost(&contrast.seen, noise);
        let critic_gradients = self.critic_player.gradients(&cost)?;
        self.encoder_player.step(encoder_gradients, &self.step, None)?;
        self.critic_player.step(critic_gradients, &self.step, None)?;
        for _ in 1..self.settings.critic_steps {
            let seen = tch::no_grad(|| self.contrast(&self.draw_batch(noise)).seen);
            let (cost, ..) = self.critic_cost(&seen, noise);
            let gradients = self.critic_player.gradients(&cost)?;
            self.critic_player.step(gradients, &self.step, None)?;
        }
        let _ = self.step.g_add_scalar_(1);
        Ok(Iteration {
            loss: loss.detach(),
            critic_cost: cost.detach(),
            critic_accuracy: accuracy(&on_q, &on_r),
            kl_adversarial: on_q.mean(None),
            nwj_bound: nwj_bound(&on_q, &on_r),
        })
    }

    /// `count` samples of q, `[count, 10]`, float32.
    pub fn sample(&self, count: i64, noise: &Generator) -> Tensor {
        tch::no_grad(|| self.encoder.forward(&noise.normal(&[count, DIMENSIONS], Kind::Float)))
    }

    /// The encoder's parameters, live.
    pub fn encoder_parameters(&self) -> &NamedTensors {
        self.encoder_player.parameters()
    }

    /// The critic's parameters, live.
    pub fn critic_parameters(&self) -> &NamedTensors {
        self.critic_player.parameters()
    }

    fn draw_batch(&self, noise: &Generator) -> Tensor {
        self.encoder.forward(&noise.normal(&[self.settings.batch_size, DIMENSIONS], Kind::Float))
    }

    fn contrast(&self, z: &Tensor) -> Contrast {
        if !self.settings.adaptive_contrast {
            // log r(z) − log p(z, y) is −log p(y|z).
            return Contrast { seen: z.shallow_clone(), rest: -self.model.log_likelihood(z) };
        }
        let constant = z.detach();
        let mean = constant.mean_dim(0, true, None);
        let scale = constant.std_dim(0, false, true) + SMALLEST_SCALE;
        let seen = (z - mean) / &scale;
        let log_r = standard_normal_log_density(&seen) - scale.log().sum(None);
        Contrast { rest: log_r - self.model.log_joint(z), seen }
    }

    /// The critic's cost, and its values on q and on r, detached.
    fn critic_cost(&self, seen: &Tensor, noise: &Generator) -> (Tensor, Tensor, Tensor) {
        let on_q = self.critic.log_ratio(&self.nothing, &seen.detach());
        let on_r = self.critic.log_ratio(&self.nothing, &noise.normal(&seen.size(), Kind::Float));
        (logistic_cost(&on_q, &on_r), on_q.detach(), on_r.detach())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use elbo_native::testing::single_thread;

    fn small(adaptive_contrast: bool) -> AvbSettings {
        serde_json::from_value(serde_json::json!({
            "iterations": 1, "batch_size": 64, "critic_steps": 2, "encoder_hidden": [16], "critic_width": 16, "critic_blocks": 1,
            "critic_square": 0.5, "adaptive_contrast": adaptive_contrast, "initialisation": "pytorch",
            "optimizer": { "name": "adam", "learning_rate": 1e-3 }, "critic_optimizer": { "name": "adam", "learning_rate": 1e-3 }
        }))
        .expect("settings")
    }

    /// What of the encoder's cost is not T has the gradient `∇ log r(z) − ∇ log p(z, y)` at each sample: with AC `−(z − μ)/σ²` for the
    /// first, without `−z`. What T sees has 1/σ, or 1, and nothing of the other samples. μ and σ are computed here from the batch. (A
    /// leak shows in the second: the moments of the batch are where the mean of log r is greatest, so that its gradient through them is
    /// 0.)
    #[test]
    fn moments_are_constants_in_the_encoders_cost() {
        single_thread();
        let noise = Generator::new(Device::Cpu, 3).expect("a generator");
        for adaptive in [false, true] {
            let avb = Avb::new(&small(adaptive), &noise, Device::Cpu).expect("a game");
            let z = (noise.normal(&[64, DIMENSIONS], Kind::Float) * 0.7 + 0.3).set_requires_grad(true);
            let gradient = |loss: &Tensor| {
                elbo_native::gradients(loss, &[("z".to_owned(), z.shallow_clone())]).expect("a gradient").remove(0)
            };
            let found = gradient(&avb.contrast(&z).rest.sum(None));
            let values = z.detach();
            let mean = values.mean_dim(0, true, None);
            let variance = (&values - &mean).square().mean_dim(0, true, None);
            let log_r = if adaptive { (mean - &values) / &variance } else { -&values };
            let expected = log_r - gradient(&avb.model.log_joint(&z).sum(None));
            // Float32: gradients up to about 100.
            let difference = (found - expected).abs().max().double_value(&[]);
            assert!(difference < 1e-3, "adaptive contrast {adaptive}: {difference}");

            let weights = noise.normal(&z.size(), Kind::Float);
            let found = gradient(&(avb.contrast(&z).seen * &weights).sum(None));
            let expected = if adaptive { weights / variance.sqrt() } else { weights };
            let difference = (found - expected).abs().max().double_value(&[]);
            assert!(difference < 1e-4, "adaptive contrast {adaptive}: {difference}");
        }
    }
}
