//! Layers with parameters: plain tensors in PyTorch's layouts, called `weight` and `bias`.

use crate::NamedTensors;
use crate::choices;
use crate::initialisation::{Fan, Initialiser};
use tch::Tensor;

/// `x Wᵀ + b`.
#[derive(Debug)]
pub struct Linear {
    /// `[outputs, inputs]`.
    pub weight: Tensor,
    /// `[outputs]`; none before batch normalisation.
    pub bias: Option<Tensor>,
}

/// Geometry of a convolution: a square kernel, moved by `stride` over a picture with `padding` zeros around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the kernel.
    pub kernel: i64,
    /// Step between two positions.
    pub stride: i64,
    /// Zeros added on every side.
    pub padding: i64,
}

/// A two-dimensional convolution.
#[derive(Debug)]
pub struct Convolution {
    /// `[outputs, inputs, kernel, kernel]`.
    pub weight: Tensor,
    /// `[outputs]`; none before batch normalisation.
    pub bias: Option<Tensor>,
    window: Window,
}

/// Batch normalisation: each channel of `[B, C, ..]` (or feature of `[B, C]`) to mean 0 and variance 1, then scaled and shifted.
///
/// Ioffe & Szegedy 2015, with PyTorch's conventions: the biased variance normalises, the unbiased one is remembered, and what is remembered
/// moves by a tenth towards every training batch.
#[derive(Debug)]
pub struct BatchNorm {
    /// Scale, `[C]`; starts at 1.
    pub weight: Tensor,
    /// Shift, `[C]`; starts at 0.
    pub bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
}

/// The transpose of a two-dimensional convolution: with stride 2 it doubles a picture's size.
#[derive(Debug)]
pub struct TransposedConvolution {
    /// `[inputs, outputs, kernel, kernel]`.
    pub weight: Tensor,
    /// `[outputs]`; none before batch normalisation.
    pub bias: Option<Tensor>,
    window: Window,
}

choices! {
    /// A function between layers.
    pub enum Activation {
        /// max(0, x).
        Relu = "relu",
        /// The hyperbolic tangent.
        Tanh = "tanh",
        /// x above 0, exp(x) − 1 below.
        Elu = "elu",
        /// x above 0, x/100 below: PyTorch's.
        LeakyRelu = "leaky-relu",
        /// x above 0, x/5 below: TensorFlow's, and so that of many published critics.
        LeakyReluFifth = "leaky-relu-0.2",
    }
}

impl Linear {
    /// From `inputs` to `outputs` numbers.
    pub fn new(initialiser: &Initialiser<'_>, inputs: i64, outputs: i64) -> Self {
        Self::stacked(initialiser, inputs, outputs, 1)
    }

    /// `parts` layers of `outputs` each, side by side in one product, each drawn by its own fan.
    pub fn stacked(initialiser: &Initialiser<'_>, inputs: i64, outputs: i64, parts: i64) -> Self {
        let fan = Fan { inputs, outputs };
        let weight = initialiser.weight(&[parts * outputs, inputs], fan);
        let bias = Some(initialiser.bias(parts * outputs, fan));
        Self { weight, bias }
    }

    /// The same layer without its bias, which batch normalisation would take away again.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// A layer that returns 0 until it is trained.
    pub fn zero(initialiser: &Initialiser<'_>, inputs: i64, outputs: i64) -> Self {
        Self {
            weight: initialiser.constant(&[outputs, inputs], 0.0),
            bias: Some(initialiser.constant(&[outputs], 0.0)),
        }
    }

    /// `[.., inputs]` → `[.., outputs]`.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        input.linear(&self.weight, self.bias.as_ref())
    }

    /// `weight`, `bias`.
    pub fn parameters(&self) -> NamedTensors {
        named(&self.weight, self.bias.as_ref())
    }
}

impl Window {
    /// Halves a picture of even size (transposed: doubles it), with kernel 4.
    pub const HALVING: Self = Self { kernel: 4, stride: 2, padding: 1 };
    /// Halves a picture of even size (transposed: doubles it), with kernel 5.
    pub const WIDE_HALVING: Self = Self { kernel: 5, stride: 2, padding: 2 };
    /// Keeps a picture's size, with kernel 5.
    pub const WIDE: Self = Self { kernel: 5, stride: 1, padding: 2 };
    /// Halves a picture of even size with kernel 2, every pixel used once.
    pub const PAIRING: Self = Self { kernel: 2, stride: 2, padding: 0 };

    /// Kernel positions.
    fn area(self) -> i64 {
        self.kernel * self.kernel
    }
}

