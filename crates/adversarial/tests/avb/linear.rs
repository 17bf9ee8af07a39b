//! A linear-Gaussian model in float64, whose ELBO and gradient are known, and the critic that is always optimal.

use elbo_adversarial::avb::Reference;
use elbo_adversarial::{Avb, ContrastName, Critic, Parts, avb::AvbGame};
use elbo_core::likelihood::Scale;
use elbo_core::posterior::{kl_to_standard_normal, standard_normal_log_density};
use elbo_core::{Encoder, Gaussian, Generator, Likelihood, NamedTensors, Network, OptimizerConfig, Posterior, Vae};
use tch::{Device, Kind, Tensor};

/// Numbers of x.
pub(crate) const OBSERVED: i64 = 3;
/// Numbers of z.
pub(crate) const LATENT: i64 = 2;

/// μ = W x, log σ² = V x + v: a Gaussian, or one that keeps its density to itself.
#[derive(Debug)]
pub(crate) struct LinearEncoder {
    mean: Tensor,
    log_var: Tensor,
    log_var_bias: Tensor,
    implicit: bool,
}

/// x = A z.
#[derive(Debug)]
struct LinearDecoder(Tensor);

/// log q(z|x) − log r(z|x) from the encoder itself: T*, whatever the encoder has become. Without gradients to the encoder: T is held fixed.
#[derive(Debug)]
pub(crate) struct OptimalCritic {
    encoder: LinearEncoder,
    contrast: ContrastName,
    /// A parameter of no effect, so that the critic's player has something.
    idle: Tensor,
}

impl LinearEncoder {
    fn shared(&self) -> Self {
        let Self { mean, log_var, log_var_bias, implicit } = self;
        Self {
            mean: mean.shallow_clone(),
            log_var: log_var.shallow_clone(),
            log_var_bias: log_var_bias.shallow_clone(),
            implicit: *implicit,
        }
    }

    fn gaussian(&self, x: &Tensor) -> Gaussian {
        let x = x.flatten(1, -1);
        Gaussian::new(x.matmul(&self.mean), x.matmul(&self.log_var) + &self.log_var_bias)
    }
}

impl Encoder for LinearEncoder {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        let gaussian = self.gaussian(x);
        let z = gaussian.sample(noise, samples);
        if self.implicit {
            return (Posterior::Implicit { moments: Some(gaussian) }, z);
        }
        (Posterior::Gaussian(gaussian), z)
    }

    fn parameters(&self) -> NamedTensors {
        let Self { mean, log_var, log_var_bias, .. } = self.shared();
        [("mean", mean), ("log_var", log_var), ("log_var_bias", log_var_bias)]
            .map(|(name, tensor)| (name.to_owned(), tensor))
            .into()
    }
}

impl Network for LinearDecoder {
    fn forward(&self, input: &Tensor) -> Tensor {
        input.matmul(&self.0)
    }

    fn parameters(&self) -> NamedTensors {
        vec![("weight".to_owned(), self.0.shallow_clone())]
    }
}

impl Critic for OptimalCritic {
    fn log_ratio(&self, x: &Tensor, z: &Tensor) -> Tensor {
        let q = self.encoder.gaussian(x);
        let fixed = Gaussian::new(q.mean.detach(), q.log_var.detach());
        if self.contrast == ContrastName::Prior {
            return fixed.log_density(z) - standard_normal_log_density(z) + &self.idle * 0.0;
        }
        // z is whitened here. The density of z̃ = (z − μ)/σ is that of z times Π σ; σ² is the variance and the floor.
        let spread = (fixed.log_var.exp() + elbo_adversarial::avb::VARIANCE_FLOOR).sqrt();
        let original = z * &spread + &fixed.mean;
        let density = fixed.log_density(&original) + spread.log().sum_dim_intlist(-1, false, None);
        density - standard_normal_log_density(z) + &self.idle * 0.0
    }

    fn parameters(&self) -> NamedTensors {
        vec![("idle".to_owned(), self.idle.shallow_clone())]
    }
}

/// The model with its closed form.
#[derive(Debug)]
pub(crate) struct Linear {
    encoder: LinearEncoder,
    weight: Tensor,
}

impl Linear {
    pub(crate) fn new(implicit: bool) -> Self {
        let noise = Generator::new(Device::Cpu, 11).expect("a generator");
        let leaf = |size: &[i64], scale: f64| (noise.normal(size, Kind::Double) * scale).set_requires_grad(true);
        let encoder = LinearEncoder {
            mean: leaf(&[OBSERVED, LATENT], 0.5),
            log_var: leaf(&[OBSERVED, LATENT], 0.2),
            log_var_bias: leaf(&[LATENT], 0.3),
            implicit,
        };
        Self { encoder, weight: leaf(&[LATENT, OBSERVED], 0.7) }
    }

    /// The game of this model against the critic that is optimal.
    pub(crate) fn game(&self, config: Avb) -> AvbGame<OptimalCritic> {
        let decoder = LinearDecoder(self.weight.shallow_clone());
        let likelihood = Likelihood::Gaussian(Scale::Fixed(0.5));
        let vae = Vae::new(Box::new(self.encoder.shared()), Box::new(decoder), likelihood, LATENT, [OBSERVED, 1, 1]);
        let idle = Tensor::zeros([], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let critic = OptimalCritic { encoder: self.encoder.shared(), contrast: config.contrast, idle };
        let optimizer: OptimizerConfig = crate::support::adam();
        let noise = Generator::new(Device::Cpu, 1).expect("a generator");
        let parts = Parts { vae, optimizer: &optimizer, initialisation: &noise, device: Device::Cpu };
        AvbGame::new(config, critic, parts).expect("a game")
    }

    /// −ELBO per row `[B]`: `E‖x − A z‖² = ‖x − A μ‖² + Σ_d v_d ‖A_d‖²`, in closed form.
    pub(crate) fn negative_elbo(&self, x: &Tensor) -> Tensor {
        let q = self.encoder.gaussian(x);
        let flat = x.flatten(1, -1);
        let bias = (&flat - q.mean.matmul(&self.weight)).square().sum_dim_intlist(-1, false, None);
        let spread = q.log_var.exp().matmul(&self.weight.square().sum_dim_intlist(-1, true, None)).squeeze_dim(-1);
        let constant = OBSERVED as f64 * (0.5_f64.ln() + 0.5 * std::f64::consts::TAU.ln());
        (bias + spread) * (0.5 / 0.25) + constant + kl_to_standard_normal(&q.mean, &q.log_var)
    }

    /// Parameters in the order of the game's model: encoder, decoder.
    pub(crate) fn parameters(&self) -> NamedTensors {
        let mut all = self.encoder.parameters();
        all.push(("weight".to_owned(), self.weight.shallow_clone()));
        all
    }

    /// log q(z|x) − log r(z|x) − (T*) for a check of the critic itself: r as the game has it.
    pub(crate) fn reference(&self, x: &Tensor) -> Reference {
        Reference::of(&self.encoder.gaussian(x))
    }
}
