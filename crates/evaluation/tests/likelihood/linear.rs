//! The linear Gaussian model, of which everything is known: `x = W z + b + σ ε`.
//!
//! ```text
//! p(x) = N(x; b, W Wᵀ + σ² I)      p(z|x) = N(Λ⁻¹ Wᵀ (x − b)/σ², Λ⁻¹),   Λ = I + Wᵀ W/σ²
//! ```

use crate::model::{DOUBLE, Known, formula, generator, vae};
use elbo_core::likelihood::{Likelihood, Scale};
use elbo_core::{Generator, Vae};
use std::f64::consts::PI;
use tch::{Kind, Tensor};

pub(crate) const SIGMA: f64 = 0.5;

/// An encoder, as the exact posterior mean and the logarithms of the exact marginal variances, distorted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Distortion {
    /// Added to every mean, in units of the posterior's marginal σ.
    pub(crate) shift: f64,
    /// Factor on every standard deviation.
    pub(crate) stretch: f64,
}

pub(crate) const NONE: Distortion = Distortion { shift: 0.0, stretch: 1.0 };
pub(crate) const WRONG: Distortion = Distortion { shift: 1.0, stretch: 0.6 };

/// W `[P, D]` and b `[P]` in float64.
#[derive(Debug)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl Linear {
    /// Columns of W drawn at random: the posterior's coordinates are correlated.
    pub(crate) fn correlated(pixels: i64, latent: i64, seed: u64) -> Self {
        let noise = generator(seed);
        let weight = noise.normal(&[pixels, latent], Kind::Double) * 0.4;
        Self { weight, bias: noise.normal(&[pixels], Kind::Double) }
    }

    /// Columns of W orthogonal, of norms 1.2, 0.9, 0.6, …: the posterior's coordinates are independent.
    pub(crate) fn orthogonal(pixels: i64, latent: i64, seed: u64) -> Self {
        let Self { weight, bias } = Self::correlated(pixels, latent, seed);
        let (columns, _) = Tensor::linalg_qr(&weight, "reduced");
        let norms = (Tensor::arange(latent, DOUBLE) * -0.3) + 1.2;
        Self { weight: columns * norms, bias }
    }

    fn size(&self) -> [i64; 2] {
        [self.weight.size()[0], self.weight.size()[1]]
    }

    /// Λ, `[D, D]`.
    pub(crate) fn precision(&self) -> Tensor {
        Tensor::eye(self.size()[1], DOUBLE) + self.weight.tr().matmul(&self.weight) / SIGMA.powi(2)
    }

    /// Means of p(z|x), `[B, D]`.
    pub(crate) fn posterior_mean(&self, x: &Tensor) -> Tensor {
        let centred = x.to_kind(Kind::Double).view([-1, self.size()[0]]) - &self.bias;
        centred.matmul(&self.weight).matmul(&self.precision().inverse()) / SIGMA.powi(2)
    }

    /// log N(x; b, W Wᵀ + σ² I), `[B]`.
    pub(crate) fn log_evidence(&self, x: &Tensor) -> Tensor {
        let pixels = self.size()[0];
        let centred = x.to_kind(Kind::Double).view([-1, pixels]) - &self.bias;
        let covariance = self.weight.matmul(&self.weight.tr()) + Tensor::eye(pixels, DOUBLE) * SIGMA.powi(2);
        let quadratic = (centred.matmul(&covariance.inverse()) * &centred).sum_dim_intlist(-1, false, None);
        (quadratic + covariance.slogdet().1 + pixels as f64 * (2.0 * PI).ln()) * -0.5
    }

    /// `count` pictures of the model, `[B, 1, 1, P]`.
    pub(crate) fn pictures(&self, count: i64, noise: &Generator) -> Tensor {
        let [pixels, latent] = self.size();
        let z = noise.normal(&[count, latent], Kind::Double);
        let x = z.matmul(&self.weight.tr()) + &self.bias + noise.normal(&[count, pixels], Kind::Double) * SIGMA;
        x.view([count, 1, 1, pixels])
    }

    /// The model with its exact encoder, distorted, in the kind asked for. Its weights require gradients, as a trained
    /// model's do.
    pub(crate) fn vae(&self, known: Known, distortion: Distortion, kind: Kind) -> Vae {
        let [pixels, latent] = self.size();
        let Distortion { shift, stretch } = distortion;
        let inverse = self.precision().inverse();
        // The variance of the marginals where they are the posterior; where they are not, this is one diagonal Gaussian
        // among many.
        let deviation = inverse.diagonal(0, 0, 1).sqrt();
        let slope = (self.weight.matmul(&inverse) / SIGMA.powi(2)).to_kind(kind);
        let offset = (&deviation * shift).to_kind(kind);
        let log_var = ((deviation * stretch).log() * 2.0).to_kind(kind);
        let weight = self.weight.copy().to_kind(kind).set_requires_grad(true);
        let (bias, bias_too) = (self.bias.to_kind(kind), self.bias.to_kind(kind));
        let encoder = formula(&slope.copy(), move |x| {
            let mean = (x.view([-1, pixels]) - &bias).matmul(&slope) + &offset;
            Tensor::cat(&[&mean, &log_var.expand_as(&mean)], 1)
        });
        let decoder = formula(&weight.shallow_clone(), move |z| z.matmul(&weight.tr()) + &bias_too);
        vae(known, encoder, decoder, Likelihood::Gaussian(Scale::Fixed(SIGMA)), latent, pixels)
    }
}
