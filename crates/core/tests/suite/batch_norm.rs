//! Batch normalisation, and the networks that have it.

use crate::support::numbers;
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::{BatchNorm, Convolution, TransposedConvolution, Window};
use elbo_core::{Generator, ModelConfig};
use elbo_native::testing::single_thread;
use serde_json::json;
use tch::{Device, Kind, Tensor};

fn noise() -> Generator {
    Generator::new(Device::Cpu, 4).expect("a generator")
}

/// Two channels, (1, 3, 5, 7) and (2, 2, 4, 4): means 4 and 3, variances 5 and 1 of the batch, 20/3 and 4/3 unbiased. Normalised by the first
/// kind; of the second, a tenth goes into what is remembered, which starts at mean 0 and variance 1.
#[test]
fn a_batch_is_normalised_by_its_own_moments_and_remembered() {
    single_thread();
    let noise = noise();
    let norm = BatchNorm::new(&Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch), 2);
    let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 2.0, 5.0, 4.0, 7.0, 4.0]).reshape([4, 2]);
    let before = numbers(&norm.forward(&x));
    for (found, x) in before.iter().zip(numbers(&x)) {
        // Mean 0, variance 1: nothing but ε changes.
        assert!((found - x / (1.0 + 1e-5_f64).sqrt()).abs() < 1e-6);
    }
    let normalised = numbers(&norm.forward_training(&x));
    let by_hand = |x: f64, mean: f64, variance: f64| (x - mean) / (variance + 1e-5).sqrt();
    for (index, (found, x)) in normalised.iter().zip(numbers(&x)).enumerate() {
        let expected = if index % 2 == 0 { by_hand(x, 4.0, 5.0) } else { by_hand(x, 3.0, 1.0) };
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    let remembered: Vec<Vec<f64>> = norm.buffers().iter().map(|(_, tensor)| numbers(tensor)).collect();
    let expected = [[0.4, 0.3], [0.9 + 0.1 * 20.0 / 3.0, 0.9 + 0.1 * 4.0 / 3.0]];
    for (found, expected) in remembered.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    let after = numbers(&norm.forward(&x));
    assert!((after[0] - by_hand(1.0, 0.4, expected[1][0])).abs() < 1e-6);
}

#[test]
fn wide_windows_halve_double_and_keep_a_picture() {
    single_thread();
    let noise = noise();
    let initialiser = Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch);
    let x = noise.normal(&[2, 3, 16, 24], Kind::Float);
    let halved = Convolution::new(&initialiser, 3, 5, Window::WIDE_HALVING).without_bias().forward(&x);
    assert_eq!(halved.size(), [2, 5, 8, 12]);
    let doubled = TransposedConvolution::new(&initialiser, 5, 3, Window::WIDE_HALVING).forward(&halved);
    assert_eq!(doubled.size(), [2, 3, 16, 24]);
    assert_eq!(Convolution::new(&initialiser, 3, 1, Window::WIDE).forward(&x).size(), [2, 1, 16, 24]);
}

fn model(width: f64, likelihood: &str) -> ModelConfig {
    let mut config = json!({ "network": "vae-gan", "latent": 6, "likelihood": likelihood, "width": width });
    if likelihood != "bernoulli" {
        config["sigma"] = json!(1.0);
    }
    serde_json::from_value(config).expect("a model")
}

