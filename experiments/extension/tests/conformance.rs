//! The bound against numbers that are not its own, and against elbo's conformance suite.

use elbo_core::{BatchContext, ForwardPass, Gaussian, Generator, Posterior};
use elbo_objectives::testing::Conformance;
use elbo_objectives::{Iwae, Objective};
use renyi_vae::{Renyi, bound};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn renyi(samples: i64, alpha: f64) -> Renyi {
    serde_json::from_value(json!({ "samples": samples, "alpha": alpha })).expect("a configuration")
}

/// `[B, K]` of the golden file as `[K, B]`.
fn log_weights(case: &Value) -> Tensor {
    let rows: Vec<Vec<f64>> = serde_json::from_value(case["log_w"].clone()).expect("numbers");
    let rows: Vec<Tensor> = rows.iter().map(|row| Tensor::from_slice(row)).collect();
    Tensor::stack(&rows, 1)
}

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("renyi.json")).expect("JSON");
    all["cases"].as_array().expect("cases").clone()
}

fn distance(one: &Tensor, other: &Tensor) -> f64 {
    (one - other).abs().max().double_value(&[])
}

#[test]
fn every_rule_of_the_suite_holds() {
    let readme = include_str!("../README.md");
    for (samples, alpha) in [(1, 0.5), (5, -1.0), (5, 0.0), (5, 0.5), (5, 2.0)] {
        Conformance::of(&renyi(samples, alpha)).documented_in(readme).holds();
    }
}

/// numpy, float64.
#[test]
fn the_bound_agrees_with_the_golden_values() {
    for case in cases() {
        for (alpha, expected) in case["renyi"].as_object().expect("orders") {
            let expected: Vec<f64> = serde_json::from_value(expected.clone()).expect("numbers");
            let found = bound(&log_weights(&case), alpha.parse().expect("an order"));
            assert!(distance(&found, &Tensor::from_slice(&expected)) < 1e-12, "α = {alpha}: {found:?}");
        }
    }
}

/// Towards α = 1 it is the mean of the log-weights, the ELBO of the sample; and it falls as α rises.
#[test]
fn near_one_it_is_the_elbo() {
    let log_weights = log_weights(&cases()[1]);
    let elbo = log_weights.mean_dim(0, false, None::<Kind>);
    for alpha in [1.0 - 1e-5, 1.0 + 1e-5] {
        assert!(distance(&bound(&log_weights, alpha), &elbo) < 1e-4);
    }
    for pair in [-1.0, 0.0, 0.5, 0.999, 2.0, 5.0].windows(2) {
        let (lower, higher) = (bound(&log_weights, pair[0]), bound(&log_weights, pair[1]));
        assert!((lower - higher).min().double_value(&[]) > 0.0, "{pair:?}");
    }
}

/// Order 0 is elbo's own importance-weighted bound, in value and gradient.
#[test]
fn order_zero_is_the_importance_weighted_bound() {
    let noise = Generator::new(Device::Cpu, 1).expect("a generator");
    let mean = noise.normal(&[4, 3], Kind::Double).set_requires_grad(true);
    let loss = |objective: &dyn Objective| {
        let gaussian = Gaussian::new(mean.shallow_clone(), mean.detach() * 0.1);
        let z = gaussian.sample(&Generator::new(Device::Cpu, 2).expect("a generator"), objective.samples());
        let log_likelihood = z.sin().sum_dim_intlist(-1, false, None::<Kind>);
        let x = Tensor::zeros([4, 1, 1, 1], (Kind::Double, Device::Cpu));
        let pass = ForwardPass::new(x.shallow_clone(), Posterior::Gaussian(gaussian), z, x, log_likelihood);
        let context = BatchContext { step: &Tensor::from(0_i64), dataset_len: 50, noise: &noise };
        let loss = objective.evaluate(&pass, &context).loss;
        let gradient = Tensor::run_backward(&[&loss], &[&mean], false, false).remove(0);
        Tensor::cat(&[loss.detach().view(1), gradient.view(-1)], 0)
    };
    let iwae: Iwae = serde_json::from_value(json!({ "samples": 5, "gradient": "plain" })).expect("a configuration");
    assert!(distance(&loss(&renyi(5, 0.0)), &loss(&iwae)) < 1e-12);
}
