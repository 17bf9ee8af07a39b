//! A model that is linear, and whose dimensions do not mix: pictures of 8 × 8 pixels, one pattern of ±1 for each dimension.

use elbo_core::likelihood::Scale;
use elbo_core::vae::GaussianEncoder;
use elbo_core::{Generator, Likelihood, NamedTensors, Network, Vae};
use elbo_data::Images;
use tch::{Device, Kind, Tensor};

/// Six Walsh functions, orthogonal to each other and to a constant picture; the first is the right half minus the left.
const MASKS: [i64; 6] = [4, 1, 2, 8, 16, 32];
pub(crate) const LATENT: i64 = MASKS.len() as i64;
pub(crate) const SIDE: i64 = 8;
/// Brightness of a pattern for a code of 1: six of them with codes below 1.6 stay within 0 and 1.
const BRIGHTNESS: f64 = 0.05;

pub(crate) fn generator(seed: u64) -> Generator {
    elbo_native::testing::single_thread();
    Generator::new(Device::Cpu, seed).expect("a generator on the CPU")
}

/// `[D, 64]`, 1 and −1.
fn patterns() -> Tensor {
    let sign = |mask: i64, pixel: i64| if (mask & pixel).count_ones() % 2 == 1 { 1.0_f32 } else { -1.0 };
    let all: Vec<f32> = MASKS.iter().flat_map(|&mask| (0..SIDE * SIDE).map(move |pixel| sign(mask, pixel))).collect();
    Tensor::from_slice(&all).view([LATENT, SIDE * SIDE])
}

#[derive(Debug)]
struct Decoder;

#[derive(Debug)]
struct Encoder;

impl Network for Decoder {
    fn forward(&self, z: &Tensor) -> Tensor {
        (z.matmul(&patterns()) * BRIGHTNESS + 0.5).view([-1, 1, SIDE, SIDE])
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

impl Network for Encoder {
    fn forward(&self, x: &Tensor) -> Tensor {
        let mean = (x.flatten(1, -1) - 0.5).matmul(&patterns().transpose(0, 1)) / (BRIGHTNESS * (SIDE * SIDE) as f64);
        Tensor::cat(&[mean.shallow_clone(), mean.full_like(-6.0)], 1)
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

pub(crate) fn vae() -> Vae {
    let likelihood = Likelihood::Gaussian(Scale::Fixed(0.1));
    Vae::new(Box::new(GaussianEncoder::new(Box::new(Encoder))), Box::new(Decoder), likelihood, LATENT, [1, SIDE, SIDE])
}

/// `count` codes `[n, D]` and 0 or 1 for each: the first coordinate is −1 or 1 accordingly, the others are uniform in (−1.5, 1.5).
pub(crate) fn codes(count: i64, seed: u64) -> (Tensor, Tensor) {
    let noise = generator(seed);
    let has = noise.integers(2, &[count]);
    let first = (has.to_kind(Kind::Float) * 2.0 - 1.0).unsqueeze(1);
    let rest = noise.uniform(&[count, LATENT - 1], Kind::Float) * 3.0 - 1.5;
    (Tensor::cat(&[first, rest], 1), has)
}

/// The pictures of some codes, to the nearest of 256 greys.
pub(crate) fn images(codes: &Tensor) -> Images {
    let bytes = (vae().decode_mean(codes) * 255.0).round().clamp(0.0, 255.0).to_kind(Kind::Uint8);
    Images::from_bytes(&bytes).expect("pictures")
}
