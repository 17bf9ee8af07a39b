//! How parameters start.

use crate::support::{all_bits, generator, named, number, numbers};
use elbo_core::initialisation::{Fan, Initialisation, Initialiser};
use elbo_core::layers::{Convolution, Linear, TransposedConvolution, Window};
use elbo_core::networks::{LikelihoodName, NetworkName};
use elbo_core::{ModelConfig, Vae};
use elbo_native::testing::single_thread;
use tch::{Device, Kind};

const FAN: Fan = Fan { inputs: 300, outputs: 200 };

fn build(seed: u64, initialisation: Option<Initialisation>) -> Vae {
    let config =
        ModelConfig { initialisation, ..ModelConfig::new(NetworkName::Burgess, 10, LikelihoodName::Bernoulli) };
    config.build([1, 32, 32], &generator(seed), Device::Cpu).expect("a model")
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// 60 000 numbers: the variance is within 3% of the scheme's (its standard error is below 0.6%); uniform ones stay inside the bound and
/// come within 1% of it.
#[test]
fn weights_have_the_bounds_and_variances_of_their_scheme() {
    single_thread();
    let (inputs, outputs) = (300.0, 200.0);
    for (scheme, variance, uniform) in [
        (Initialisation::PyTorch, 1.0 / (3.0 * inputs), true),
        (Initialisation::GlorotUniform, 2.0 / (inputs + outputs), true),
        (Initialisation::GlorotNormal, 2.0 / (inputs + outputs), false),
        (Initialisation::KaimingUniform, 2.0 / inputs, true),
        (Initialisation::KaimingNormal, 2.0 / inputs, false),
    ] {
        let noise = generator(21);
        let weight = numbers(&Initialiser::new(&noise, Device::Cpu, scheme).weight(&[200, 300], FAN));
        let squares: Vec<f64> = weight.iter().map(|w| w * w).collect();
        assert!((mean(&squares) / variance - 1.0).abs() < 0.03, "{scheme}: {} for {variance}", mean(&squares));
        assert!(mean(&weight).abs() < 5.0 * (variance / weight.len() as f64).sqrt(), "{scheme}");
        let largest = weight.iter().fold(0.0, |largest: f64, w| largest.max(w.abs()));
        let bound = (3.0 * variance).sqrt();
        if uniform {
            assert!(largest <= bound * (1.0 + 1e-6) && largest > 0.99 * bound, "{scheme}: {largest} for {bound}");
        } else {
            assert!(largest > bound * 1.5, "{scheme} has tails");
        }
    }
}

/// PyTorch draws biases like weights; the other schemes start them at 0.
#[test]
fn biases_start_as_their_scheme_says() {
    single_thread();
    for &scheme in Initialisation::ALL {
        let noise = generator(22);
        let bias = numbers(&Initialiser::new(&noise, Device::Cpu, scheme).bias(1000, FAN));
        if scheme == Initialisation::PyTorch {
            let bound = 1.0 / f64::sqrt(300.0);
            let largest = bias.iter().fold(0.0, |largest: f64, b| largest.max(b.abs()));
            assert!(largest <= bound && largest > 0.98 * bound);
        } else {
            assert!(bias.iter().all(|&b| b == 0.0), "{scheme}");
        }
    }
}

/// Fans: a linear layer's own sizes (a head of two parts: one part's); channels times positions for a convolution, crossed for its
/// transpose. Seen through the bound of `glorot-uniform`, √(6 / (in + out)), in layers of at least 4096 weights.
#[test]
fn every_layer_counts_its_fan_as_pytorch_does() {
    single_thread();
    let noise = generator(23);
    let initialiser = Initialiser::new(&noise, Device::Cpu, Initialisation::GlorotUniform);
    let layers = [
        (Linear::new(&initialiser, 128, 64).weight, 128 + 64),
        (Linear::stacked(&initialiser, 128, 32, 2).weight, 128 + 32),
        (Convolution::new(&initialiser, 8, 32, Window::HALVING).weight, (8 + 32) * 16),
        (TransposedConvolution::new(&initialiser, 8, 32, Window::HALVING).weight, (8 + 32) * 16),
    ];
    for (weight, fans) in layers {
        let bound = (6.0 / f64::from(fans)).sqrt();
        let largest = number(&weight.abs().max());
        assert!(
            largest <= bound * (1.0 + 1e-6) && largest > 0.99 * bound,
            "{:?}: {largest} for {bound}",
            weight.size()
        );
    }
    let initialiser = Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch);
    for (weight, inputs) in [
        (Convolution::new(&initialiser, 8, 32, Window::HALVING).weight, 8 * 16),
        (TransposedConvolution::new(&initialiser, 8, 32, Window::HALVING).weight, 32 * 16),
    ] {
        let bound = 1.0 / f64::from(inputs).sqrt();
        let largest = number(&weight.abs().max());
        assert!(
            largest <= bound * (1.0 + 1e-6) && largest > 0.99 * bound,
            "{:?}: {largest} for {bound}",
            weight.size()
        );
    }
}

#[test]
fn one_seed_gives_one_model_and_another_seed_another() {
    single_thread();
    for scheme in [None, Some(Initialisation::GlorotUniform)] {
        let bits = |seed| all_bits(&build(seed, scheme).parameters());
        let (first, again, other) = (bits(1), bits(1), bits(2));
        assert_eq!(first, again);
        for ((name, first), (_, other)) in first.iter().zip(&other) {
            let constant = scheme.is_some() && name.ends_with("bias");
            assert_eq!(first == other, constant, "{name}");
        }
    }
}

/// `initialisation` may be left out; that is `pytorch`.
#[test]
fn what_is_left_out_is_pytorch() {
    single_thread();
    let bits = |initialisation| all_bits(&build(3, initialisation).parameters());
    assert_eq!(bits(None), bits(Some(Initialisation::PyTorch)));
    assert_ne!(bits(None), bits(Some(Initialisation::KaimingUniform)));
}

#[test]
fn parameters_are_float32_leaves_that_require_gradients() {
    single_thread();
    for (name, parameter) in build(1, None).parameters() {
        assert!(parameter.requires_grad() && parameter.is_leaf(), "{name}");
        assert_eq!(parameter.kind(), Kind::Float, "{name}");
        assert!(parameter.is_contiguous(), "{name}");
    }
}

/// Two layers of one shape do not share their numbers.
#[test]
fn layers_start_apart() {
    single_thread();
    let parameters = build(1, None).parameters();
    let [first, second] = ["encoder.fc2.weight", "decoder.fc2.weight"].map(|name| numbers(named(&parameters, name)));
    let shared = first.iter().zip(&second).filter(|(a, b)| a.to_bits() == b.to_bits()).count();
    // Of 65 536 pairs of 24 random bits 0.004 are equal by chance.
    assert!(shared < 3, "{shared}");
}
