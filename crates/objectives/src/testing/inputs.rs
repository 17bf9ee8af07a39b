//! Passes made by hand, on tensors that take gradients.

use crate::{Objective, Terms};
use elbo_core::{BatchContext, ForwardPass, Gaussian, Generator, Likelihood, Posterior};
use tch::{Device, Kind, Tensor};

/// Sizes of a pass and of the data set that it is a batch of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// Examples B.
    pub(super) batch: i64,
    /// Examples of the data set, N.
    pub(super) dataset_len: i64,
    /// Latent dimensions D.
    pub(super) latent: i64,
    /// Samples K of z.
    pub(super) samples: i64,
}

/// All that a pass is made of, as leaves that take gradients.
#[derive(Debug)]
pub(super) struct Inputs {
    /// `[B, D]`.
    pub(super) mean: Tensor,
    /// `[B, D]`.
    pub(super) log_var: Tensor,
    /// `[B, D]` or `[K, B, D]`: a leaf of its own, so that a gradient with respect to the mean is the loss's alone.
    pub(super) z: Tensor,
    /// Added to log p(x|z), `[B]` or `[K, B]`; 0. The gradient with respect to it is the one with respect to the log-likelihood.
    pub(super) log_likelihood: Tensor,
    /// A decoder's parameter, `[D]`: pixel d has the logit `decoder_d · z_d`.
    pub(super) decoder: Tensor,
    /// Pictures of D pixels, `[B, 1, 1, D]`.
    pub(super) x: Tensor,
}

impl Inputs {
    /// Overlapping encodings of different widths, a sample of each, and a Bernoulli decoder of one parameter per dimension.
    pub(super) fn random(setting: Setting, kind: Kind, seed: u64) -> Self {
        let noise = generator(seed);
        let size = [setting.batch, setting.latent];
        let mean = noise.normal(&size, kind);
        let log_var = noise.normal(&size, kind) * 0.5 - 1.0;
        Self::from_codes(&mean, &log_var, setting.samples, &noise)
    }

    /// Samples of the given encodings, and the rest as in [`Inputs::random`].
    pub(super) fn from_codes(mean: &Tensor, log_var: &Tensor, samples: i64, noise: &Generator) -> Self {
        let kind = mean.kind();
        let z = Gaussian::new(mean.shallow_clone(), log_var.shallow_clone()).sample(noise, samples);
        let (batch, latent) = (mean.size()[0], mean.size()[1]);
        let log_likelihood = Tensor::zeros(&z.size()[..z.dim() - 1], (kind, Device::Cpu));
        let decoder = noise.normal(&[latent], kind);
        let x = noise.uniform(&[batch, 1, 1, latent], kind);
        Self {
            mean: leaf(mean),
            log_var: leaf(log_var),
            z: leaf(&z),
            log_likelihood: leaf(&log_likelihood),
            decoder: leaf(&decoder),
            x,
        }
    }

    /// The leaves, with what to call them.
    pub(super) fn leaves(&self) -> [(&'static str, &Tensor); 5] {
        [
            ("mean", &self.mean),
            ("log-variance", &self.log_var),
            ("z", &self.z),
            ("log-likelihood", &self.log_likelihood),
            ("decoder's parameter", &self.decoder),
        ]
    }

    /// A pass over the leaves.
    pub(super) fn pass(&self) -> ForwardPass {
        self.pass_at(self.z.shallow_clone())
    }

    /// A pass with a sample that hangs on mean and log-variance, as a model's does.
    pub(super) fn reparameterised(&self, noise: &Generator, samples: i64) -> ForwardPass {
        self.pass_at(self.gaussian().sample(noise, samples))
    }

    fn gaussian(&self) -> Gaussian {
        Gaussian::new(self.mean.shallow_clone(), self.log_var.shallow_clone())
    }

    fn pass_at(&self, z: Tensor) -> ForwardPass {
        let logits = (&z * &self.decoder).unsqueeze(-2).unsqueeze(-2);
        self.pass_with(z, logits)
    }

    /// A pass whose decoder returned `logits`, `[B, 1, 1, D]` or `[K, B, 1, 1, D]`.
    pub(super) fn pass_with(&self, z: Tensor, logits: Tensor) -> ForwardPass {
        let log_likelihood = Likelihood::Bernoulli.log_likelihood(&self.x, &logits) + &self.log_likelihood;
        ForwardPass::new(self.x.shallow_clone(), Posterior::Gaussian(self.gaussian()), z, logits, log_likelihood)
    }

    /// Gradients of a loss with respect to the leaves; zeros where it does not depend on one.
    pub(super) fn gradients(&self, loss: &Tensor) -> Vec<Tensor> {
        gradients(loss, &self.leaves().map(|(_, leaf)| leaf))
    }
}

fn leaf(value: &Tensor) -> Tensor {
    value.detach().copy().set_requires_grad(true)
}

/// Gradients of a loss; zeros where it does not depend on an input.
pub(super) fn gradients(loss: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    if !loss.requires_grad() {
        return inputs.iter().map(|input| input.zeros_like()).collect();
    }
    let gradients = Tensor::run_backward(&[loss], inputs, false, false);
    let or_zeros =
        |(gradient, input): (Tensor, &&Tensor)| if gradient.defined() { gradient } else { input.zeros_like() };
    gradients.into_iter().zip(inputs).map(or_zeros).collect()
}

/// A generator of the suite's own.
pub(super) fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator on the CPU")
}

/// The loss of a pass, the noise always at the start of the same stream.
pub(super) fn evaluate(objective: &dyn Objective, pass: &ForwardPass, setting: Setting, step: i64) -> Terms {
    let noise = generator(0);
    let context = BatchContext { step: &Tensor::from(step), dataset_len: setting.dataset_len, noise: &noise };
    objective.evaluate(pass, &context)
}

/// A scalar's value.
pub(super) fn number(value: &Tensor) -> f64 {
    f64::try_from(value).expect("a scalar")
}

/// Whether every element is finite.
pub(super) fn is_finite(value: &Tensor) -> bool {
    number(&value.detach().to_kind(Kind::Double).isfinite().all().to_kind(Kind::Double)) > 0.5
}

/// Whether two tensors are the same bits of the same shape and kind, NaN included.
pub(super) fn is_same(left: &Tensor, right: &Tensor) -> bool {
    left.kind() == right.kind() && left.size() == right.size() && left.allclose(right, 0.0, 0.0, true)
}
