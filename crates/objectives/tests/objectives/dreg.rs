//! The doubly reparameterised gradient of a small model, against Tucker et al. (2019) computed another way, and against the plain bound in the mean.

use crate::setting::{generator, number};
use elbo_core::networks::{LikelihoodName, ModelConfig};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{BatchContext, ForwardPass, Gaussian, NamedTensors, Vae};
use elbo_objectives::iwae::Gradient;
use elbo_objectives::{Iwae, Objective, StickingTheLanding};
use serde_json::json;
use tch::{Device, Kind, Tensor};

const IMAGE: [i64; 3] = [1, 2, 2];
const BATCH: i64 = 3;
const LATENT: i64 = 2;

/// A model of each likelihood, those with a scale learning it.
fn models() -> Vec<(LikelihoodName, Vae)> {
    LikelihoodName::ALL.iter().map(|&name| (name, model(name))).collect()
}

fn model(likelihood: LikelihoodName) -> Vae {
    let mut config = json!({ "network": "mlp", "latent": LATENT, "likelihood": likelihood, "encoder_hidden": [6],
        "encoder_activation": "tanh", "decoder_hidden": [5], "decoder_activation": "tanh" });
    if likelihood != LikelihoodName::Bernoulli {
        config["sigma"] = json!("learnt");
    }
    let config: ModelConfig = serde_json::from_value(config).expect("a model's configuration");
    let vae = config.build(IMAGE, &generator(7), Device::Cpu).expect("a model");
    // Fresh networks hardly look at z: wider weights make the weights of the samples differ.
    tch::no_grad(|| {
        for (_, mut parameter) in vae.parameters() {
            let _ = parameter.g_mul_scalar_(2.0);
        }
    });
    vae
}

fn images() -> Tensor {
    generator(8).uniform(&[BATCH, 1, 2, 2], Kind::Float)
}

/// The gradients of the loss with respect to all parameters, and the pass that it was taken of.
fn gradients(vae: &Vae, objective: &dyn Objective, seed: u64) -> (Vec<Tensor>, ForwardPass) {
    let noise = generator(seed);
    let pass = vae.forward(&images(), &noise, objective.samples());
    let context = BatchContext { step: &Tensor::from(0_i64), dataset_len: 50, noise: &noise };
    let loss = objective.evaluate(&pass, &context).loss;
    (elbo_native::gradients(&loss, &vae.parameters()).expect("gradients"), pass)
}

fn split(parameters: &NamedTensors) -> (Vec<&Tensor>, Vec<&Tensor>) {
    let (encoder, others): (Vec<_>, Vec<_>) = parameters.iter().partition(|(name, _)| name.starts_with("encoder."));
    (encoder.into_iter().map(|(_, t)| t).collect(), others.into_iter().map(|(_, t)| t).collect())
}

/// The two formulas, with nothing of the objective: `log w_k` is differentiated by autograd along a z that has no past, and the decoder
/// sees that z alone. Encoder first, then decoder and likelihood; of the loss, which is minus the mean over the batch.
fn by_hand(vae: &Vae, pass: &ForwardPass) -> (Vec<Tensor>, Vec<Tensor>) {
    let parameters = vae.parameters();
    let (encoder, others) = split(&parameters);
    let posterior = pass.posterior.gaussian().expect("Gaussian");
    let held = Gaussian::new(posterior.mean.detach(), posterior.log_var.detach());
    let z = pass.z.detach().copy().set_requires_grad(true);
    let log_likelihood = vae.likelihood().log_likelihood(&pass.x, &vae.decode(&z));
    let log_weight = &log_likelihood + standard_normal_log_density(&z) - held.log_density(&z);
    let along_z = Tensor::run_backward(&[log_weight.sum(None::<Kind>)], &[&z], true, false).remove(0);
    let single = log_weight.dim() == 1;
    let weights = if single { log_weight.ones_like() } else { log_weight.softmax(0, None::<Kind>) }.detach();
    let decoder_side = -(&weights * &log_likelihood).sum(None::<Kind>) / BATCH as f64;
    let others = Tensor::run_backward(&[decoder_side], &others, false, false);
    let encoder_side = -(weights.square().unsqueeze(-1) * along_z * &pass.z).sum(None::<Kind>) / BATCH as f64;
    (Tensor::run_backward(&[encoder_side], &encoder, true, false), others)
}

#[track_caller]
fn assert_close(what: &str, one: &Tensor, other: &Tensor) {
    let (difference, scale) = (number(&(one - other).abs().max()), number(&other.abs().max()));
    assert!(difference <= 1e-4 * scale + 1e-6, "{what}: {difference:e} apart, of {scale:e}");
    assert!(scale > 0.0, "{what}: nothing to compare");
}

