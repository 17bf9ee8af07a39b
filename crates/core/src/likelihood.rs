//! p(x|z): the densities that a decoder's output parameterises.

use crate::NamedTensors;
use elbo_native::{Argument, call, with_gradient};
use tch::{Reduction, Tensor, no_grad};

const LOG_2_PI: f64 = 1.837_877_066_409_345_5;

/// The spread of a Gaussian or Laplace likelihood: one number for all pixels.
#[derive(Debug)]
pub enum Scale {
    /// A constant.
    Fixed(f64),
    /// exp of a parameter, learnt with the decoder (at the optimum σ² is the mean squared error; docs/mathematics.md §1).
    Learnt {
        /// Logarithm of the scale, a scalar.
        log_scale: Tensor,
    },
}

/// p(x|z) given what the decoder returns.
#[derive(Debug)]
pub enum Likelihood {
    /// Independent Bernoulli pixels; the decoder returns logits. On grey pixels this is a pseudo-likelihood, not a normalised density.
    Bernoulli,
    /// N(f(z), σ²) per pixel; the decoder returns the mean.
    Gaussian(Scale),
    /// Laplace(f(z), b) per pixel; the decoder returns the median.
    Laplace(Scale),
}

impl Scale {
    fn log(&self, like: &Tensor) -> Tensor {
        match self {
            // `full` builds the constant on the device: no host copy in a step.
            Self::Fixed(scale) => Tensor::full([], scale.ln(), (like.kind(), like.device())),
            Self::Learnt { log_scale } => log_scale.shallow_clone(),
        }
    }
}

impl Likelihood {
    /// log p(x|z) in nats, summed over channels and pixels.
    ///
    /// Shapes: `x` `[B, C, H, W]`, `decoded` `[B, C, H, W]` or `[K, B, C, H, W]`; result `[B]` or `[K, B]`. Bernoulli's is differentiable once
    /// with respect to `decoded`: for second derivatives sum [`bernoulli_log_density`].
    pub fn log_likelihood(&self, x: &Tensor, decoded: &Tensor) -> Tensor {
        let (image, output) = (x.size(), decoded.size());
        assert!(
            output.ends_with(&image) && output.len() <= image.len() + 1,
            "decoded must have x's shape {image:?}, with K samples in front at most; got {output:?}"
        );
        match self {
            Self::Bernoulli => bernoulli_log_likelihood(x, decoded),
            Self::Gaussian(scale) => sum_over_pixels(&gaussian_log_density(x, decoded, &scale.log(decoded))),
            Self::Laplace(scale) => sum_over_pixels(&laplace_log_density(x, decoded, &scale.log(decoded))),
        }
    }

    /// E[x|z], the picture to show, of `decoded`'s shape. Not clamped: a Gaussian's mean may leave `[0, 1]`.
    pub fn mean(&self, decoded: &Tensor) -> Tensor {
        match self {
            Self::Bernoulli => decoded.sigmoid(),
            Self::Gaussian(_) | Self::Laplace(_) => decoded.shallow_clone(),
        }
    }

    /// What the likelihood learns: `log_scale`, or nothing.
    pub fn parameters(&self) -> NamedTensors {
        match self {
            Self::Gaussian(Scale::Learnt { log_scale }) | Self::Laplace(Scale::Learnt { log_scale }) => {
                vec![("log_scale".to_owned(), log_scale.shallow_clone())]
            }
            _ => Vec::new(),
        }
    }
}

/// log Bernoulli(x; σ(logit)) per pixel, in the softplus form, finite at any finite logit; `x` in `[0, 1]`.
///
/// ```text
/// x l − softplus(l)
/// ```
pub fn bernoulli_log_density(x: &Tensor, logits: &Tensor) -> Tensor {
    -logits.binary_cross_entropy_with_logits::<Tensor>(&x.expand_as(logits), None, None, Reduction::None)
}

/// Its sum over pixels, with the gradient `x − σ(l)` by hand: six passes over all pixels where libtorch's operator per pixel takes eleven.
fn bernoulli_log_likelihood(x: &Tensor, logits: &Tensor) -> Tensor {
    // An adversary may ask for the gradient with respect to the picture, a training step never does.
    if x.requires_grad() {
        return sum_over_pixels(&bernoulli_log_density(x, logits));
    }
    // Negated after the sum, over B numbers instead of all pixels.
    let value = no_grad(|| -sum_over_pixels(&cross_entropy(x, logits)));
    let (kept, picture) = (logits.detach(), x.shallow_clone());
    let backward = move |cotangents: &[Option<Tensor>]| {
        let gradient = cotangents[0].as_ref().map(|cotangent| {
            let mut gradient = kept.sigmoid().g_sub_(&picture);
            gradient.g_mul_(&cotangent.neg().unsqueeze(-1).unsqueeze(-1).unsqueeze(-1))
        });
        vec![gradient]
    };
    let value = with_gradient(&[logits], &[value], backward);
    value.expect("an input and an output without a graph are there").remove(0)
}

/// `softplus(l) − x l` per pixel, without a graph. tch's own operators leave no choice of the threshold and the factor.
fn cross_entropy(x: &Tensor, logits: &Tensor) -> Tensor {
    let run = |operator, arguments: &[Argument<'_>]| {
        call(operator, "", arguments).expect("an operator of libtorch that takes any floating-point tensors").remove(0)
    };
    // From here on softplus(l) is l. At libtorch's own 20 it is 2e-9 more, which float64 can tell.
    let (beta, threshold) = (Argument::Float(1.0), Argument::Float(40.0));
    let softplus = run("aten::softplus", &[Argument::Tensor(logits), beta, threshold]);
    let factors = [Argument::Tensor(&softplus), Argument::Tensor(x), Argument::Tensor(logits)];
    run("aten::addcmul_", &[&factors[..], &[Argument::Float(-1.0)]].concat())
}

/// `[.., C, H, W]` → `[..]`.
fn sum_over_pixels(values: &Tensor) -> Tensor {
    values.flatten(-3, -1).sum_dim_intlist(-1, false, None)
}

/// `log N(x; mean, exp(2 log_scale))` per pixel.
pub fn gaussian_log_density(x: &Tensor, mean: &Tensor, log_scale: &Tensor) -> Tensor {
    ((x - mean) * (-log_scale).exp()).square() * -0.5 - log_scale - 0.5 * LOG_2_PI
}

/// `log Laplace(x; median, exp(log_scale))` per pixel: `−|x − m|/b − log 2b`.
pub fn laplace_log_density(x: &Tensor, median: &Tensor, log_scale: &Tensor) -> Tensor {
    (x - median).abs() * -(-log_scale).exp() - log_scale - std::f64::consts::LN_2
}
