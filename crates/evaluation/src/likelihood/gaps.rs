//! What inference loses: to the family of q(z|x), and to one encoder for all images.

use super::conditional::{Conditional, pieces};
use super::importance::{draws, in_float64, log_weights};
use super::mean_over_images;
use crate::exact::Estimate;
use elbo_core::{Gaussian, Generator, Vae};
use elbo_native::{AdamState, AdamStep, fused_adam};
use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// The two parts of log p(x) − ELBO, in nats, averaged over images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaps {
    /// log p̂(x) − the ELBO of the best diagonal Gaussian of each image.
    pub approximation: Estimate,
    /// That ELBO − the encoder's.
    pub amortization: Estimate,
}

/// ELBOs of the same images under two families of Gaussians, `[B]` in nats, float64.
#[derive(Debug)]
pub struct Bounds {
    /// Under q(z|x), what the encoder says.
    pub encoder: Tensor,
    /// Under a diagonal Gaussian that was optimised for each image.
    pub best: Tensor,
}

/// How the best Gaussian of an image is looked for, and how both ELBOs are then measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Refinement {
    /// Updates by Adam.
    pub steps: usize,
    /// Its first learning rate, which falls to 0 along a cosine: mean in units of the encoder's σ, log-scale in nats.
    pub learning_rate: f64,
    /// Draws of z for a gradient.
    pub samples: i64,
    /// Fresh draws of z for the ELBOs, the same noise for both.
    pub evaluation_samples: i64,
}

impl Default for Refinement {
    /// 500 updates from a rate of 0.05 with 8 draws each; 1000 draws for the ELBOs.
    fn default() -> Self {
        Self { steps: 500, learning_rate: 0.05, samples: 8, evaluation_samples: 1000 }
    }
}

impl Bounds {
    /// The gaps, given log p(x) `[B]` or an estimate of it (whose error goes into the approximation gap).
    pub fn gaps(&self, log_likelihood: &Tensor) -> Gaps {
        assert_eq!(log_likelihood.size(), self.best.size(), "log p(x) must be [B], one for each image");
        Gaps {
            approximation: mean_over_images(&(log_likelihood - &self.best)),
            amortization: mean_over_images(&(&self.best - &self.encoder)),
        }
    }
}

/// Approximation gap and amortisation gap of the images `x`, given log p(x) or an estimate of it, `[B]`.
///
/// ```text
/// log p(x) − ELBO(x) = [log p(x) − max_q ELBO(x; q)] + [max_q ELBO(x; q) − ELBO(x)]
///                                                    docs/mathematics.md §10; Cremer et al. 2018, Eq. 4–5
/// ```
///
/// As [`bounds`], for a caller that does not want to be told of progress. `None` for an implicit posterior.
pub fn gaps(
    vae: &Vae,
    x: &Tensor,
    log_likelihood: &Tensor,
    noise: &Generator,
    refinement: &Refinement,
) -> Option<Gaps> {
    let bounds = bounds(vae, x, noise, refinement, &mut |_, _| Ok(())).unwrap_or_else(|error| panic!("{error}"));
    Some(bounds?.gaps(log_likelihood))
}

/// The encoder's ELBO and the best that a diagonal Gaussian of its own gives each image of `x` `[B, C, H, W]`.
///
/// The model is not touched: what is optimised are means and log-scales `[B, D]` that start at the encoder's. `None`
/// for an implicit posterior, which has no ELBO to compare with. `progress` is told the updates done and their number.
///
/// # Errors
/// The error of `progress`, which ends the work; libtorch's, where log p(x|z) has no gradient along z.
pub fn bounds(
    vae: &Vae,
    x: &Tensor,
    noise: &Generator,
    refinement: &Refinement,
    progress: &mut dyn FnMut(usize, usize) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Bounds>> {
    let Refinement { samples, evaluation_samples, .. } = *refinement;
    assert!(samples >= 1 && evaluation_samples >= 1, "at least 1 draw for a gradient and for an ELBO: {refinement:?}");
    tch::no_grad(|| {
        let Some(encoder) = vae.encode(x, noise).0.gaussian().map(in_float64) else { return Ok(None) };
        let conditional = Conditional::new(vae, x);
        let best = refined(&conditional, &encoder, refinement, noise, progress)?;
        let zeros = || Tensor::zeros([conditional.images()], (Kind::Double, x.device()));
        let mut sums = [zeros(), zeros()];
        for (_, count) in pieces(evaluation_samples, conditional.samples_at_once()) {
            // One noise for both, so that what they share cancels in their difference.
            let (z, epsilon) = draws(&encoder, count, noise);
            let moved = &best.mean + (&best.log_var * 0.5).exp() * epsilon;
            for (sum, (gaussian, z)) in sums.iter_mut().zip([(&encoder, z), (&best, moved)]) {
                *sum += log_weights(&conditional, gaussian, &z).sum_dim_intlist(0, false, None);
            }
        }
        let [encoder, best] = sums.map(|sum| sum / evaluation_samples as f64);
        Ok(Some(Bounds { encoder, best }))
    })
}

/// The diagonal Gaussian of each image that maximises its ELBO, by Adam from `start`.
///
/// The gradient is the path's alone (Roeder et al. 2017): its noise vanishes where q(z|x) is the posterior.
///
/// ```text
/// z = m + s ε:   g = ∂_z [log p(x|z) + log p(z) − log q(z)] = ∂_z log p(x|z) − z + ε/s
/// ∂_m = E[g],   ∂_log s = E[g s ε]
/// ```
fn refined(
    conditional: &Conditional<'_>,
    start: &Gaussian,
    refinement: &Refinement,
    noise: &Generator,
    progress: &mut dyn FnMut(usize, usize) -> anyhow::Result<()>,
) -> anyhow::Result<Gaussian> {
    let scale = (&start.log_var * 0.5).exp();
    // How far the mean is from the encoder's in units of its σ, and the log-scale from its.
    let parameters = [start.mean.zeros_like(), start.mean.zeros_like()];
    let moments = || [start.mean.zeros_like(), start.mean.zeros_like()];
    let (exp_avg, exp_avg_sq) = (moments(), moments());
    let count = || Tensor::zeros([], (Kind::Float, start.mean.device()));
    let steps = [count(), count()];
    let state = AdamState { parameters: &parameters, exp_avg: &exp_avg, exp_avg_sq: &exp_avg_sq, steps: &steps };
    let current = || Gaussian::new(&start.mean + &scale * &parameters[0], &start.log_var + &parameters[1] * 2.0);
    for step in 0..refinement.steps {
        let gaussian = current();
        let (z, epsilon) = draws(&gaussian, refinement.samples, noise);
        let s = (&gaussian.log_var * 0.5).exp();
        let slope = conditional.with_gradient(&z)?.1 - z + &epsilon / &s;
        let mean = |t: Tensor| t.mean_dim(0, false, None);
        // Adam descends.
        let gradients = [-mean(&slope * &scale), -mean(slope * s * epsilon)];
        let rate = refinement.learning_rate * (1.0 + (PI * step as f64 / refinement.steps as f64).cos()) / 2.0;
        let learning_rate = Tensor::full([], rate, (Kind::Float, start.mean.device()));
        let adam = AdamStep {
            learning_rate: &learning_rate,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            skip: None,
        };
        fused_adam(&state, &gradients, &adam)?;
        progress(step + 1, refinement.steps)?;
    }
    Ok(current())
}