/// Encoder `Σ_k w̃_k² ∂_z log w_k ∂_φ z_k`, decoder and learnt scale `Σ_k w̃_k ∂_θ log p(x|z_k)`, for each likelihood.
#[test]
fn both_sides_are_as_the_paper_has_them() {
    for (name, vae) in models() {
        for samples in [2, 5] {
            let objective = Iwae { samples, gradient: Gradient::Dreg };
            let noise = generator(9);
            let pass = vae.forward(&images(), &noise, samples);
            let (encoder, others) = by_hand(&vae, &pass);
            let (found, _) = gradients(&vae, &objective, 9);
            for ((parameter, _), (found, expected)) in
                vae.parameters().iter().zip(found.iter().zip(encoder.iter().chain(&others)))
            {
                assert_close(&format!("{name}, K = {samples}: {parameter}"), found, expected);
            }
        }
    }
}

/// With one sample the weights are 1, and it is sticking the landing.
#[test]
fn one_sample_is_sticking_the_landing_for_every_parameter() {
    for (name, vae) in models() {
        let (dreg, pass) = gradients(&vae, &Iwae { samples: 1, gradient: Gradient::Dreg }, 10);
        let (stuck, _) = gradients(&vae, &StickingTheLanding, 10);
        drop(pass);
        let pass = vae.forward(&images(), &generator(10), 1);
        let (encoder, others) = by_hand(&vae, &pass);
        for (index, expected) in encoder.iter().chain(&others).enumerate() {
            assert_close(&format!("{name}: {index} of dreg"), &dreg[index], expected);
            assert_close(&format!("{name}: {index} of sticking the landing"), &stuck[index], expected);
        }
    }
}

/// The decoder's gradient is the plain bound's draw by draw, the encoder's is not, and neither is it its square-less form: w̃ in place of w̃²
/// is the plain gradient's path alone, which is biased.
#[test]
fn the_encoders_gradient_is_another_one() {
    for (name, vae) in models() {
        let (plain, _) = gradients(&vae, &Iwae { samples: 5, gradient: Gradient::Plain }, 11);
        let (dreg, _) = gradients(&vae, &Iwae { samples: 5, gradient: Gradient::Dreg }, 11);
        for ((parameter, _), (plain, dreg)) in vae.parameters().iter().zip(plain.iter().zip(&dreg)) {
            if parameter.starts_with("encoder.") {
                let distance = number(&((plain - dreg).norm() / plain.norm()));
                assert!(distance > 0.05, "{name}: {parameter} is {distance} from the plain gradient");
            } else {
                assert_close(&format!("{name}: {parameter}"), dreg, plain);
            }
        }
    }
}

/// In the mean over 2000 draws of z the encoder's gradient is the plain bound's within 3 standard errors, along random directions; and its
/// spread there is the smaller one, which is why it exists.
#[test]
fn in_the_mean_over_noise_it_is_the_plain_gradient_with_less_spread() {
    const DRAWS: u32 = 2000;
    let vae = model(LikelihoodName::Gaussian);
    let parameters = vae.parameters();
    let (encoder, _) = split(&parameters);
    let noise = generator(12);
    let directions: Vec<Tensor> =
        encoder.iter().map(|parameter| noise.normal(&parameter.size(), Kind::Float)).collect();
    let slope = |gradient: Gradient, seed: u64| {
        let (gradients, _) = gradients(&vae, &Iwae { samples: 5, gradient }, seed);
        gradients.iter().zip(&directions).map(|(g, direction)| number(&(g * direction).sum(None::<Kind>))).sum::<f64>()
    };
    let mut draws = [Vec::new(), Vec::new(), Vec::new()];
    for draw in 0..u64::from(DRAWS) {
        let (dreg, plain) = (slope(Gradient::Dreg, 1000 + draw), slope(Gradient::Plain, 1000 + draw));
        draws[0].push(dreg);
        draws[1].push(plain);
        draws[2].push(dreg - plain);
    }
    let [dreg, plain, difference] = draws.map(|draws| {
        let mean = draws.iter().sum::<f64>() / f64::from(DRAWS);
        let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / f64::from(DRAWS - 1);
        (mean, variance.sqrt())
    });
    let error = difference.1 / f64::from(DRAWS).sqrt();
    assert!(difference.0.abs() <= 3.0 * error, "{} is more than 3 times {error} from 0", difference.0);
    assert!(plain.0.abs() > 10.0 * error, "a gradient of {} could not be told from 0", plain.0);
    assert!(dreg.1 < 0.8 * plain.1, "spread {} after {}", dreg.1, plain.1);
}
