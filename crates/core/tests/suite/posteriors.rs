//! Posteriors that are no Gaussians: shapes, moments, gradients, and what is refused.

use crate::support::{all_bits, assert_close, generator, named, number, numbers, vector};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Activation;
use elbo_core::networks::{
    LikelihoodName, MomentTractableEncoder, Network, NetworkName, NoiseBasis, NoiseBasisConfig, PosteriorConfig,
};
use elbo_core::{Encoder, Knowledge, ModelConfig, NamedTensors, Posterior, Vae};
use elbo_native::testing::single_thread;
use serde_json::json;
use tch::{Device, Kind, Tensor};

fn posterior(value: serde_json::Value) -> PosteriorConfig {
    serde_json::from_value(value).expect("a posterior")
}

fn implicit() -> PosteriorConfig {
    posterior(json!({ "family": "implicit", "noise": 7 }))
}

fn moment_tractable() -> PosteriorConfig {
    posterior(json!({ "family": "moment-tractable", "noise": 4, "terms": 3, "hidden": [8, 8, 8], "activation": "elu",
        "moment_samples": 64 }))
}

fn model(network: NetworkName, posterior: Option<PosteriorConfig>) -> ModelConfig {
    let mut config = ModelConfig { posterior, ..ModelConfig::new(network, 5, LikelihoodName::Bernoulli) };
    if network == NetworkName::Mlp {
        config.encoder_hidden = Some(vec![16]);
        config.encoder_activation = Some(Activation::Elu);
        config.decoder_hidden = Some(vec![16]);
        config.decoder_activation = Some(Activation::Elu);
    }
    config
}

fn build(config: &ModelConfig, image: [i64; 3]) -> Vae {
    config.build(image, &generator(1), Device::Cpu).expect("a model")
}

const NETWORKS: [(NetworkName, [i64; 3]); 3] =
    [(NetworkName::Mlp, [1, 4, 4]), (NetworkName::Burgess, [1, 32, 32]), (NetworkName::Locatello, [3, 32, 32])];

#[test]
fn every_network_takes_every_posterior_with_one_sample_or_several() {
    single_thread();
    for (network, image) in NETWORKS {
        for (family, knowledge) in [(implicit(), Knowledge::Samples), (moment_tractable(), Knowledge::Moments)] {
            let vae = build(&model(network, Some(family)), image);
            assert_eq!(vae.knowledge(), knowledge);
            let noise = generator(2);
            let x = noise.uniform(&[3, image[0], image[1], image[2]], Kind::Float);
            for (samples, expected) in [(1, vec![3, 5]), (4, vec![4, 3, 5])] {
                let pass = vae.forward_training(&x, &noise, samples);
                assert_eq!(pass.z.size(), expected, "{network} {knowledge:?}");
                let Posterior::Implicit { moments } = &pass.posterior else { panic!("{network}: a Gaussian") };
                assert_eq!(moments.is_some(), knowledge == Knowledge::Moments);
                if let Some(moments) = moments {
                    assert_eq!(moments.mean.size(), [3, 5]);
                    assert!(!moments.mean.requires_grad() && !moments.log_var.requires_grad(), "moments are constants");
                }
            }
        }
    }
}

/// Noise that reaches nothing, and a parameter that is forgotten, would both be seen here: every parameter has a gradient that is not 0.
#[test]
fn every_parameter_of_the_encoder_is_trained_through_z() {
    single_thread();
    for (network, image) in NETWORKS {
        for family in [implicit(), moment_tractable()] {
            let vae = build(&model(network, Some(family)), image);
            let noise = generator(2);
            let x = noise.uniform(&[16, image[0], image[1], image[2]], Kind::Float);
            let (_, z) = vae.encode(&x, &noise);
            let parameters: NamedTensors =
                vae.parameters().into_iter().filter(|(name, _)| name.starts_with("encoder.")).collect();
            let gradients = elbo_native::gradients(&z.square().sum(None), &parameters).expect("gradients");
            for ((name, _), gradient) in parameters.iter().zip(&gradients) {
                assert!(number(&gradient.abs().sum(None)) > 0.0, "{network}: {name} gets nothing");
            }
        }
    }
}

