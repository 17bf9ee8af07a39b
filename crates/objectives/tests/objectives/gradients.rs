//! Gradients of whole losses against central differences, in float64.

use crate::setting::{Codes, beta_tcvae, number};
use elbo_core::Weight;
use elbo_objectives::{BetaVae, Elbo, Estimator, Objective};
use tch::Tensor;

const DATASET_LEN: i64 = 30;
const STEP: f64 = 1e-5;

/// Largest distance between the gradient and the central differences of `objective`'s loss, over z, mean and log-variance, each moved
/// on its own.
fn worst_difference(objective: &dyn Objective) -> f64 {
    let codes = Codes::random(4, 3, 41).leaves();
    let loss = codes.evaluate(objective, DATASET_LEN).loss;
    let inputs = [&codes.z, &codes.mean, &codes.log_var];
    let gradients = Tensor::run_backward(&[loss], &inputs, false, false);
    let mut worst = 0.0_f64;
    for (input, gradient) in inputs.into_iter().zip(gradients) {
        let (flat, gradient) = (input.detach().view(-1), gradient.reshape(-1));
        for index in 0..flat.size()[0] {
            let mut element = flat.narrow(0, index, 1);
            let start = element.copy();
            let mut at = |offset: f64| {
                element.copy_(&(&start + offset));
                number(&codes.evaluate(objective, DATASET_LEN).loss)
            };
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            at(0.0);
            worst = worst.max((difference - number(&gradient.narrow(0, index, 1))).abs());
        }
    }
    worst
}

#[test]
fn elbo_and_beta_vae() {
    for objective in [&Elbo as &dyn Objective, &BetaVae { beta: Weight::constant(4.0).expect("positive") }] {
        let worst = worst_difference(objective);
        assert!(worst < 1e-8, "{worst:e}");
    }
}

#[test]
fn beta_tcvae_under_every_estimator() {
    for estimator in Estimator::MINIBATCH {
        for [mi, tc, dw_kl] in [[1.0, 6.0, 1.0], [0.0, 2.0, 0.5], [1.0, 0.0, 0.0]] {
            let worst = worst_difference(&beta_tcvae(mi, tc, dw_kl, estimator));
            assert!(worst < 1e-8, "{estimator} with weights {mi}, {tc}, {dw_kl}: {worst:e}");
        }
    }
}
