//! Networks: shapes, sizes, names.

use crate::support::generator;
use elbo_core::layers::Activation;
use elbo_core::networks::{LikelihoodName, NetworkName, Sigma};
use elbo_core::{ModelConfig, NamedTensors, Vae};
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

fn convolutional(network: NetworkName) -> ModelConfig {
    ModelConfig::new(network, 10, LikelihoodName::Bernoulli)
}

/// The network of Chen et al. 2018 on dSprites.
fn mlp() -> ModelConfig {
    ModelConfig {
        encoder_hidden: Some(vec![1200, 1200]),
        encoder_activation: Some(Activation::Relu),
        decoder_hidden: Some(vec![1200, 1200, 1200]),
        decoder_activation: Some(Activation::Tanh),
        ..convolutional(NetworkName::Mlp)
    }
}

fn build(config: &ModelConfig, image: [i64; 3]) -> Vae {
    config.build(image, &generator(1), Device::Cpu).expect("a model")
}

fn count(parameters: &NamedTensors, prefix: &str) -> usize {
    parameters.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, tensor)| tensor.numel()).sum()
}

#[test]
fn every_network_maps_pictures_to_codes_and_back() {
    single_thread();
    let burgess = convolutional(NetworkName::Burgess);
    let locatello = convolutional(NetworkName::Locatello);
    let small = ModelConfig { encoder_hidden: Some(vec![8]), decoder_hidden: Some(vec![]), ..mlp() };
    for (config, image) in [
        (&burgess, [1, 64, 64]),
        (&burgess, [3, 64, 64]),
        (&burgess, [1, 32, 32]),
        (&burgess, [3, 32, 32]),
        (&burgess, [1, 64, 96]),
        (&burgess, [2, 24, 8]),
        (&locatello, [1, 64, 64]),
        (&locatello, [3, 64, 64]),
        (&locatello, [1, 32, 48]),
        (&small, [3, 5, 7]),
    ] {
        let vae = build(config, image);
        let noise = generator(2);
        let [channels, height, width] = image;
        let x = noise.uniform(&[2, channels, height, width], Kind::Float);
        let pass = vae.forward(&x, &noise, 1);
        let gaussian = pass.posterior.gaussian().expect("a Gaussian posterior");
        assert_eq!(gaussian.mean.size(), [2, 10], "{config:?} {image:?}");
        assert_eq!(gaussian.log_var.size(), [2, 10]);
        assert_eq!(pass.z.size(), [2, 10]);
        assert_eq!(pass.decoded.size(), x.size());
        assert_eq!(pass.log_likelihood().size(), [2]);
        assert_eq!((pass.batch(), pass.latent()), (2, 10));

        let pass = vae.forward(&x, &noise, 3);
        assert_eq!(pass.z.size(), [3, 2, 10]);
        assert_eq!(pass.decoded.size(), [3, 2, channels, height, width]);
        assert_eq!(pass.log_likelihood().size(), [3, 2]);
        assert_eq!(vae.decode_mean(&pass.z).size(), [3, 2, channels, height, width]);
    }
}

