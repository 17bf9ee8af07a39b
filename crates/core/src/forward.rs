//! What one pass through a VAE leaves for an objective.

use crate::Posterior;
use tch::Tensor;

/// All that an objective may look at: x, q(z|x), z and p(x|z).
///
/// With K samples per example, `z` is `[K, B, D]` and [`ForwardPass::log_likelihood`] `[K, B]`; with one, `[B, D]` and `[B]`.
#[derive(Debug)]
pub struct ForwardPass {
    /// The batch, `[B, C, H, W]`, values in `[0, 1]`.
    pub x: Tensor,
    /// q(z|x) for every row of the batch.
    pub posterior: Posterior,
    /// Reparameterised samples of q(z|x), `[B, D]` or `[K, B, D]`.
    pub z: Tensor,
    /// What the decoder returned (logits, or means), `[B, C, H, W]` or `[K, B, C, H, W]`.
    pub decoded: Tensor,
    log_likelihood: Tensor,
}

impl ForwardPass {
    /// Puts a pass together; `log_likelihood` is log p(x|z), `[B]` or `[K, B]`.
    pub fn new(x: Tensor, posterior: Posterior, z: Tensor, decoded: Tensor, log_likelihood: Tensor) -> Self {
        let size = z.size();
        assert_eq!(
            log_likelihood.size(),
            size[..size.len() - 1],
            "log_likelihood must have the shape of z without its last dimension"
        );
        Self { x, posterior, z, decoded, log_likelihood }
    }

    /// log p(x|z) in nats, summed over pixels and channels: `[B]`, or `[K, B]`.
    pub fn log_likelihood(&self) -> &Tensor {
        &self.log_likelihood
    }

    /// Number of examples B.
    pub fn batch(&self) -> i64 {
        self.x.size()[0]
    }

    /// Number of latent dimensions D.
    pub fn latent(&self) -> i64 {
        self.z.size().last().copied().unwrap_or(0)
    }
}
