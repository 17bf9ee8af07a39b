//! A multilayer perceptron, its sizes in the configuration.

use super::convolutional::{linear_chain, numbered};
use super::{Network, Noisy};
use crate::NamedTensors;
use crate::initialisation::Initialiser;
use crate::layers::{Activation, Linear};
use crate::named::prefixed;
use tch::Tensor;

/// `fc1` …, `head`: `[B, ..]`, flattened, to `[B, outputs]`, with one activation between the layers.
#[derive(Debug)]
pub struct Mlp {
    hidden: Vec<Linear>,
    head: Linear,
    activation: Activation,
}

impl Mlp {
    /// From `inputs` numbers through `hidden` layers to `parts` times `outputs` numbers (see [`Linear::stacked`]).
    pub fn new(
        initialiser: &Initialiser<'_>,
        inputs: i64,
        hidden: &[i64],
        activation: Activation,
        outputs: i64,
        parts: i64,
    ) -> Self {
        let mut features = inputs;
        let hidden = linear_chain(initialiser, &mut features, hidden);
        let head = Linear::stacked(initialiser, features, outputs, parts);
        Self { hidden, head, activation }
    }
}

impl Noisy for Mlp {
    fn features(&self, x: &Tensor) -> Tensor {
        x.flatten(1, -1)
    }

    fn rest(&self, features: &Tensor) -> Tensor {
        let mut features = features.shallow_clone();
        for linear in &self.hidden {
            features = self.activation.forward(linear.forward(&features));
        }
        self.head.forward(&features)
    }
}

impl Network for Mlp {
    fn forward(&self, input: &Tensor) -> Tensor {
        self.rest(&self.features(input))
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = numbered("fc", self.hidden.iter().map(Linear::parameters));
        all.extend(prefixed("head", self.head.parameters()));
        all
    }
}
