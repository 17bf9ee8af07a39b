//! q(z|x) as a sum of noise whose scales depend on x: samples, and the first two moments.

use super::Network;
use super::convolutional::numbered;
use crate::initialisation::{Fan, Initialiser};
use crate::layers::Activation;
use crate::named::prefixed;
use crate::posterior::Knowledge;
use crate::{Encoder, Gaussian, NamedTensors, Posterior};
use elbo_native::{Generator, autocast};
use tch::Tensor;

/// Sizes of a [`NoiseBasis`].
#[derive(Debug, Clone, Copy)]
pub struct NoiseBasisConfig<'a> {
    /// Number of terms K.
    pub terms: i64,
    /// Numbers of noise E that one term takes.
    pub noise: i64,
    /// Widths of the hidden layers.
    pub hidden: &'a [i64],
    /// Between the layers.
    pub activation: Activation,
}

/// The K networks `v_k(ε_k)`, side by side: they do not see x, and each has noise of its own.
#[derive(Debug)]
pub struct NoiseBasis {
    hidden: Vec<Stack>,
    head: Stack,
    terms: i64,
    noise: i64,
    activation: Activation,
}

/// K linear layers in one batched product.
#[derive(Debug)]
struct Stack {
    /// `[K, outputs, inputs]`.
    weight: Tensor,
    /// `[K, outputs]`.
    bias: Tensor,
}

/// `z = z_0(x) + Σ_k v_k(ε_k) ⊙ a_k(x)`, `a = ELU(· − 5) + 1`: Mescheder et al. 2017, Sec. 5.2 of the supplement (docs/mathematics.md §7).
///
/// ```text
/// E[z|x] = z_0 + Σ_k a_k E[v_k],   Var[z_d|x] = Σ_k a_kd² Var[v_kd]
/// ```
/// The moments are exact in a; those of v come from `moment_samples` draws that are independent of the samples of z, the same for all x.
/// They are constants: no gradient flows into them.
#[derive(Debug)]
pub struct MomentTractableEncoder {
    network: Box<dyn Network>,
    basis: NoiseBasis,
    latent: i64,
    moment_samples: i64,
}

impl Stack {
    fn new(initialiser: &Initialiser<'_>, terms: i64, inputs: i64, outputs: i64) -> Self {
        let fan = Fan { inputs, outputs };
        let weight = initialiser.weight(&[terms, outputs, inputs], fan);
        let bias = initialiser.biases(&[terms, outputs], fan);
        Self { weight, bias }
    }

    /// `[K, N, inputs]` → `[K, N, outputs]`.
    fn forward(&self, input: &Tensor) -> Tensor {
        input.bmm(&self.weight.transpose(1, 2)) + self.bias.unsqueeze(1)
    }

    fn parameters(&self) -> NamedTensors {
        vec![("weight".to_owned(), self.weight.shallow_clone()), ("bias".to_owned(), self.bias.shallow_clone())]
    }
}

impl NoiseBasis {
    /// The networks, each to D = `latent` numbers.
    pub fn new(initialiser: &Initialiser<'_>, config: NoiseBasisConfig<'_>, latent: i64) -> Self {
        let NoiseBasisConfig { terms, noise, hidden, activation } = config;
        let mut inputs = noise;
        let hidden = hidden
            .iter()
            .map(|&outputs| Stack::new(initialiser, terms, std::mem::replace(&mut inputs, outputs), outputs))
            .collect();
        let head = Stack::new(initialiser, terms, inputs, latent);
        Self { hidden, head, terms, noise, activation }
    }

    /// v for `count` fresh draws of every `ε_k`: `[K, count, D]`.
    pub fn draw(&self, noise: &Generator, count: i64) -> Tensor {
        let mut features = noise.normal(&[self.terms, count, self.noise], self.head.weight.kind());
        for stack in &self.hidden {
            features = self.activation.forward(stack.forward(&features));
        }
        self.head.forward(&features)
    }

    /// `fc1` …, `head`.
    pub fn parameters(&self) -> NamedTensors {
        let mut all = numbered("fc", self.hidden.iter().map(Stack::parameters));
        all.extend(prefixed("head", self.head.parameters()));
        all
    }
}

impl MomentTractableEncoder {
    /// `network` returns `[B, (1 + K) D]`: `z_0`, then what `a_1` … `a_K` are made of. `moment_samples` is at least 2.
    pub fn new(network: Box<dyn Network>, basis: NoiseBasis, latent: i64, moment_samples: i64) -> Self {
        assert!(moment_samples >= 2, "a variance needs at least two draws of noise, got {moment_samples}");
        Self { network, basis, latent, moment_samples }
    }

    /// Mean and variance of z given `z_0` `[B, D]` and a `[B, K, D]`.
    fn moments(&self, start: &Tensor, scales: &Tensor, noise: &Generator) -> Gaussian {
        tch::no_grad(|| {
            let v = self.basis.draw(noise, self.moment_samples);
            let mean = start + (scales * v.mean_dim(1, false, None)).sum_dim_intlist(1, false, None);
            let variance = (scales.square() * v.var_dim(1, true, false)).sum_dim_intlist(1, false, None);
            // A logarithm that stays finite where the noise has died.
            Gaussian::new(mean, variance.clamp_min(LEAST_VARIANCE).log())
        })
    }

    fn drawn(&self, head: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        assert!(samples >= 1, "the number of samples must be at least 1, got {samples}");
        let (batch, latent, terms) = (head.size()[0], self.latent, self.basis.terms);
        let start = head.narrow(1, 0, latent);
        let scales = Activation::Elu.forward(head.narrow(1, latent, terms * latent) - 5.0) + 1.0;
        let scales = scales.reshape([batch, terms, latent]);
        // [K, samples · B, D] → [samples, B, K, D].
        let v = self.basis.draw(noise, samples * batch).reshape([terms, samples, batch, latent]).permute([1, 2, 0, 3]);
        let z = &start + (v * &scales).sum_dim_intlist(2, false, None);
        let z = if samples == 1 { z.squeeze_dim(0) } else { z };
        (Posterior::Implicit { moments: Some(self.moments(&start, &scales, noise)) }, z)
    }
}

/// Far below any variance of use, and a normal number of float32.
const LEAST_VARIANCE: f64 = 1e-30;

impl Encoder for MomentTractableEncoder {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        self.drawn(&autocast(|| self.network.forward(x)), noise, samples)
    }

    fn infer_training(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        self.drawn(&autocast(|| self.network.forward_training(x)), noise, samples)
    }

    fn parameters(&self) -> NamedTensors {
        let mut all = self.network.parameters();
        all.extend(prefixed("basis", self.basis.parameters()));
        all
    }

    fn buffers(&self) -> NamedTensors {
        self.network.buffers()
    }

    fn knowledge(&self) -> Knowledge {
        Knowledge::Moments
    }
}
