//! Pictures drawn from p(x|z): data whose model is known.

use elbo_core::likelihood::{Likelihood, Scale};
use elbo_core::{Generator, Vae};
use tch::{Kind, Tensor};

/// One draw x ~ p(x|z) in the shape and kind of `decoded`, what the decoder returned for z.
///
/// ```text
/// Bernoulli: 1 with probability σ(logit)      Gaussian: f(z) + σ ε
/// Laplace: f(z) − b sign(u) log(1 − 2|u|),  u ~ U(−½, ½)
/// ```
pub fn simulate(likelihood: &Likelihood, decoded: &Tensor, noise: &Generator) -> Tensor {
    tch::no_grad(|| match likelihood {
        Likelihood::Bernoulli => noise.bernoulli(&decoded.sigmoid()),
        Likelihood::Gaussian(scale) => decoded + noise.normal(&decoded.size(), decoded.kind()) * value(scale, decoded),
        Likelihood::Laplace(scale) => {
            // In float64, and kept off 0 by half the distance of two draws: −½ is one of them, where the logarithm has
            // no end.
            let centred = noise.uniform(&decoded.size(), Kind::Double) - 0.5;
            let tail: Tensor = 1.0 - centred.abs() * 2.0;
            let distance = -tail.clamp_min(f64::EPSILON / 2.0).log();
            decoded + (centred.sign() * distance).to_kind(decoded.kind()) * value(scale, decoded)
        }
    })
}

/// σ or b, a scalar on the device.
fn value(scale: &Scale, like: &Tensor) -> Tensor {
    match scale {
        Scale::Fixed(value) => Tensor::full([], *value, (like.kind(), like.device())),
        Scale::Learnt { log_scale } => log_scale.exp(),
    }
}

/// `count` codes from the prior, float64 `[n, D]`, and a picture from each, `[n, C, H, W]` in the model's kind.
pub fn simulate_pairs(vae: &Vae, count: i64, noise: &Generator) -> (Tensor, Tensor) {
    assert!(count >= 1, "the number of pictures must be at least 1, got {count}");
    let z = noise.normal(&[count, vae.latent()], Kind::Double);
    let decoded = tch::no_grad(|| vae.decode(&z.to_kind(kind_of(vae))));
    let x = simulate(vae.likelihood(), &decoded, noise);
    (z, x)
}

/// The kind that the model computes in: that of its parameters, float32 where it has none.
fn kind_of(vae: &Vae) -> Kind {
    vae.parameters().first().map_or(Kind::Float, |(_, parameter)| parameter.kind())
}
