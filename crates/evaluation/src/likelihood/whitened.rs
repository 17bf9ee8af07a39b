//! A model's posterior in the coordinates of its encoder's Gaussian, where annealing starts at N(0, I).

use super::conditional::Conditional;
use super::hamiltonian::Target;
use super::importance::in_float64;
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Generator, Posterior, Vae};
use tch::{Device, Kind, Tensor};

/// Added to the variances that an encoder gives, so that the start covers what a collapsed one leaves out (Mescheder et
/// al. 2017).
const LEAST_VARIANCE: f64 = 1e-4;

/// `u ↦ log p(x, μ + σ u) + Σ_d log σ_d`: its integral is p(x), its steps are scaled by σ per dimension.
///
/// The start r(z|x) = N(μ, σ²) has the moments of q(z|x), the variance raised by 1e-4; for an implicit posterior
/// without moments it is the prior. It is fixed when this is made, whatever noise the encoder draws.
#[derive(Debug)]
pub struct Whitened<'a> {
    conditional: Conditional<'a>,
    mean: Tensor,
    scale: Tensor,
    /// `Σ_d log σ_d`, `[B]`.
    log_volume: Tensor,
}

impl<'a> Whitened<'a> {
    /// For pictures `x` `[B, C, H, W]` in the model's kind.
    pub fn new(vae: &'a Vae, x: &'a Tensor, noise: &Generator) -> Self {
        tch::no_grad(|| {
            let posterior = vae.encode(x, noise).0;
            let moments = match &posterior {
                Posterior::Gaussian(gaussian) => Some(gaussian),
                Posterior::Implicit { moments } => moments.as_ref(),
            };
            let (mean, variance) = moments.map_or_else(
                || {
                    let zeros = Tensor::zeros([x.size()[0], vae.latent()], (Kind::Double, x.device()));
                    let ones = zeros.ones_like();
                    (zeros, ones)
                },
                |moments| {
                    let wide = in_float64(moments);
                    (wide.mean, wide.log_var.exp() + LEAST_VARIANCE)
                },
            );
            let log_volume = variance.log().sum_dim_intlist(-1, false, None) * 0.5;
            Self { conditional: Conditional::new(vae, x), mean, scale: variance.sqrt(), log_volume }
        })
    }

    /// Where `z` `[.., B, D]` is in these coordinates.
    pub fn whiten(&self, z: &Tensor) -> Tensor {
        (z - &self.mean) / &self.scale
    }

    /// Where the pictures are.
    pub fn device(&self) -> Device {
        self.conditional.device()
    }
}

impl Target for Whitened<'_> {
    fn size(&self) -> [i64; 2] {
        let size = self.mean.size();
        [size[0], size[1]]
    }

    fn evaluate(&self, position: &Tensor) -> anyhow::Result<(Tensor, Tensor)> {
        let z = &self.mean + &self.scale * position;
        let (log_likelihood, slope) = self.conditional.with_gradient(&z)?;
        let log_joint = log_likelihood + standard_normal_log_density(&z);
        Ok((log_joint + &self.log_volume, (slope - z) * &self.scale))
    }
}
