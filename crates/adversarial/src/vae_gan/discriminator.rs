//! The discriminator of Larsen et al. 2016, whose inner layers can be looked at.

use elbo_core::NamedTensors;
use elbo_core::initialisation::Initialiser;
use elbo_core::layers::{Activation, BatchNorm, Convolution, Linear, Window};
use elbo_core::named::prefixed;
use elbo_core::networks::scaled;
use elbo_native::{autocast_raw, widened};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Layers whose features can be compared: `conv1` … `conv4`, then `fc1`.
pub const LAYERS: usize = 5;

/// Which features of the discriminator a reconstruction is compared by.
///
/// ```json
/// { "layer": 4, "normalised": false }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureLayer {
    /// 1 to 4: the convolutions, 5: the linear layer before the last. The published one is 4, the third strided convolution.
    pub layer: usize,
    /// Whether they are taken after batch normalisation and `ReLU`; published: before both. The first layer has no normalisation.
    pub normalised: bool,
}

/// What a discriminator says of pictures.
#[derive(Debug)]
pub struct Judgement {
    /// log Dis/(1 − Dis), `[B]`.
    pub logits: Tensor,
    /// The features that were asked for, flattened: `[B, F]`.
    pub features: Tensor,
}

/// Data or not: the probability that pictures are data.
///
/// ```text
/// x → conv 32, 5×5 → ReLU → [conv, 5×5, stride 2, batch norm, ReLU] of 128, 256, 256 channels → FC 512, batch norm, ReLU → FC 1
/// ```
/// Widths are multiplied by the model's `width`. Batch normalisation takes the moments of the pictures that are judged together.
#[derive(Debug)]
pub struct Discriminator {
    first: Convolution,
    convolutions: Vec<(Convolution, BatchNorm)>,
    hidden: (Linear, BatchNorm),
    output: Linear,
}

impl Discriminator {
    /// For pictures `image` = `[C, H, W]`, sides multiples of 8.
    pub fn new(initialiser: &Initialiser<'_>, image: [i64; 3], width: f64) -> Self {
        let [image_channels, height, across] = image;
        let mut channels = scaled(32, width);
        let first = Convolution::new(initialiser, image_channels, channels, Window::WIDE);
        let convolutions = [128, 256, 256].map(|outputs| {
            let outputs = scaled(outputs, width);
            let inputs = std::mem::replace(&mut channels, outputs);
            let convolution = Convolution::new(initialiser, inputs, outputs, Window::WIDE_HALVING).without_bias();
            (convolution, BatchNorm::new(initialiser, outputs))
        });
        let hidden = scaled(512, width);
        let linear = Linear::new(initialiser, channels * (height / 8) * (across / 8), hidden).without_bias();
        Self {
            first,
            convolutions: convolutions.into(),
            hidden: (linear, BatchNorm::new(initialiser, hidden)),
            output: Linear::new(initialiser, hidden, 1),
        }
    }

    /// Judges pictures `[B, C, H, W]`; in `training` by the moments of the batch, which are remembered, else by those remembered.
    pub fn judge(&self, pictures: &Tensor, wanted: FeatureLayer, training: bool) -> Judgement {
        let Judgement { logits, features } = autocast_raw(|| self.judged(pictures, wanted, training));
        Judgement { logits: widened(logits), features: widened(features) }
    }

    fn judged(&self, pictures: &Tensor, wanted: FeatureLayer, training: bool) -> Judgement {
        let norm = |norm: &BatchNorm, input: &Tensor| {
            if training { norm.forward_training(input) } else { norm.forward(input) }
        };
        let mut kept = None;
        // Features are copies where the activation would change them in place.
        let mut keep = |layer: usize, normalised: bool, features: &Tensor| {
            if wanted == (FeatureLayer { layer, normalised }) {
                kept = Some(if normalised { features.shallow_clone() } else { features.copy() });
            }
        };
        let mut features = self.first.forward(pictures);
        keep(1, false, &features);
        features = Activation::Relu.forward(features);
        keep(1, true, &features);
        for (index, (convolution, batch_norm)) in self.convolutions.iter().enumerate() {
            let raw = convolution.forward(&features);
            keep(index + 2, false, &raw);
            features = Activation::Relu.forward(norm(batch_norm, &raw));
            keep(index + 2, true, &features);
        }
        let raw = self.hidden.0.forward(&features.flatten(1, -1));
        keep(LAYERS, false, &raw);
        features = Activation::Relu.forward(norm(&self.hidden.1, &raw));
        keep(LAYERS, true, &features);
        let logits = self.output.forward(&features).squeeze_dim(-1);
        let features = kept.unwrap_or_else(|| panic!("a feature layer is 1 to {LAYERS}, got {}", wanted.layer));
        Judgement { logits, features: features.flatten(1, -1) }
    }

    /// `conv1` …, `norm_conv2` …, `fc1`, `norm_fc1`, `head`.
    pub fn parameters(&self) -> NamedTensors {
        let mut all = prefixed("conv1", self.first.parameters());
        for (index, (convolution, norm)) in self.convolutions.iter().enumerate() {
            all.extend(prefixed(&format!("conv{}", index + 2), convolution.parameters()));
            all.extend(prefixed(&format!("norm_conv{}", index + 2), norm.parameters()));
        }
        all.extend(prefixed("fc1", self.hidden.0.parameters()));
        all.extend(prefixed("norm_fc1", self.hidden.1.parameters()));
        all.extend(prefixed("head", self.output.parameters()));
        all
    }

    /// The running moments of its batch normalisation.
    pub fn buffers(&self) -> NamedTensors {
        let mut all = Vec::new();
        for (index, (_, norm)) in self.convolutions.iter().enumerate() {
            all.extend(prefixed(&format!("norm_conv{}", index + 2), norm.buffers()));
        }
        all.extend(prefixed("norm_fc1", self.hidden.1.buffers()));
        all
    }
}
