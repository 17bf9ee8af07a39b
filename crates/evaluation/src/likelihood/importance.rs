//! The importance-weighted bound on log p(x).

use super::conditional::{Conditional, pieces};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Gaussian, Generator, Vae};
use tch::{Kind, Tensor};

/// The importance-weighted bound of K = `samples` draws from q(z|x), in nats per image.
///
/// ```text
/// log((1/K) Σ_k w_k),   w_k = p(x|z_k) p(z_k) / q(z_k|x)          docs/mathematics.md §1; Burda et al. 2016, Eq. 8
/// ```
///
/// Its expectation does not fall with K and is at most log p(x); K = 1 is the ELBO with its KL sampled. The weights are
/// added up as they are drawn, so that memory does not grow with K.
///
/// Shapes: `x` `[B, C, H, W]`; result `[B]`, float64. `None` for an implicit posterior, which has no density to weigh
/// by.
pub fn importance_weighted(vae: &Vae, x: &Tensor, samples: i64, noise: &Generator) -> Option<Tensor> {
    assert!(samples >= 1, "the number of samples must be at least 1, got {samples}");
    tch::no_grad(|| {
        let posterior = in_float64(vae.encode(x, noise).0.gaussian()?);
        let conditional = Conditional::new(vae, x);
        let mut total = Tensor::full([conditional.images()], f64::NEG_INFINITY, (Kind::Double, x.device()));
        for (_, count) in pieces(samples, conditional.samples_at_once()) {
            let z = draws(&posterior, count, noise).0;
            total = total.logaddexp(&log_weights(&conditional, &posterior, &z).logsumexp(0, false));
        }
        Some(total - (samples as f64).ln())
    })
}

/// `log p(x|z) + log p(z) − log q(z|x)`: `[K, B, D]` → `[K, B]`.
pub(super) fn log_weights(conditional: &Conditional<'_>, posterior: &Gaussian, z: &Tensor) -> Tensor {
    conditional.log_likelihood(z) + standard_normal_log_density(z) - posterior.log_density(z)
}

/// `count` draws z `[K, B, D]` (also for K = 1), and the standard normal noise that made them.
pub(super) fn draws(posterior: &Gaussian, count: i64, noise: &Generator) -> (Tensor, Tensor) {
    let size = posterior.mean.size();
    let epsilon = noise.normal(&[count, size[0], size[1]], Kind::Double);
    (&posterior.mean + (&posterior.log_var * 0.5).exp() * &epsilon, epsilon)
}

/// The same Gaussian in float64, without a graph.
pub(super) fn in_float64(gaussian: &Gaussian) -> Gaussian {
    let wide = |t: &Tensor| t.detach().to_kind(Kind::Double);
    Gaussian::new(wide(&gaussian.mean), wide(&gaussian.log_var))
}