/// A layer has (inputs · positions + 1) · outputs numbers. At 64×64×1 with 10 codes:
///
/// | burgess | encoder | decoder |
/// |---|---|---|
/// | 1↔32 channels, 4×4 | (1·16 + 1)·32 = 544 | (32·16 + 1)·1 = 513 |
/// | three 32→32, 4×4 | 3·(32·16 + 1)·32 = 49 248 | 49 248 |
/// | 512↔256 | 513·256 = 131 328 | 257·512 = 131 584 |
/// | 256→256 | 257·256 = 65 792 | 65 792 |
/// | codes | 257·20 = 5 140 | 11·256 = 2 816 |
/// | sum | 252 052 | 249 953 |
///
/// At 32×32×3 one of the 32→32 layers less on either side, and 3 channels outside: (3·16 + 1)·32 = 1 568 and (32·16 + 1)·3 = 1 539.
///
/// | locatello | encoder | decoder |
/// |---|---|---|
/// | outermost | 17·32 = 544 | 513·1 = 513 |
/// | 32→32, 4×4 | 513·32 = 16 416 | 16 416 |
/// | 32→64, 2×2; 64→32, 4×4 | 129·64 = 8 256 | (64·16 + 1)·32 = 32 800 |
/// | 64→64, 2×2; 4×4 | 257·64 = 16 448 | 1025·64 = 65 600 |
/// | 1024↔256 | 1025·256 = 262 400 | 257·1024 = 263 168 |
/// | codes | 257·20 = 5 140 | 11·256 = 2 816 |
/// | sum | 309 204 | 381 313 |
///
/// and the mlp 4096–1200–1200–20: 4097·1200 + 1201·1200 + 1201·20 = 6 381 620; 10–1200–1200–1200–4096:
/// 11·1200 + 2·1201·1200 + 1201·4096 = 7 814 896.
#[test]
fn parameters_are_as_many_as_by_hand() {
    single_thread();
    for (config, image, encoder, decoder) in [
        (convolutional(NetworkName::Burgess), [1, 64, 64], 252_052, 249_953),
        (
            convolutional(NetworkName::Burgess),
            [3, 32, 32],
            252_052 - 16_416 - 544 + 1_568,
            249_953 - 16_416 - 513 + 1_539,
        ),
        (convolutional(NetworkName::Locatello), [1, 64, 64], 309_204, 381_313),
        (mlp(), [1, 64, 64], 6_381_620, 7_814_896),
    ] {
        let parameters = build(&config, image).parameters();
        assert_eq!(count(&parameters, "encoder."), encoder, "{config:?}");
        assert_eq!(count(&parameters, "decoder."), decoder, "{config:?}");
        assert_eq!(count(&parameters, "likelihood."), 0);
    }
}

/// `name: shape`, with weights in PyTorch's layouts.
fn listed(vae: &Vae) -> Vec<String> {
    vae.parameters().iter().map(|(name, tensor)| format!("{name} {:?}", tensor.size())).collect()
}

/// The names and layouts are the checkpoint format: changing one breaks every file written before.
#[test]
fn burgess_is_called_word_for_word() {
    single_thread();
    let expected = "\
        encoder.conv1.weight [32, 3, 4, 4]|encoder.conv1.bias [32]|\
        encoder.conv2.weight [32, 32, 4, 4]|encoder.conv2.bias [32]|\
        encoder.conv3.weight [32, 32, 4, 4]|encoder.conv3.bias [32]|\
        encoder.conv4.weight [32, 32, 4, 4]|encoder.conv4.bias [32]|\
        encoder.fc1.weight [256, 512]|encoder.fc1.bias [256]|\
        encoder.fc2.weight [256, 256]|encoder.fc2.bias [256]|\
        encoder.head.weight [20, 256]|encoder.head.bias [20]|\
        decoder.fc1.weight [256, 10]|decoder.fc1.bias [256]|\
        decoder.fc2.weight [256, 256]|decoder.fc2.bias [256]|\
        decoder.fc3.weight [512, 256]|decoder.fc3.bias [512]|\
        decoder.deconv1.weight [32, 32, 4, 4]|decoder.deconv1.bias [32]|\
        decoder.deconv2.weight [32, 32, 4, 4]|decoder.deconv2.bias [32]|\
        decoder.deconv3.weight [32, 32, 4, 4]|decoder.deconv3.bias [32]|\
        decoder.deconv4.weight [32, 3, 4, 4]|decoder.deconv4.bias [3]";
    let vae = build(&convolutional(NetworkName::Burgess), [3, 64, 64]);
    assert_eq!(listed(&vae).join("|"), expected);
}

#[test]
fn locatello_is_called_word_for_word() {
    single_thread();
    let expected = "\
        encoder.conv1.weight [32, 1, 4, 4]|encoder.conv1.bias [32]|\
        encoder.conv2.weight [32, 32, 4, 4]|encoder.conv2.bias [32]|\
        encoder.conv3.weight [64, 32, 2, 2]|encoder.conv3.bias [64]|\
        encoder.conv4.weight [64, 64, 2, 2]|encoder.conv4.bias [64]|\
        encoder.fc1.weight [256, 1024]|encoder.fc1.bias [256]|\
        encoder.head.weight [20, 256]|encoder.head.bias [20]|\
        decoder.fc1.weight [256, 10]|decoder.fc1.bias [256]|\
        decoder.fc2.weight [1024, 256]|decoder.fc2.bias [1024]|\
        decoder.deconv1.weight [64, 64, 4, 4]|decoder.deconv1.bias [64]|\
        decoder.deconv2.weight [64, 32, 4, 4]|decoder.deconv2.bias [32]|\
        decoder.deconv3.weight [32, 32, 4, 4]|decoder.deconv3.bias [32]|\
        decoder.deconv4.weight [32, 1, 4, 4]|decoder.deconv4.bias [1]";
    let vae = build(&convolutional(NetworkName::Locatello), [1, 64, 64]);
    assert_eq!(listed(&vae).join("|"), expected);
}

