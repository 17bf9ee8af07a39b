//! T(x, z) by a network with residual blocks over x and z side by side.

use super::Critic;
use elbo_core::NamedTensors;
use elbo_core::initialisation::Initialiser;
use elbo_core::layers::{Activation, Linear};
use elbo_core::named::prefixed;
use elbo_native::autocast;
use tch::Tensor;

/// `h + W_2 a(W_1 a(h))`, W₂ starting at 0, so that a block is the identity before training.
#[derive(Debug)]
pub struct Residual {
    first: Linear,
    second: Linear,
    activation: Activation,
}

/// The critic of Mescheder et al. 2017 on small problems (docs/mathematics.md §7).
///
/// ```text
/// T(x, z) = w · a(blocks(W (x, z) + b)) + c ‖z‖²
/// ```
/// ‖z‖²/2 is −log p(z) up to a constant: with c = ½ the network has only log q(z|x) to learn.
#[derive(Debug)]
pub struct ConcatenationCritic {
    input: Linear,
    blocks: Vec<Residual>,
    output: Linear,
    activation: Activation,
    square: f64,
}

impl Residual {
    /// A block of `width` features.
    pub fn new(initialiser: &Initialiser<'_>, width: i64, activation: Activation) -> Self {
        let first = Linear::new(initialiser, width, width);
        Self { first, second: Linear::zero(initialiser, width, width), activation }
    }

    /// `[B, width]` → `[B, width]`.
    pub fn forward(&self, features: &Tensor) -> Tensor {
        // A copy: the activation works in place, and the sum needs what came in.
        let inner = self.first.forward(&self.activation.forward(features.copy()));
        features + self.second.forward(&self.activation.forward(inner))
    }

    /// `fc1`, `fc2`.
    pub fn parameters(&self) -> NamedTensors {
        let mut all = prefixed("fc1", self.first.parameters());
        all.extend(prefixed("fc2", self.second.parameters()));
        all
    }
}

impl ConcatenationCritic {
    /// For `observed` numbers of x and `latent` of z, `blocks` residual blocks of `width` features; `square` is c.
    pub fn new(
        initialiser: &Initialiser<'_>,
        [observed, latent]: [i64; 2],
        width: i64,
        blocks: usize,
        activation: Activation,
        square: f64,
    ) -> Self {
        Self {
            input: Linear::new(initialiser, observed + latent, width),
            blocks: (0..blocks).map(|_| Residual::new(initialiser, width, activation)).collect(),
            output: Linear::new(initialiser, width, 1),
            activation,
            square,
        }
    }
}

impl Critic for ConcatenationCritic {
    fn log_ratio(&self, x: &Tensor, z: &Tensor) -> Tensor {
        let learnt = autocast(|| {
            let mut features = self.input.forward(&Tensor::cat(&[&x.flatten(1, -1), z], 1));
            for block in &self.blocks {
                features = block.forward(&features);
            }
            self.output.forward(&self.activation.forward(features.copy()))
        });
        learnt.squeeze_dim(-1) + z.square().sum_dim_intlist(-1, false, None) * self.square
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = prefixed("input", self.input.parameters());
        for (index, block) in self.blocks.iter().enumerate() {
            all.extend(prefixed(&format!("block{}", index + 1), block.parameters()));
        }
        all.extend(prefixed("output", self.output.parameters()));
        all
    }
}