/// At a quarter of the paper's widths and 32×32 pictures: 16, 32, 64 channels, 256 features of 4·4·64; every layer before a normalisation
/// without a bias.
#[test]
fn the_network_of_vae_gan_has_the_papers_layers() {
    single_thread();
    let vae = model(0.25, "gaussian").build([3, 32, 32], &noise(), Device::Cpu).expect("a model");
    let found: Vec<String> = vae.state().iter().map(|(name, tensor)| format!("{name} {:?}", tensor.size())).collect();
    let expected = [
        "encoder.conv1.weight [16, 3, 5, 5]",
        "encoder.norm_conv1.weight [16]",
        "encoder.norm_conv1.bias [16]",
        "encoder.conv2.weight [32, 16, 5, 5]",
        "encoder.norm_conv2.weight [32]",
        "encoder.norm_conv2.bias [32]",
        "encoder.conv3.weight [64, 32, 5, 5]",
        "encoder.norm_conv3.weight [64]",
        "encoder.norm_conv3.bias [64]",
        "encoder.fc1.weight [256, 1024]",
        "encoder.norm_fc1.weight [256]",
        "encoder.norm_fc1.bias [256]",
        "encoder.head.weight [12, 256]",
        "encoder.head.bias [12]",
        "decoder.fc1.weight [1024, 6]",
        "decoder.norm_fc1.weight [1024]",
        "decoder.norm_fc1.bias [1024]",
        "decoder.deconv1.weight [64, 64, 5, 5]",
        "decoder.norm_deconv1.weight [64]",
        "decoder.norm_deconv1.bias [64]",
        "decoder.deconv2.weight [64, 32, 5, 5]",
        "decoder.norm_deconv2.weight [32]",
        "decoder.norm_deconv2.bias [32]",
        "decoder.deconv3.weight [32, 8, 5, 5]",
        "decoder.norm_deconv3.weight [8]",
        "decoder.norm_deconv3.bias [8]",
        "decoder.conv.weight [3, 8, 5, 5]",
        "decoder.conv.bias [3]",
        "encoder.norm_conv1.running_mean [16]",
        "encoder.norm_conv1.running_var [16]",
        "encoder.norm_conv2.running_mean [32]",
        "encoder.norm_conv2.running_var [32]",
        "encoder.norm_conv3.running_mean [64]",
        "encoder.norm_conv3.running_var [64]",
        "encoder.norm_fc1.running_mean [256]",
        "encoder.norm_fc1.running_var [256]",
        "decoder.norm_fc1.running_mean [1024]",
        "decoder.norm_fc1.running_var [1024]",
        "decoder.norm_deconv1.running_mean [64]",
        "decoder.norm_deconv1.running_var [64]",
        "decoder.norm_deconv2.running_mean [32]",
        "decoder.norm_deconv2.running_var [32]",
        "decoder.norm_deconv3.running_mean [8]",
        "decoder.norm_deconv3.running_var [8]",
    ];
    assert_eq!(found, expected);
}

/// 32 and 64 pixels, grey and colour; a Gaussian's means are pictures, a Bernoulli's outputs logits of any sign and size.
#[test]
fn pictures_of_any_size_and_colour_go_through_and_means_stay_within_them() {
    single_thread();
    for (image, likelihood) in [([1, 32, 32], "gaussian"), ([3, 64, 64], "gaussian"), ([1, 24, 40], "bernoulli")] {
        let noise = noise();
        let vae = model(0.1, likelihood).build(image, &noise, Device::Cpu).expect("a model");
        let x = noise.uniform(&[4, image[0], image[1], image[2]], Kind::Float);
        let pass = vae.forward_training(&x, &noise, 1);
        assert_eq!(pass.decoded.size(), x.size());
        let (least, most) = (numbers(&pass.decoded.min())[0], numbers(&pass.decoded.max())[0]);
        assert_eq!(likelihood == "gaussian", least >= 0.0 && most <= 1.0, "{likelihood}: {least} to {most}");
    }
}

/// In training every picture sees its batch; in evaluation none does.
#[test]
fn evaluation_does_not_mix_the_pictures_of_a_batch() {
    single_thread();
    let noise = noise();
    let vae = model(0.1, "gaussian").build([1, 32, 32], &noise, Device::Cpu).expect("a model");
    let x = noise.uniform(&[4, 1, 32, 32], Kind::Float);
    let other = Tensor::cat(&[x.narrow(0, 0, 1), 1.0 - x.narrow(0, 1, 3)], 0);
    let mean = |x: &Tensor, training: bool| {
        let pass = if training { vae.forward_training(x, &noise, 1) } else { vae.forward(x, &noise, 1) };
        numbers(&pass.posterior.gaussian().expect("a Gaussian").mean.get(0))
    };
    assert_eq!(mean(&x, false), mean(&other, false));
    assert_ne!(mean(&x, true), mean(&other, true));
}

#[test]
fn a_width_belongs_to_vae_gan() {
    let check = |value: serde_json::Value| {
        let config: ModelConfig = serde_json::from_value(value).expect("a configuration");
        config.check([1, 32, 32]).expect_err("refused").to_string()
    };
    let burgess = json!({ "network": "burgess", "latent": 2, "likelihood": "bernoulli", "width": 0.5 });
    assert_eq!(check(burgess), "width: expected no width, for it belongs to vae-gan and the network is burgess");
    let none = json!({ "network": "vae-gan", "latent": 2, "likelihood": "bernoulli", "width": 0 });
    assert_eq!(check(none), "width: expected a finite number > 0, got 0");
    let odd: ModelConfig =
        serde_json::from_value(json!({ "network": "vae-gan", "latent": 2, "likelihood": "bernoulli" })).expect("one");
    assert!(odd.check([1, 28, 28]).expect_err("refused").to_string().contains("multiples of 8"));
}