#[test]
fn mlp_and_learnt_scale_are_called_word_for_word() {
    single_thread();
    let config = ModelConfig {
        latent: 2,
        likelihood: LikelihoodName::Gaussian,
        sigma: Some(Sigma::Learnt),
        encoder_hidden: Some(vec![5, 7]),
        decoder_hidden: Some(vec![6]),
        ..mlp()
    };
    let expected = "\
        encoder.fc1.weight [5, 4]|encoder.fc1.bias [5]|encoder.fc2.weight [7, 5]|encoder.fc2.bias [7]|\
        encoder.head.weight [4, 7]|encoder.head.bias [4]|\
        decoder.fc1.weight [6, 2]|decoder.fc1.bias [6]|decoder.head.weight [4, 6]|decoder.head.bias [4]|\
        likelihood.log_scale []";
    assert_eq!(listed(&build(&config, [1, 2, 2])).join("|"), expected);
}

/// The head's first D outputs are the means, the other D the logarithms of the variances.
#[test]
fn the_head_holds_means_before_log_variances() {
    single_thread();
    let config = ModelConfig { latent: 3, encoder_hidden: Some(vec![]), decoder_hidden: Some(vec![]), ..mlp() };
    let vae = build(&config, [1, 2, 2]);
    let x = generator(3).uniform(&[5, 1, 2, 2], Kind::Float);
    let (posterior, _) = vae.encode(&x, &generator(4));
    let gaussian = posterior.gaussian().expect("a Gaussian");
    let parameters = vae.parameters();
    let output = x.flatten(1, -1).linear(&parameters[0].1, Some(&parameters[1].1));
    assert!(gaussian.mean.equal(&output.slice(1, 0, 3, 1)));
    assert!(gaussian.log_var.equal(&output.slice(1, 3, 6, 1)));
}

/// Each layer of an mlp as a matrix product and a scalar function, from the definitions.
#[test]
fn an_mlp_is_its_formula() {
    single_thread();
    let noise = generator(5);
    for (activation, function) in [
        (Activation::Relu, (|v: f64| v.max(0.0)) as fn(f64) -> f64),
        (Activation::Tanh, f64::tanh),
        (Activation::Elu, |v| if v > 0.0 { v } else { v.exp() - 1.0 }),
        (Activation::LeakyRelu, |v| if v > 0.0 { v } else { 0.01 * v }),
    ] {
        let config = ModelConfig {
            latent: 2,
            decoder_hidden: Some(vec![3]),
            decoder_activation: Some(activation),
            encoder_hidden: Some(vec![]),
            ..mlp()
        };
        let vae = build(&config, [1, 1, 2]);
        let parameters: Vec<Vec<f64>> = vae.parameters()[2..].iter().map(|(_, t)| crate::support::numbers(t)).collect();
        let layer = |input: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
            let row = |output: usize| weight[output * input.len()..].iter().zip(input).map(|(w, v)| w * v).sum::<f64>();
            (0..bias.len()).map(|output| row(output) + bias[output]).collect()
        };
        let z = noise.normal(&[1, 2], Kind::Float);
        let hidden: Vec<f64> =
            layer(&crate::support::numbers(&z), &parameters[0], &parameters[1]).into_iter().map(function).collect();
        let expected = layer(&hidden, &parameters[2], &parameters[3]);
        crate::support::assert_close(&vae.decode(&z).flatten(0, -1), &Tensor::from_slice(&expected), 1e-6);
    }
}

#[test]
#[should_panic(expected = "x must be [B, C, H, W] with the model's [C, H, W]")]
fn a_batch_of_another_size_is_a_mistake() {
    single_thread();
    let vae = build(&mlp(), [1, 4, 6]);
    let _ = vae.encode(&Tensor::zeros([2, 1, 6, 4], (Kind::Float, Device::Cpu)), &generator(1));
}
