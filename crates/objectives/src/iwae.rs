//! The importance-weighted bound of K samples, with its own gradient or the doubly reparameterised one.

use crate::{ElboParts, Objective, Terms};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{BatchContext, ForwardPass, Gaussian, choices, config};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

choices! {
    /// How the bound is differentiated.
    pub enum Gradient {
        /// As it stands. The encoder's share drowns in noise as K grows (Rainforth et al. 2018).
        Plain = "plain",
        /// Doubly reparameterised: the same in the mean, with less noise in the encoder's share (Tucker et al. 2019, Eq. 8).
        Dreg = "dreg",
    }
}

/// Minus the importance-weighted bound.
///
/// ```text
/// loss = −log((1/K) Σ_k w_k),  w_k = p(x|z_k) p(z_k) / q(z_k|x)          docs/mathematics.md §1; Burda et al. 2016, Eq. 8
/// ```
///
/// Its mean over z does not fall with K and is at most log p(x); K = 1 is the ELBO with its KL sampled. With
/// [`Gradient::Dreg`] the loss is the same and its gradient a **surrogate**, equal in the mean over z: with w̃ the normalised weights,
///
/// ```text
/// encoder: Σ_k w̃_k² ∂_z log w_k ∂_φ z_k          decoder: Σ_k w̃_k ∂_θ log p(x, z_k)          (both of the bound)
/// ```
///
/// It takes one more backward pass through the decoder. Not to be used where the loss's own gradient with respect to μ or σ is wanted.
///
/// Reports `iwae_bound`, the mean of the bound; `effective_sample_size`, the mean of `1/Σ_k w̃_k²`, 1 to K, no unit; and the ELBO's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iwae {
    /// Samples of z per example (K).
    #[serde(deserialize_with = "config::count")]
    pub samples: i64,
    /// How the bound is differentiated.
    pub gradient: Gradient,
}

/// `log w_k = log p(x|z_k) + log p(z_k) − log q(z_k|x)`: `[K, B]`, also for K = 1.
///
/// # Panics
/// For a posterior without a density.
pub fn log_weights(pass: &ForwardPass) -> Tensor {
    let log_q = pass.posterior.log_density(&pass.z).expect("importance weights need a posterior with a density");
    let log_weights = pass.log_likelihood() + standard_normal_log_density(&pass.z) - log_q;
    if log_weights.dim() == 1 { log_weights.unsqueeze(0) } else { log_weights }
}

/// `log((1/K) Σ_k w_k)`: `[K, B]` → `[B]`.
pub fn bound(log_weights: &Tensor) -> Tensor {
    log_weights.logsumexp(0, false) - (log_weights.size()[0] as f64).ln()
}

/// `1/Σ_k w̃_k²`, w̃ the normalised weights: `[K, B]` → `[B]`, between 1 and K.
pub fn effective_sample_size(log_weights: &Tensor) -> Tensor {
    log_weights.softmax(0, None::<Kind>).square().sum_dim_intlist(0, false, None::<Kind>).reciprocal()
}

impl Objective for Iwae {
    fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
        let log_weights = log_weights(pass);
        let value = bound(&log_weights).mean(None::<Kind>);
        // Without a graph, as in an evaluation, there is nothing to replace.
        let loss = if self.gradient == Gradient::Dreg && log_weights.requires_grad() {
            // The difference is 0, so that the loss is the bound to the bit.
            let surrogate = surrogate(pass, &log_weights.detach());
            -(value.detach() + (&surrogate - surrogate.detach()))
        } else {
            -&value
        };
        Terms::new(loss)
            .with_elbo(&ElboParts::of(pass))
            .with("iwae_bound", value)
            .with("effective_sample_size", effective_sample_size(&log_weights.detach()).mean(None::<Kind>))
    }

    fn samples(&self) -> i64 {
        self.samples
    }
}

/// A scalar whose gradient is the doubly reparameterised one of the mean bound.
///
/// `w̃_k log p(x|z_k)` gives the decoder its due, and the encoder `w̃_k ∂_z log p(x|z_k)` along z. A linear function of z adds what is
/// missing there to `w̃_k² ∂_z log w_k`; its slope is a constant, made of `∂_z log p(x|z)` (a backward pass of its own, which leaves the
/// graph to the loss's) and of the derivatives of the two Gaussians by hand.
fn surrogate(pass: &ForwardPass, log_weights: &Tensor) -> Tensor {
    let log_likelihood = pass.log_likelihood();
    let weights = log_weights.softmax(0, None::<Kind>).view_as(log_likelihood);
    let decoder = &weights * log_likelihood;
    if !pass.z.requires_grad() {
        return per_example(&decoder, pass);
    }
    let posterior = pass.posterior.gaussian().expect("importance weights need a posterior with a density");
    let along_likelihood = gradient_along_z(log_likelihood, &pass.z);
    let slope = tch::no_grad(|| {
        let weights = weights.unsqueeze(-1);
        let along_weight = &along_likelihood + gradient_of_log_ratio(posterior, &pass.z);
        weights.square() * along_weight - weights * &along_likelihood
    });
    let encoder = (slope * &pass.z).sum_dim_intlist(-1, false, None::<Kind>);
    per_example(&(decoder + encoder), pass)
}

/// Sum over samples, mean over examples.
fn per_example(values: &Tensor, pass: &ForwardPass) -> Tensor {
    values.sum(None::<Kind>) / pass.batch() as f64
}

/// `∂_z log p(x|z)` for every sample on its own, in z's shape; zeros where the likelihood does not depend on z.
fn gradient_along_z(log_likelihood: &Tensor, z: &Tensor) -> Tensor {
    if !log_likelihood.requires_grad() {
        return z.zeros_like();
    }
    // Samples do not meet in the decoder, so that the gradient of the sum is each sample's own.
    let sum = log_likelihood.sum(None::<Kind>);
    let gradient = Tensor::run_backward(&[sum], &[z], true, false).remove(0);
    if gradient.defined() { gradient } else { z.zeros_like() }
}

/// `∂_z [log p(z) − log q(z|x)] = (z − μ)/σ² − z`.
fn gradient_of_log_ratio(posterior: &Gaussian, z: &Tensor) -> Tensor {
    (z - &posterior.mean) * (-&posterior.log_var).exp() - z
}
