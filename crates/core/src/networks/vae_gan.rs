//! Encoder and decoder of Larsen et al. 2016, with batch normalisation.
//!
//! ```text
//! encoder  x → [conv, 5×5, stride 2] of 64, 128, 256 channels → FC 1024 → head 2 D
//! decoder  z → FC 256·h·w → [transposed conv, 5×5, stride 2] of 256, 128, 32 channels → conv 5×5 → C channels
//! ```
//! After every layer but the last of each: batch normalisation, `ReLU`. h and w are an eighth of the picture's. All widths but D and C are
//! multiplied by a factor (`width`), which the paper does not have.
//!
//! The paper's decoder ends in tanh on pictures in [−1, 1]; pictures here are in [0, 1], so that means come from (1 + tanh u)/2. A Bernoulli
//! likelihood takes u itself, as its logits.

use super::Network;
use crate::NamedTensors;
use crate::initialisation::Initialiser;
use crate::layers::{Activation, BatchNorm, Convolution, Linear, TransposedConvolution, Window};
use crate::named::prefixed;
use tch::Tensor;

/// How often the encoder halves a picture.
pub(super) const HALVINGS: usize = 3;

/// Channels of a layer that the paper gives `channels`.
pub fn scaled(channels: i64, width: f64) -> i64 {
    ((channels as f64 * width).round() as i64).max(1)
}

/// `[B, C, H, W]` → `[B, 2 D]`.
#[derive(Debug)]
pub struct VaeGanEncoder {
    convolutions: Vec<(Convolution, BatchNorm)>,
    hidden: (Linear, BatchNorm),
    head: Linear,
}

/// `[B, D]` → `[B, C, H, W]`.
#[derive(Debug)]
pub struct VaeGanDecoder {
    hidden: (Linear, BatchNorm),
    /// What the linear layer's output is read as, `[C, H, W]`.
    smallest: [i64; 3],
    transposed: Vec<(TransposedConvolution, BatchNorm)>,
    output: Convolution,
    /// Whether the last layer's output is squashed into `[0, 1]`.
    squashed: bool,
}

impl VaeGanEncoder {
    /// For pictures `image` = `[C, H, W]`, sides multiples of 8, and D = `latent`.
    pub fn new(initialiser: &Initialiser<'_>, image: [i64; 3], latent: i64, width: f64) -> Self {
        let [mut channels, height, across] = image;
        let convolutions = [64, 128, 256].map(|outputs| {
            let outputs = scaled(outputs, width);
            let inputs = std::mem::replace(&mut channels, outputs);
            let convolution = Convolution::new(initialiser, inputs, outputs, Window::WIDE_HALVING).without_bias();
            (convolution, BatchNorm::new(initialiser, outputs))
        });
        let hidden = scaled(1024, width);
        let linear = Linear::new(initialiser, channels * (height / 8) * (across / 8), hidden).without_bias();
        let head = Linear::stacked(initialiser, hidden, latent, 2);
        Self { convolutions: convolutions.into(), hidden: (linear, BatchNorm::new(initialiser, hidden)), head }
    }

    fn run(&self, input: &Tensor, norm: Norm) -> Tensor {
        let mut features = input.shallow_clone();
        for (convolution, batch_norm) in &self.convolutions {
            features = Activation::Relu.forward(norm(batch_norm, &convolution.forward(&features)));
        }
        let (linear, batch_norm) = &self.hidden;
        features = Activation::Relu.forward(norm(batch_norm, &linear.forward(&features.flatten(1, -1))));
        self.head.forward(&features)
    }
}