#[test]
fn names_and_sizes_are_those_of_the_table() {
    single_thread();
    let sizes = |config: &ModelConfig, image| -> Vec<(String, Vec<i64>)> {
        let encoder =
            |(name, tensor): (String, Tensor)| Some((name.strip_prefix("encoder.")?.to_owned(), tensor.size()));
        build(config, image).parameters().into_iter().filter_map(encoder).collect()
    };
    let found = sizes(&model(NetworkName::Mlp, Some(implicit())), [1, 4, 4]);
    let expected = [
        ("fc1.weight", vec![16, 16 + 7]),
        ("fc1.bias", vec![16]),
        ("head.weight", vec![5, 16]),
        ("head.bias", vec![5]),
    ];
    assert_eq!(found, expected.map(|(name, size)| (name.to_owned(), size)));
    // The flattened features of the last convolution are 32 · 4 · 4.
    let found = sizes(&model(NetworkName::Burgess, Some(implicit())), [1, 32, 32]);
    assert!(found.contains(&("fc1.weight".to_owned(), vec![256, 512 + 7])), "{found:?}");
    let found = sizes(&model(NetworkName::Mlp, Some(moment_tractable())), [1, 4, 4]);
    for (name, size) in [
        ("fc1.weight", vec![16, 16]),
        ("head.weight", vec![5 + 3 * 5, 16]),
        ("basis.fc1.weight", vec![3, 8, 4]),
        ("basis.fc3.bias", vec![3, 8]),
        ("basis.head.weight", vec![3, 5, 8]),
    ] {
        assert!(found.contains(&(name.to_owned(), size)), "{name}: {found:?}");
    }
}

#[test]
fn one_seed_gives_one_decoder_whatever_the_posterior() {
    single_thread();
    let decoder = |posterior| {
        let vae = build(&model(NetworkName::Mlp, posterior), [1, 4, 4]);
        let all: NamedTensors = vae.parameters().into_iter().filter(|(name, _)| name.starts_with("decoder.")).collect();
        all_bits(&all)
    };
    assert_eq!(decoder(None), decoder(Some(implicit())));
    assert_eq!(decoder(None), decoder(Some(moment_tractable())));
}

/// A network whose output does not depend on x.
#[derive(Debug)]
struct Constant(Tensor);

