//! q(z|x) as a function of x and noise: samples, and no density.

use super::Network;
use crate::posterior::Knowledge;
use crate::{Encoder, NamedTensors, Posterior};
use elbo_native::{Generator, autocast};
use tch::Tensor;

/// A network that can take noise after what it knows of x: `rest(features(x))` is its [`Network::forward`].
pub trait Noisy: Network {
    /// `[B, C, H, W]` → `[B, F]`: the part that never sees noise.
    fn features(&self, x: &Tensor) -> Tensor;

    /// `[.., F + E]`, features and noise side by side, to `[.., outputs]`.
    fn rest(&self, features: &Tensor) -> Tensor;
}

/// `z = g_φ(x, ε)`, ε ~ N(0, `I_E`): Mescheder et al. 2017, Sec. 3 (docs/mathematics.md §7).
///
/// A multilayer perceptron takes x and ε side by side at its input; in a convolutional network ε joins the flattened features.
#[derive(Debug)]
pub struct ImplicitEncoder {
    network: Box<dyn Noisy>,
    noise: i64,
}

impl ImplicitEncoder {
    /// Wraps a network whose [`Noisy::rest`] takes `noise` numbers more than [`Noisy::features`] returns, and returns `[.., D]`.
    pub fn new(network: Box<dyn Noisy>, noise: i64) -> Self {
        assert!(noise >= 1, "an implicit encoder needs at least one number of noise, got {noise}");
        Self { network, noise }
    }
}

impl Encoder for ImplicitEncoder {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        assert!(samples >= 1, "the number of samples must be at least 1, got {samples}");
        let features = autocast(|| self.network.features(x));
        let size = features.size();
        let (batch, features) =
            if samples == 1 { (vec![size[0]], features) } else { (vec![samples, size[0]], features.unsqueeze(0)) };
        let with = |last: i64| -> Vec<i64> { batch.iter().copied().chain([last]).collect() };
        let epsilon = noise.normal(&with(self.noise), features.kind());
        let z = autocast(|| self.network.rest(&Tensor::cat(&[features.expand(with(size[1]), false), epsilon], -1)));
        (Posterior::Implicit { moments: None }, z)
    }

    fn parameters(&self) -> NamedTensors {
        self.network.parameters()
    }

    fn buffers(&self) -> NamedTensors {
        self.network.buffers()
    }

    fn knowledge(&self) -> Knowledge {
        Knowledge::Samples
    }
}