impl VaeGanDecoder {
    /// For D = `latent` and pictures `image` = `[C, H, W]`, sides multiples of 8. `squashed`: into `[0, 1]`, for means.
    pub fn new(initialiser: &Initialiser<'_>, image: [i64; 3], latent: i64, width: f64, squashed: bool) -> Self {
        let [image_channels, height, across] = image;
        let mut channels = scaled(256, width);
        let smallest = [channels, height / 8, across / 8];
        let features: i64 = smallest.iter().product();
        let linear = Linear::new(initialiser, latent, features).without_bias();
        let transposed = [256, 128, 32].map(|outputs| {
            let outputs = scaled(outputs, width);
            let inputs = std::mem::replace(&mut channels, outputs);
            let layer = TransposedConvolution::new(initialiser, inputs, outputs, Window::WIDE_HALVING).without_bias();
            (layer, BatchNorm::new(initialiser, outputs))
        });
        Self {
            hidden: (linear, BatchNorm::new(initialiser, features)),
            smallest,
            transposed: transposed.into(),
            output: Convolution::new(initialiser, channels, image_channels, Window::WIDE),
            squashed,
        }
    }

    fn run(&self, input: &Tensor, norm: Norm) -> Tensor {
        let (linear, batch_norm) = &self.hidden;
        let [channels, height, across] = self.smallest;
        let mut features = Activation::Relu.forward(norm(batch_norm, &linear.forward(input)));
        features = features.reshape([-1, channels, height, across]);
        for (transposed, batch_norm) in &self.transposed {
            features = Activation::Relu.forward(norm(batch_norm, &transposed.forward(&features)));
        }
        let output = self.output.forward(&features);
        if self.squashed { (output.tanh() + 1.0) * 0.5 } else { output }
    }
}

/// Batch normalisation in training or in evaluation.
type Norm = fn(&BatchNorm, &Tensor) -> Tensor;

impl Network for VaeGanEncoder {
    fn forward(&self, input: &Tensor) -> Tensor {
        self.run(input, BatchNorm::forward)
    }

    fn forward_training(&self, input: &Tensor) -> Tensor {
        self.run(input, BatchNorm::forward_training)
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = Vec::new();
        for (index, (convolution, norm)) in self.convolutions.iter().enumerate() {
            all.extend(prefixed(&format!("conv{}", index + 1), convolution.parameters()));
            all.extend(prefixed(&format!("norm_conv{}", index + 1), norm.parameters()));
        }
        all.extend(prefixed("fc1", self.hidden.0.parameters()));
        all.extend(prefixed("norm_fc1", self.hidden.1.parameters()));
        all.extend(prefixed("head", self.head.parameters()));
        all
    }

    fn buffers(&self) -> NamedTensors {
        let mut all = buffers("norm_conv", self.convolutions.iter().map(|(_, norm)| norm));
        all.extend(prefixed("norm_fc1", self.hidden.1.buffers()));
        all
    }
}

impl Network for VaeGanDecoder {
    fn forward(&self, input: &Tensor) -> Tensor {
        self.run(input, BatchNorm::forward)
    }

    fn forward_training(&self, input: &Tensor) -> Tensor {
        self.run(input, BatchNorm::forward_training)
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = prefixed("fc1", self.hidden.0.parameters());
        all.extend(prefixed("norm_fc1", self.hidden.1.parameters()));
        for (index, (transposed, norm)) in self.transposed.iter().enumerate() {
            all.extend(prefixed(&format!("deconv{}", index + 1), transposed.parameters()));
            all.extend(prefixed(&format!("norm_deconv{}", index + 1), norm.parameters()));
        }
        all.extend(prefixed("conv", self.output.parameters()));
        all
    }

    fn buffers(&self) -> NamedTensors {
        let mut all = prefixed("norm_fc1", self.hidden.1.buffers());
        all.extend(buffers("norm_deconv", self.transposed.iter().map(|(_, norm)| norm)));
        all
    }
}

/// The buffers of `name1`, `name2`, ….
fn buffers<'a>(name: &str, norms: impl Iterator<Item = &'a BatchNorm>) -> NamedTensors {
    norms.enumerate().flat_map(|(index, norm)| prefixed(&format!("{name}{}", index + 1), norm.buffers())).collect()
}
