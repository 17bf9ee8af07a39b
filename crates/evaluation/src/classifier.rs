//! A small convolutional classifier of pictures, trained on a data set's own classes and on nothing else.
//!
//! It is the judge of pictures that a model made: what a person would call a heart is what this network, which has seen data only, calls
//! one. So it shares nothing with the model: no weights, no codes, no random numbers. How far its word counts is what it says of pictures
//! that it never saw: an [`Accuracy`] belongs beside everything that it judges.
//!
//! ```text
//! [B, C, H, W] → convolutions, each halving the picture, until it is smaller than 8 → FEATURES numbers → K logits
//! ```
//!
//! Batch normalisation (which makes it learn several times as fast) and `ReLU` follow every convolution, `ReLU` the features.
//!
//! Classes are drawn equally often, whatever their number of pictures: the prior over classes is uniform in what it learns, and
//! [`Accuracy::balanced`], in which each class counts the same, is what it is good at.

mod groups;
mod training;

pub use groups::Groups;
pub use training::{Settings, Trained, train};

use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::{Activation, BatchNorm, Convolution, Linear, Window};
use elbo_core::named::prefixed;
use elbo_core::{Generator, NamedTensors};
use tch::{Device, Kind, Tensor};

/// Numbers before the last layer: what [`Classifier::features`] returns.
pub const FEATURES: i64 = 128;
/// Smallest side of a picture.
pub const SMALLEST: i64 = 8;
/// Channels of the convolutions.
const CHANNELS: [i64; 4] = [16, 32, 64, 64];

/// The network; see the [module](self).
#[derive(Debug)]
pub struct Classifier {
    convolutions: Vec<(Convolution, BatchNorm)>,
    hidden: Linear,
    head: Linear,
    image: [i64; 3],
}

/// How often a classifier is right, class by class.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// Of each class, the pictures that were shown.
    pub pictures: Vec<i64>,
    /// Of each class, the share that was told rightly; NaN without a picture.
    pub of_class: Vec<f64>,
}

impl Classifier {
    /// An untrained network for pictures `image` = `[C, H, W]` and `classes` ≥ 2, on `device`; `noise` is a CPU generator.
    pub fn new(image: [i64; 3], classes: i64, noise: &Generator, device: Device) -> Self {
        let [mut channels, mut height, mut width] = image;
        assert!(classes >= 2, "a classifier needs two classes, got {classes}");
        assert!(
            height.min(width) >= SMALLEST,
            "a picture must be at least {SMALLEST} pixels wide and high, got {image:?}"
        );
        let initialiser = Initialiser::new(noise, device, Initialisation::KaimingUniform);
        let mut convolutions = Vec::new();
        for outputs in CHANNELS {
            if height.min(width) < SMALLEST {
                break;
            }
            let convolution = Convolution::new(&initialiser, channels, outputs, Window::HALVING);
            convolutions.push((convolution, BatchNorm::new(&initialiser, outputs)));
            (channels, height, width) = (outputs, height / 2, width / 2);
        }
        let hidden = Linear::new(&initialiser, channels * height * width, FEATURES);
        let head = Linear::zero(&initialiser, FEATURES, classes);
        Self { convolutions, hidden, head, image }
    }

    /// What the last layer sees: `[B, C, H, W]` → `[B, FEATURES]`, not negative. Two pictures are alike to the classifier where these are.
    pub fn features(&self, x: &Tensor) -> Tensor {
        self.features_by(x, BatchNorm::forward)
    }

    fn features_by(&self, x: &Tensor, normalise: impl Fn(&BatchNorm, &Tensor) -> Tensor) -> Tensor {
        assert_eq!(x.size().get(1..), Some(&self.image[..]), "x must be [B, C, H, W] with the classifier's [C, H, W]");
        let mut features = x.shallow_clone();
        for (convolution, norm) in &self.convolutions {
            features = Activation::Relu.forward(normalise(norm, &convolution.forward(&features)));
        }
        Activation::Relu.forward(self.hidden.forward(&features.flatten(1, -1)))
    }

    /// Logarithms of the classes' probabilities but for a constant, `[B, K]`.
    pub fn logits(&self, x: &Tensor) -> Tensor {
        self.head.forward(&self.features(x))
    }

    /// [`Classifier::logits`] in a training step: normalised by the moments of this batch, which are remembered.
    pub fn logits_training(&self, x: &Tensor) -> Tensor {
        self.head.forward(&self.features_by(x, BatchNorm::forward_training))
    }

    /// The most probable class of each picture, Int64 `[B]`, without gradients.
    pub fn predict(&self, x: &Tensor) -> Tensor {
        tch::no_grad(|| self.logits(x).argmax(-1, false))
    }

    /// How often it is right about the rows of `groups`, whose pictures `pictures` makes (Int64 `[B]` → `[B, C, H, W]`): those of the data
    /// set, or a model's reconstructions of them. One transfer to the host for each class.
    pub fn accuracy(&self, groups: &Groups, batch: i64, pictures: &mut dyn FnMut(&Tensor) -> Tensor) -> Accuracy {
        let (mut counts, mut shares) = (Vec::new(), Vec::new());
        for (class, rows) in groups.rows().iter().enumerate() {
            let count = rows.size()[0];
            let mut right = Tensor::zeros([], (Kind::Int64, rows.device()));
            for start in (0..count).step_by(batch as usize) {
                let some = rows.narrow(0, start, batch.min(count - start));
                right += tch::no_grad(|| self.predict(&pictures(&some))).eq(class as i64).sum(Kind::Int64);
            }
            counts.push(count);
            shares.push(right.int64_value(&[]) as f64 / count as f64);
        }
        Accuracy { pictures: counts, of_class: shares }
    }

    /// Number of classes.
    pub fn classes(&self) -> i64 {
        self.head.weight.size()[0]
    }

    /// Every parameter, by name.
    pub fn parameters(&self) -> NamedTensors {
        let mut all = Vec::new();
        for (index, (convolution, norm)) in self.convolutions.iter().enumerate() {
            all.extend(prefixed(&format!("conv{}", index + 1), convolution.parameters()));
            all.extend(prefixed(&format!("norm{}", index + 1), norm.parameters()));
        }
        all.extend(prefixed("fc1", self.hidden.parameters()));
        all.extend(prefixed("head", self.head.parameters()));
        all
    }

    /// Parameters, and the moments that batch normalisation remembers: all that makes the classifier what it is.
    pub fn state(&self) -> NamedTensors {
        let mut all = self.parameters();
        for (index, (_, norm)) in self.convolutions.iter().enumerate() {
            all.extend(prefixed(&format!("norm{}", index + 1), norm.buffers()));
        }
        all
    }
}

impl Accuracy {
    /// Each class counts the same: 1/K for a guess, whatever the number of pictures.
    pub fn balanced(&self) -> f64 {
        self.of_class.iter().sum::<f64>() / self.of_class.len() as f64
    }

    /// Its standard error over draws of the pictures.
    pub fn standard_error(&self) -> f64 {
        let variance = |(share, &count): (&f64, &i64)| share * (1.0 - share) / count as f64;
        self.of_class.iter().zip(&self.pictures).map(variance).sum::<f64>().sqrt() / self.of_class.len() as f64
    }
}
