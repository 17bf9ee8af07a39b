//! A model whose pictures can be predicted.

use elbo_core::vae::{Encoder, GaussianEncoder};
use elbo_core::{Gaussian, Generator, Likelihood, NamedTensors, Network, Posterior, Vae};
use elbo_data::{ImageShape, Images};
use tch::{Device, Kind, Tensor};

pub(crate) const LATENT: i64 = 4;

pub(crate) fn generator(seed: u64) -> Generator {
    elbo_native::testing::single_thread();
    Generator::new(Device::Cpu, seed).expect("a generator on the CPU")
}

pub(crate) fn number(t: &Tensor) -> f64 {
    f64::try_from(t).expect("a scalar")
}

/// Reads the code from the picture: the mean of coordinate d is 4 times the first pixel of row d, minus 2; its log-variance falls with d.
#[derive(Debug)]
struct FirstColumn;

impl Network for FirstColumn {
    fn forward(&self, x: &Tensor) -> Tensor {
        let mean = x.select(1, 0).select(2, 0).narrow(1, 0, LATENT) * 4.0 - 2.0;
        let log_var = (Tensor::arange(LATENT, (Kind::Float, x.device())) * -0.5 - 1.0).expand_as(&mean);
        Tensor::cat(&[mean, log_var], 1)
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

/// A white disc on black: z0 moves it right, z1 down, z2 changes its size; z3 does nothing.
#[derive(Debug)]
pub(crate) struct Disc {
    pub(crate) side: i64,
}

impl Network for Disc {
    fn forward(&self, z: &Tensor) -> Tensor {
        let side = self.side as f64;
        let place = |d: i64| ((z.select(1, d) / 6.0 + 0.5) * side).view([-1, 1, 1]);
        let radius = (z.select(1, 2).view([-1, 1, 1]) * 0.25).exp() * (side / 7.0);
        let pixel = Tensor::arange(self.side, (Kind::Float, z.device())) + 0.5;
        let distance = (pixel.view([1, 1, -1]) - place(0)).square() + (pixel.view([1, -1, 1]) - place(1)).square();
        ((radius - distance.sqrt()) * 3.0).unsqueeze(1)
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

/// An implicit posterior: z is known, its density is not.
#[derive(Debug)]
struct Samples {
    moments: bool,
}

impl Encoder for Samples {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        let (posterior, z) = GaussianEncoder::new(Box::new(FirstColumn)).infer(x, noise, samples);
        let Posterior::Gaussian(Gaussian { mean, log_var }) = posterior else { unreachable!("a Gaussian encoder") };
        (Posterior::Implicit { moments: self.moments.then(|| Gaussian::new(mean, log_var)) }, z)
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

pub(crate) fn vae(side: i64) -> Vae {
    let encoder = GaussianEncoder::new(Box::new(FirstColumn));
    Vae::new(Box::new(encoder), Box::new(Disc { side }), Likelihood::Bernoulli, LATENT, [1, side, side])
}

pub(crate) fn implicit(side: i64, moments: bool) -> Vae {
    Vae::new(Box::new(Samples { moments }), Box::new(Disc { side }), Likelihood::Bernoulli, LATENT, [1, side, side])
}

/// `count` grey pictures of noise.
pub(crate) fn images(count: i64, side: i64) -> Images {
    let pixels = (generator(77).uniform(&[count, 1, side, side], Kind::Float) * 255.0).to_kind(Kind::Uint8);
    let images = Images::from_bytes(&pixels).expect("pictures");
    assert_eq!(images.shape(), ImageShape { channels: 1, height: side, width: side });
    images
}
