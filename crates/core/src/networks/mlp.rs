//! A multilayer perceptron, its sizes in the configuration.

use super::Network;
use super::convolutional::{linear_chain, numbered};
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

impl Network for Mlp {
    fn forward(&self, input: &Tensor) -> Tensor {
        let mut features = input.flatten(1, -1);
        for linear in &self.hidden {
            features = self.activation.forward(linear.forward(&features));
        }
        self.head.forward(&features)
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = numbered("fc", self.hidden.iter().map(Linear::parameters));
        all.extend(prefixed("head", self.head.parameters()));
        all
    }
}
