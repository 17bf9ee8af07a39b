//! Gradients against central finite differences, in float64.

use crate::support::{generator, number, numbers, vector};
use elbo_core::likelihood::{Scale, bernoulli_log_density, gaussian_log_density, laplace_log_density};
use elbo_core::posterior::{
    kl_between_normals, kl_to_standard_normal, normal_log_density, standard_normal_log_density,
};
use elbo_core::schedule::Shape;
use elbo_core::{Gaussian, Likelihood, Schedule, Weight};
use elbo_native::testing::single_thread;
use tch::{Kind, Tensor};

/// With h = 1e-5 the truncation is about h² and the rounding 1e-16/h of the value: 1e-8 relative leaves room for values of 100.
#[track_caller]
fn check(function: impl Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]) {
    // Weights unlike each other, so that no error cancels in the sum.
    let scalar = |inputs: &[Tensor]| {
        let values = function(inputs);
        assert_eq!(values.kind(), Kind::Double, "float64 in, float64 out");
        let weights = (Tensor::arange(values.numel() as i64, (Kind::Double, values.device())) * 0.7).cos() + 1.5;
        (values.flatten(0, -1) * weights).sum(None::<Kind>)
    };
    let leaves: Vec<Tensor> = inputs.iter().map(|input| input.copy().set_requires_grad(true)).collect();
    let gradients = Tensor::run_backward(&[scalar(&leaves)], &leaves, false, false);
    for (which, input) in inputs.iter().enumerate() {
        let analytic = numbers(&gradients[which]);
        for (element, analytic) in analytic.into_iter().enumerate() {
            let shifted = |shift: f64| {
                let mut values = numbers(input);
                values[element] += shift;
                let mut all: Vec<Tensor> = inputs.iter().map(Tensor::shallow_clone).collect();
                all[which] = vector(&values).reshape(input.size());
                number(&scalar(&all))
            };
            let h = 1e-5;
            let numeric = (shifted(h) - shifted(-h)) / (2.0 * h);
            let distance = (numeric - analytic).abs() / analytic.abs().max(1.0);
            assert!(
                distance < 1e-8,
                "input {which}, element {element}: {analytic} by autograd, {numeric} by differences"
            );
        }
    }
}

fn normals(seed: u64, sizes: &[&[i64]]) -> Vec<Tensor> {
    let noise = generator(seed);
    sizes.iter().map(|size| noise.normal(size, Kind::Double)).collect()
}

#[test]
fn divergences() {
    single_thread();
    check(|t| kl_to_standard_normal(&t[0], &t[1]), &normals(1, &[&[3, 2], &[3, 2]]));
    check(|t| kl_between_normals(&t[0], &t[1], &t[2], &t[3]), &normals(2, &[[3, 2].as_slice(); 4]));
}

#[test]
fn log_densities_of_codes() {
    single_thread();
    check(|t| normal_log_density(&t[0], &t[1], &t[2]), &normals(3, &[[3, 2].as_slice(); 3]));
    check(|t| standard_normal_log_density(&t[0]), &normals(4, &[&[4, 3, 2]]));
}

/// The generator starts anew at every evaluation: the noise is part of the function.
#[test]
fn reparameterised_samples() {
    single_thread();
    for samples in [1, 3] {
        let sample =
            |t: &[Tensor]| Gaussian::new(t[0].shallow_clone(), t[1].shallow_clone()).sample(&generator(7), samples);
        check(sample, &normals(5, &[&[3, 2], &[3, 2]]));
    }
}

#[test]
fn log_likelihoods_per_pixel() {
    single_thread();
    let inputs = normals(6, &[&[2, 6], &[2, 6], &[2, 6]]);
    let x = inputs[0].sigmoid();
    check(|t| bernoulli_log_density(&x, &t[0]), &inputs[1..2]);
    check(|t| gaussian_log_density(&x, &t[0], &t[1]), &inputs[1..]);
    check(|t| laplace_log_density(&x, &t[0], &t[1]), &inputs[1..]);
}

/// With respect to what the decoder returned (K = 2 samples) and to the learnt scale.
#[test]
fn log_likelihoods_of_pictures() {
    single_thread();
    let inputs = normals(8, &[&[2, 3, 2, 1, 2], &[]]);
    let x = normals(9, &[&[3, 2, 1, 2]])[0].sigmoid();
    check(|t| Likelihood::Bernoulli.log_likelihood(&x, &t[0]), &inputs[..1]);
    // With respect to the picture as well, which a training step never asks for.
    let both = [x.copy(), inputs[0].copy()];
    check(|t| Likelihood::Bernoulli.log_likelihood(&t[0], &t[1]), &both);
    for family in [Likelihood::Gaussian, Likelihood::Laplace] {
        check(|t| family(Scale::Fixed(0.4)).log_likelihood(&x, &t[0]), &inputs[..1]);
        let learnt = |t: &[Tensor]| family(Scale::Learnt { log_scale: t[1].shallow_clone() }).log_likelihood(&x, &t[0]);
        check(learnt, &inputs);
    }
}

#[test]
fn weighted_terms() {
    single_thread();
    let ramp = Schedule::Ramp { shape: Shape::Linear, from: 0.0, to: 4.0, steps: 8 };
    let step = crate::support::step_number(3);
    for weight in [Weight::constant(2.5).expect("a weight"), Weight::new(ramp).expect("a weight")] {
        check(|t| weight.times(&t[0].square(), &step), &normals(10, &[&[3]]));
    }
}