impl Convolution {
    /// From `inputs` to `outputs` channels.
    pub fn new(initialiser: &Initialiser<'_>, inputs: i64, outputs: i64, window: Window) -> Self {
        let fan = Fan { inputs: inputs * window.area(), outputs: outputs * window.area() };
        let weight = initialiser.weight(&[outputs, inputs, window.kernel, window.kernel], fan);
        let bias = Some(initialiser.bias(outputs, fan));
        Self { weight, bias, window }
    }

    /// The same layer without its bias, which batch normalisation would take away again.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// `[B, inputs, H, W]` → `[B, outputs, H', W']`.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        let Window { stride, padding, .. } = self.window;
        input.conv2d(&self.weight, self.bias.as_ref(), [stride; 2], [padding; 2], [1, 1], 1)
    }

    /// `weight`, `bias`.
    pub fn parameters(&self) -> NamedTensors {
        named(&self.weight, self.bias.as_ref())
    }
}

impl TransposedConvolution {
    /// From `inputs` to `outputs` channels.
    pub fn new(initialiser: &Initialiser<'_>, inputs: i64, outputs: i64, window: Window) -> Self {
        // The fans of the weight as it is stored, which is how PyTorch and TensorFlow count.
        let fan = Fan { inputs: outputs * window.area(), outputs: inputs * window.area() };
        let weight = initialiser.weight(&[inputs, outputs, window.kernel, window.kernel], fan);
        let bias = Some(initialiser.bias(outputs, fan));
        Self { weight, bias, window }
    }

    /// The same layer without its bias, which batch normalisation would take away again.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// `[B, inputs, H, W]` → `[B, outputs, H', W']`.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        let Window { kernel, stride, padding } = self.window;
        // What is missing for a picture `stride` times as large: nothing for even kernels, one row and column for odd ones.
        let missing = stride + 2 * padding - kernel;
        input.conv_transpose2d(&self.weight, self.bias.as_ref(), [stride; 2], [padding; 2], [missing; 2], 1, [1, 1])
    }

    /// `weight`, `bias`.
    pub fn parameters(&self) -> NamedTensors {
        named(&self.weight, self.bias.as_ref())
    }
}

impl BatchNorm {
    const MOMENTUM: f64 = 0.1;
    const EPSILON: f64 = 1e-5;

    /// For `channels` channels.
    pub fn new(initialiser: &Initialiser<'_>, channels: i64) -> Self {
        Self {
            weight: initialiser.constant(&[channels], 1.0),
            bias: initialiser.constant(&[channels], 0.0),
            running_mean: initialiser.constant(&[channels], 0.0).detach(),
            running_var: initialiser.constant(&[channels], 1.0).detach(),
        }
    }

    /// By the moments that were remembered.
    pub fn forward(&self, input: &Tensor) -> Tensor {
        self.normalise(input, false)
    }

    /// By the moments of `input` itself, which are remembered.
    pub fn forward_training(&self, input: &Tensor) -> Tensor {
        self.normalise(input, true)
    }

    fn normalise(&self, input: &Tensor, training: bool) -> Tensor {
        let (mean, variance) = (Some(&self.running_mean), Some(&self.running_var));
        let (weight, bias) = (Some(&self.weight), Some(&self.bias));
        input.batch_norm(weight, bias, mean, variance, training, Self::MOMENTUM, Self::EPSILON, true)
    }

    /// `weight`, `bias`.
    pub fn parameters(&self) -> NamedTensors {
        named(&self.weight, Some(&self.bias))
    }

    /// `running_mean`, `running_var`.
    pub fn buffers(&self) -> NamedTensors {
        let named = |name: &str, tensor: &Tensor| (name.to_owned(), tensor.shallow_clone());
        vec![named("running_mean", &self.running_mean), named("running_var", &self.running_var)]
    }
}

impl Activation {
    /// Applies it in place: `input` must be the fresh output of a layer, which no backward pass reads.
    pub fn forward(self, mut input: Tensor) -> Tensor {
        match self {
            Self::Relu => input.relu_(),
            Self::Tanh => input.tanh_(),
            Self::Elu => input.elu_(),
            Self::LeakyRelu => input.leaky_relu_(),
            // tch binds the operator without its slope.
            Self::LeakyReluFifth => input.maximum(&(&input * 0.2)),
        }
    }
}

fn named(weight: &Tensor, bias: Option<&Tensor>) -> NamedTensors {
    let weight = ("weight".to_owned(), weight.shallow_clone());
    [weight].into_iter().chain(bias.map(|bias| ("bias".to_owned(), bias.shallow_clone()))).collect()
}
