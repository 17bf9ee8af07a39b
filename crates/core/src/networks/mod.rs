//! Encoders and decoders.
//!
//! Parameter names are the checkpoint format. They and the layouts are those of PyTorch modules with these attributes, so that a
//! file written here loads there, and the other way round:
//!
//! | network | encoder (`encoder.`) | decoder (`decoder.`) |
//! |---|---|---|
//! | `burgess` | `conv1` … `conv4` (`conv3` below 64 pixels), `fc1`, `fc2`, `head` | `fc1`, `fc2`, `fc3`, `deconv1` … `deconv4` (`deconv3`) |
//! | `locatello` | `conv1` … `conv4`, `fc1`, `head` | `fc1`, `fc2`, `deconv1` … `deconv4` |
//! | `mlp` | `fc1` … , `head` | `fc1` … , `head` |
//! | `vae-gan` | `conv1` … `conv3`, `fc1`, `head` | `fc1`, `deconv1` … `deconv3`, `conv` |
//!
//! each with `weight` and `bias`: `[outputs, inputs]` (linear), `[outputs, inputs, k, k]` (`conv`), `[inputs, outputs, k, k]`
//! (`deconv`), `[outputs]` (bias). An encoder's `head` has 2 D outputs: the D means, then the D logarithms of the variances.
//! A `conv`, `fc` or `deconv` of `vae-gan` has no bias but a `norm` of the same number behind it, with `weight`, `bias`, `running_mean` and
//! `running_var` (`norm_fc1`, `norm_conv1`, …); the last `conv` has a bias.
//! Pictures are flattened channel by channel, row by row.
//!
//! With a `posterior` the encoder has the same layers and names, but for these (noise ε of E numbers, K terms):
//!
//! | posterior | encoder (`encoder.`) |
//! |---|---|
//! | `implicit` | `fc1` takes E inputs more, the noise after x (`mlp`) or after the flattened features; `head` has D outputs |
//! | `moment-tractable` | `head` has (1 + K) D outputs, `z_0` and then what `a_1` … `a_K` are made of; `basis.fc1` …, `basis.head` are v |
//!
//! `basis` holds the K networks of v side by side: `weight` `[K, outputs, inputs]`, `bias` `[K, outputs]`.

mod burgess;
mod config;
mod convolutional;
mod implicit;
mod locatello;
mod mlp;
mod moment_tractable;
mod posterior;
mod vae_gan;

pub use config::{LikelihoodName, ModelConfig, NetworkName, Sigma};
pub use convolutional::{ConvolutionalDecoder, ConvolutionalEncoder};
pub use implicit::{ImplicitEncoder, Noisy};
pub use mlp::Mlp;
pub use moment_tractable::{MomentTractableEncoder, NoiseBasis, NoiseBasisConfig};
pub use posterior::{PosteriorConfig, PosteriorFamily};
pub use vae_gan::{VaeGanDecoder, VaeGanEncoder, scaled};

use crate::NamedTensors;
use tch::Tensor;

/// A function with parameters, from a batch to a batch.
pub trait Network: std::fmt::Debug + Send {
    /// `[B, ..]` → `[B, ..]`.
    fn forward(&self, input: &Tensor) -> Tensor;

    /// Every parameter, live, by its name below the network's own prefix, in a fixed order.
    fn parameters(&self) -> NamedTensors;

    /// [`Network::forward`] in a training step: batch normalisation takes the moments of this batch, and remembers them. The same as
    /// `forward` for networks without it.
    fn forward_training(&self, input: &Tensor) -> Tensor {
        self.forward(input)
    }

    /// What is remembered but not trained, live, by name: the running moments of batch normalisation.
    fn buffers(&self) -> NamedTensors {
        Vec::new()
    }
}
