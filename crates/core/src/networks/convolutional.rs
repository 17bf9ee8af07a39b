//! The form that the convolutional networks share: convolutions, then linear layers, and the mirror image of that.

use super::{Network, Noisy};
use crate::NamedTensors;
use crate::initialisation::Initialiser;
use crate::layers::{Activation, Convolution, Linear, TransposedConvolution, Window};
use crate::named::prefixed;
use tch::Tensor;

/// `conv1` …, `fc1` …, `head`: pictures `[B, C, H, W]` to `[B, 2 D]`, `ReLU` in between.
#[derive(Debug)]
pub struct ConvolutionalEncoder {
    convolutions: Vec<Convolution>,
    hidden: Vec<Linear>,
    head: Linear,
    image: [i64; 3],
}

/// `fc1` …, `deconv1` …: codes `[B, D]` to pictures `[B, C, H, W]`, `ReLU` in between.
#[derive(Debug)]
pub struct ConvolutionalDecoder {
    hidden: Vec<Linear>,
    transposed: Vec<TransposedConvolution>,
    /// What the last linear layer's output is read as, `[C, H, W]`.
    smallest: [i64; 3],
}

impl ConvolutionalEncoder {
    /// For pictures `image` = `[C, H, W]` and D = `latent`: one convolution per entry of `convolutions` (channels, window), all of which
    /// must halve the picture, then one linear layer per entry of `hidden`.
    pub fn new(
        initialiser: &Initialiser<'_>,
        image: [i64; 3],
        latent: i64,
        convolutions: &[(i64, Window)],
        hidden: &[i64],
    ) -> Self {
        Self::with_head(initialiser, image, 0, (convolutions, hidden), (latent, 2))
    }

    /// The same with `noise` more inputs of the first linear layer, after the flattened features, and a head of `parts` times `outputs`
    /// numbers (see [`Linear::stacked`]).
    pub fn with_head(
        initialiser: &Initialiser<'_>,
        image: [i64; 3],
        noise: i64,
        (convolutions, hidden): (&[(i64, Window)], &[i64]),
        (outputs, parts): (i64, i64),
    ) -> Self {
        let [mut channels, height, width] = image;
        let convolutions: Vec<Convolution> = convolutions
            .iter()
            .map(|&(outputs, window)| Convolution::new(initialiser, replace(&mut channels, outputs), outputs, window))
            .collect();
        let shrink = 1 << convolutions.len();
        let mut features = channels * (height / shrink) * (width / shrink) + noise;
        let hidden = linear_chain(initialiser, &mut features, hidden);
        let head = Linear::stacked(initialiser, features, outputs, parts);
        Self { convolutions, hidden, head, image }
    }
}

impl ConvolutionalDecoder {
    /// For pictures `image` = `[C, H, W]` and D = `latent`: one linear layer per entry of `hidden`, one more to `channels[0]` small
    /// pictures, then transposed convolutions from each entry of `channels` to the next and at last to C.
    pub fn new(initialiser: &Initialiser<'_>, image: [i64; 3], latent: i64, hidden: &[i64], channels: &[i64]) -> Self {
        let [image_channels, height, width] = image;
        let shrink = 1 << channels.len();
        let smallest = [channels[0], height / shrink, width / shrink];
        let mut features = latent;
        let sizes: Vec<i64> = hidden.iter().copied().chain([smallest.iter().product()]).collect();
        let hidden = linear_chain(initialiser, &mut features, &sizes);
        let outputs = channels[1..].iter().copied().chain([image_channels]);
        let transposed = channels
            .iter()
            .zip(outputs)
            .map(|(&inputs, outputs)| TransposedConvolution::new(initialiser, inputs, outputs, Window::HALVING))
            .collect();
        Self { hidden, transposed, smallest }
    }
}

impl Noisy for ConvolutionalEncoder {
    fn features(&self, x: &Tensor) -> Tensor {
        assert_eq!(x.size().get(1..), Some(&self.image[..]), "the encoder takes [B, C, H, W]");
        let mut features = x.shallow_clone();
        for convolution in &self.convolutions {
            features = Activation::Relu.forward(convolution.forward(&features));
        }
        features.flatten(1, -1)
    }

    fn rest(&self, features: &Tensor) -> Tensor {
        let mut features = features.shallow_clone();
        for linear in &self.hidden {
            features = Activation::Relu.forward(linear.forward(&features));
        }
        self.head.forward(&features)
    }
}

impl Network for ConvolutionalEncoder {
    fn forward(&self, input: &Tensor) -> Tensor {
        self.rest(&self.features(input))
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = numbered("conv", self.convolutions.iter().map(Convolution::parameters));
        all.extend(numbered("fc", self.hidden.iter().map(Linear::parameters)));
        all.extend(prefixed("head", self.head.parameters()));
        all
    }
}

impl Network for ConvolutionalDecoder {
    fn forward(&self, input: &Tensor) -> Tensor {
        let mut features = input.shallow_clone();
        for linear in &self.hidden {
            features = Activation::Relu.forward(linear.forward(&features));
        }
        let [channels, height, width] = self.smallest;
        features = features.reshape([-1, channels, height, width]);
        for (index, transposed) in self.transposed.iter().enumerate() {
            features = transposed.forward(&features);
            if index + 1 < self.transposed.len() {
                features = Activation::Relu.forward(features);
            }
        }
        features
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = numbered("fc", self.hidden.iter().map(Linear::parameters));
        all.extend(numbered("deconv", self.transposed.iter().map(TransposedConvolution::parameters)));
        all
    }
}

/// Linear layers of these sizes, one after the other; `features` goes from the first's inputs to the last's outputs.
pub(super) fn linear_chain(initialiser: &Initialiser<'_>, features: &mut i64, sizes: &[i64]) -> Vec<Linear> {
    sizes.iter().map(|&outputs| Linear::new(initialiser, replace(features, outputs), outputs)).collect()
}

/// `name1.…`, `name2.…` and so on.
pub(super) fn numbered(name: &str, layers: impl Iterator<Item = NamedTensors>) -> NamedTensors {
    layers.enumerate().flat_map(|(index, layer)| prefixed(&format!("{name}{}", index + 1), layer)).collect()
}

fn replace(current: &mut i64, next: i64) -> i64 {
    std::mem::replace(current, next)
}
