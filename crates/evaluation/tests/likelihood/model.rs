//! Models from functions, and what every test needs.

use elbo_core::vae::{Encoder, GaussianEncoder};
use elbo_core::{Gaussian, Generator, Likelihood, NamedTensors, Network, Posterior, Vae};
use tch::{Device, Kind, Tensor};

pub(crate) const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

pub(crate) fn generator(seed: u64) -> Generator {
    elbo_native::testing::single_thread();
    Generator::new(Device::Cpu, seed).expect("a generator on the CPU")
}

pub(crate) fn number(t: &Tensor) -> f64 {
    f64::try_from(t.to_kind(Kind::Double)).expect("a scalar")
}

pub(crate) fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).reshape(-1)).expect("numbers")
}

/// The largest distance between two tensors of one shape.
pub(crate) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    number(&(a - b).abs().max())
}

/// A listener that lets the work go on.
pub(crate) fn quiet() -> impl FnMut(usize, usize) -> anyhow::Result<()> {
    |_, _| Ok(())
}

/// The same for what counts one by one.
pub(crate) fn on() -> impl FnMut() -> anyhow::Result<()> {
    || Ok(())
}

type Function = Box<dyn Fn(&Tensor) -> Tensor + Send>;

/// A network that is a function, with parameters to show.
pub(crate) struct Formula {
    function: Function,
    parameters: NamedTensors,
}

impl std::fmt::Debug for Formula {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Formula")
    }
}

impl Network for Formula {
    fn forward(&self, input: &Tensor) -> Tensor {
        (self.function)(input)
    }

    fn parameters(&self) -> NamedTensors {
        self.parameters.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }
}

pub(crate) fn formula(parameter: &Tensor, function: impl Fn(&Tensor) -> Tensor + Send + 'static) -> Box<dyn Network> {
    Box::new(Formula {
        function: Box::new(function),
        parameters: vec![("weight".to_owned(), parameter.shallow_clone())],
    })
}

/// An implicit posterior around a Gaussian encoder: z is known, its density is not; its moments perhaps.
#[derive(Debug)]
struct Hidden {
    encoder: GaussianEncoder,
    moments: bool,
}

impl Encoder for Hidden {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        let (posterior, z) = self.encoder.infer(x, noise, samples);
        let Posterior::Gaussian(Gaussian { mean, log_var }) = posterior else { unreachable!("a Gaussian encoder") };
        (Posterior::Implicit { moments: self.moments.then(|| Gaussian::new(mean, log_var)) }, z)
    }

    fn parameters(&self) -> NamedTensors {
        self.encoder.parameters()
    }
}

/// What is known of an encoder's posterior.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known {
    Density,
    Moments,
    Samples,
}

pub(crate) fn vae(
    known: Known,
    encoder: Box<dyn Network>,
    decoder: Box<dyn Network>,
    likelihood: Likelihood,
    latent: i64,
    pixels: i64,
) -> Vae {
    let encoder = GaussianEncoder::new(encoder);
    let encoder: Box<dyn Encoder> = match known {
        Known::Density => Box::new(encoder),
        Known::Moments => Box::new(Hidden { encoder, moments: true }),
        Known::Samples => Box::new(Hidden { encoder, moments: false }),
    };
    Vae::new(encoder, decoder, likelihood, latent, [1, 1, pixels])
}