impl Network for Constant {
    fn forward(&self, _input: &Tensor) -> Tensor {
        self.0.shallow_clone()
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

const TERMS: usize = 3;
const LATENT: usize = 2;
const ROWS: usize = 2;
/// Draws of noise that are summed by hand.
const DRAWS: usize = 6;
/// Draws that closed forms are compared with.
const SAMPLES: i64 = 100_000;

fn basis(hidden: &[i64]) -> NoiseBasis {
    let noise = generator(5);
    let initialiser = Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch);
    let config = NoiseBasisConfig { terms: TERMS as i64, noise: 4, hidden, activation: Activation::Elu };
    NoiseBasis::new(&initialiser, config, LATENT as i64)
}

/// `[ROWS, (1 + TERMS) LATENT]`, around 5, where a is near 1.
fn head() -> Tensor {
    generator(6).normal(&[ROWS as i64, ((1 + TERMS) * LATENT) as i64], Kind::Float) + 5.0
}

/// ELU(h − 5) + 1.
fn scale(head: f64) -> f64 {
    let shifted = head - 5.0;
    if shifted > 0.0 { shifted + 1.0 } else { shifted.exp() }
}

/// The same draws of noise, summed by hand in float64: z, and the moments from the draws that follow.
#[test]
fn samples_and_moments_are_the_sums_that_the_formula_says() {
    single_thread();
    let (basis, head) = (basis(&[8]), head());
    let replay = generator(9);
    let v = numbers(&basis.draw(&replay, ROWS as i64));
    let w = numbers(&basis.draw(&replay, DRAWS as i64));
    let h = numbers(&head);
    let encoder = MomentTractableEncoder::new(Box::new(Constant(head)), basis, LATENT as i64, DRAWS as i64);
    let (posterior, z) = encoder.infer(&Tensor::zeros([ROWS as i64, 1], (Kind::Float, Device::Cpu)), &generator(9), 1);
    let width = (1 + TERMS) * LATENT;
    let (mut expected, mut mean, mut variance) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..ROWS {
        for d in 0..LATENT {
            let start = h[row * width + d];
            let (mut sum, mut first, mut second) = (start, start, 0.0);
            for k in 0..TERMS {
                let a = scale(h[row * width + (1 + k) * LATENT + d]);
                sum += a * v[(k * ROWS + row) * LATENT + d];
                let draws: Vec<f64> = (0..DRAWS).map(|m| w[(k * DRAWS + m) * LATENT + d]).collect();
                let average = draws.iter().sum::<f64>() / DRAWS as f64;
                first += a * average;
                second += a * a * draws.iter().map(|v| (v - average).powi(2)).sum::<f64>() / (DRAWS - 1) as f64;
            }
            expected.push(sum);
            mean.push(first);
            variance.push(second);
        }
    }
    let shape = [ROWS as i64, LATENT as i64];
    let moments = posterior.moments().expect("moments");
    // Float32 against float64.
    assert_close(&z, &vector(&expected).reshape(shape), 1e-5);
    assert_close(&moments.mean, &vector(&mean).reshape(shape), 1e-5);
    assert_close(&moments.log_var.exp(), &vector(&variance).reshape(shape), 1e-5);
}

/// Where v is linear in the noise its moments are known: `E v = b`, `Var v_d = Σ_j W_dj²`. 1e5 samples of z agree with both.
#[test]
fn moments_are_those_of_the_samples_and_of_the_closed_form() {
    single_thread();
    let (basis, head) = (basis(&[]), head());
    let parameters = basis.parameters();
    let [weight, bias] = ["head.weight", "head.bias"].map(|name| named(&parameters, name).to_kind(Kind::Double));
    let parts = head.to_kind(Kind::Double).reshape([ROWS as i64, (1 + TERMS) as i64, LATENT as i64]);
    let a = (parts.narrow(1, 1, TERMS as i64) - 5.0).elu() + 1.0;
    let exact_mean = parts.select(1, 0) + (&a * &bias).sum_dim_intlist(1, false, None);
    let exact_variance = (a.square() * weight.square().sum_dim_intlist(2, false, None)).sum_dim_intlist(1, false, None);
    let encoder = MomentTractableEncoder::new(Box::new(Constant(head)), basis, LATENT as i64, SAMPLES);
    let x = Tensor::zeros([ROWS as i64, 1], (Kind::Float, Device::Cpu));
    let (posterior, z) = tch::no_grad(|| encoder.infer(&x, &generator(3), SAMPLES));
    let moments = posterior.moments().expect("moments");
    let z = z.to_kind(Kind::Double);
    for (mean, variance) in [
        (z.mean_dim(0, false, None), z.var_dim(0, true, false)),
        (moments.mean.to_kind(Kind::Double), moments.log_var.to_kind(Kind::Double).exp()),
    ] {
        // Five standard errors: σ/√n of a mean, σ² √(2/n) of a variance. The encoder's own are at most K times as variable.
        let n = SAMPLES as f64;
        let within = |distance: Tensor, error: Tensor| number(&(distance.abs() / error).max()) < 5.0;
        assert!(within(&mean - &exact_mean, (&exact_variance * (TERMS as f64 / n)).sqrt()), "mean");
        assert!(within(&variance - &exact_variance, &exact_variance * (2.0 * TERMS as f64 / n).sqrt()), "variance");
    }
    // The samples of one row are independent of another's: what they share is the network of v, not its noise.
    let (one, two) = (z.select(1, 0).select(1, 0), z.select(1, 1).select(1, 0));
    let covariance = number(&((&one - one.mean(None)) * (&two - two.mean(None))).mean(None));
    let scale = (number(&one.var(true)) * number(&two.var(true))).sqrt();
    assert!((covariance / scale).abs() < 5.0 / (SAMPLES as f64).sqrt(), "{covariance} of {scale}");
}

#[test]
fn settings_that_do_not_fit_are_refused_by_their_path() {
    let refusal = |network, value| {
        let config = model(network, Some(posterior(value)));
        config.check([1, 32, 32]).expect_err("a refusal").to_string()
    };
    let full = || serde_json::to_value(moment_tractable()).expect("JSON");
    let without = |field: &str| {
        let mut value = full();
        value.as_object_mut().expect("an object").remove(field);
        value
    };
    for (value, expected) in [
        (
            json!({ "family": "implicit", "noise": 3, "terms": 2 }),
            "posterior.terms: expected no terms, for it belongs to moment-tractable and the family is implicit",
        ),
        (without("terms"), "posterior.terms: expected an integer ≥ 1, which moment-tractable needs"),
        (without("hidden"), "posterior.hidden: expected a list of integers ≥ 1, which moment-tractable needs"),
        (without("moment_samples"), "posterior.moment_samples: expected an integer ≥ 2, which moment-tractable needs"),
    ] {
        assert_eq!(refusal(NetworkName::Burgess, value), expected);
    }
    let mut one = full();
    one["moment_samples"] = json!(1);
    assert_eq!(refusal(NetworkName::Mlp, one), "posterior.moment_samples: expected an integer ≥ 2, got 1");
    let noise = serde_json::from_value::<PosteriorConfig>(json!({ "family": "implicit", "noise": 0 }));
    assert_eq!(noise.expect_err("a refusal").to_string(), "expected an integer ≥ 1, got 0");
    let family = serde_json::from_value::<PosteriorConfig>(json!({ "family": "flow", "noise": 2 }));
    assert_eq!(family.expect_err("a refusal").to_string(), "expected one of implicit, moment-tractable, got \"flow\"");
}
