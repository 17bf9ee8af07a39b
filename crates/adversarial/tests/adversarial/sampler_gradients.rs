//! The gradient of a divergence for the sampler that makes P, with T held fixed: docs/mathematics.md §6 on `N(m, 1)` against `N(0, 1)` at m
//! = 0.7.

use crate::divergence::{alpha, published, rows};
use crate::support::{generator, numbers};
use elbo_adversarial::FDivergence;
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

const MEAN: f64 = 0.7;

/// Midpoints of `count` equal slices of N(0, 1): an expectation over it as a plain mean, without noise.
fn slices(count: i64) -> Tensor {
    let levels = (Tensor::arange(count, (Kind::Double, Device::Cpu)) + 0.5) / count as f64;
    (levels * 2.0 - 1.0).erfinv() * 2_f64.sqrt()
}

/// log P/Q of means m and 0, both with deviation 1, as a fixed function.
fn log_ratio(x: &Tensor, mean: f64) -> Tensor {
    x * mean - 0.5 * mean * mean
}

/// `D_f(N(mean, 1) ‖ N(0, 1))`, by quadrature of f as it is published.
fn divergence(row: FDivergence, mean: f64) -> f64 {
    let (nodes, width) = (80_000, 16.0);
    let spacing = 2.0 * width / f64::from(nodes);
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let term = |x: f64| {
        let value = published(row, (mean * x - 0.5 * mean * mean).exp());
        // Under an f that is in t alone a t of 0 is infinite, where Q has no weight.
        if density(x) > 1e-40 { value * density(x) } else { 0.0 }
    };
    (0..=nodes).map(|node| term(f64::from(node) * spacing - width)).sum::<f64>() * spacing
}

/// Derivative in the mean of what `value` makes of P's samples `mean + ε`.
fn pathwise(value: impl Fn(&Tensor) -> Tensor) -> f64 {
    let mean = Tensor::from_slice(&[MEAN]).set_requires_grad(true);
    let samples = slices(1_000_000) + &mean;
    let gradient = Tensor::run_backward(&[value(&log_ratio(&samples, MEAN))], &[&mean], false, false);
    numbers(&gradient[0])[0]
}

/// For every f with a continuous slope the surrogate's gradient is that of the divergence, whose own comes from differences of a
/// quadrature.
///
/// A million slices miss the tail beyond 4.9 deviations: of e^(1.4 ε), which Neyman's gradient is a mean of, 2e-4.
#[test]
fn the_surrogates_gradient_is_the_divergences_for_every_f() {
    single_thread();
    let mut compared = 0;
    for row in rows().into_iter().chain([alpha(-1.0), alpha(0.5)]) {
        if !row.trains_a_sampler() {
            continue;
        }
        let step = 1e-4;
        let truth = (divergence(row, MEAN + step) - divergence(row, MEAN - step)) / (2.0 * step);
        let ours = pathwise(|log_ratio| row.sampler_surrogate(log_ratio));
        assert!((ours - truth).abs() < 1e-3 * (1.0 + truth.abs()), "{row}: {ours}, not {truth}");
        compared += 1;
    }
    assert_eq!(compared, 11);
}

/// KL(Q ‖ P) = m²/2, whose gradient is m = 0.70. The plug-in value under P is minus the mean of T e^−T, and its derivative is m times the
/// mean of T − 1 under Q, where T has the mean −m²/2: −m (1 + m²/2) = −0.87. It is wrong in sign.
#[test]
fn the_plug_in_values_gradient_is_wrong_for_the_reverse_kl() {
    single_thread();
    let row = FDivergence::ReverseKl;
    let ours = pathwise(|log_ratio| row.sampler_surrogate(log_ratio));
    let plug_in = pathwise(|log_ratio| row.plug_in_on_numerator(log_ratio));
    assert!((ours - 0.70).abs() < 1e-3, "ours is {ours}, and the true one 0.70");
    assert!((plug_in - -MEAN * (1.0 + 0.5 * MEAN * MEAN)).abs() < 1e-3, "the plug-in's is {plug_in}");
    assert_eq!(format!("{plug_in:.2}"), "-0.87");
}

/// The plug-in value under P has the right gradient for KL(P ‖ Q), and for no other row.
#[test]
fn the_plug_in_values_gradient_is_right_for_the_kl_alone() {
    single_thread();
    for row in rows() {
        let step = 1e-4;
        let truth = (divergence(row, MEAN + step) - divergence(row, MEAN - step)) / (2.0 * step);
        let plug_in = pathwise(|log_ratio| row.plug_in_on_numerator(log_ratio));
        let right = (plug_in - truth).abs() < 1e-2 * (1.0 + truth.abs());
        assert_eq!(right, row == FDivergence::Kl, "{row}: {plug_in}, and the true one {truth}");
    }
}

/// It is made of samples of Q, and no sampler of P is in its graph.
#[test]
fn the_plug_in_value_under_q_has_no_path_to_the_sampler() {
    single_thread();
    let _sampler = Tensor::from_slice(&[MEAN]).set_requires_grad(true);
    for row in rows() {
        let value = row.plug_in(&log_ratio(&slices(1000), MEAN));
        assert!(!value.requires_grad(), "{row}");
    }
}

/// The total variation has a gradient, φ(m/2) = 0.375, but f′ is ±½: its pathwise derivative is 0, so it is no surrogate and refuses to be
/// one.
#[test]
fn the_total_variation_is_refused_as_a_surrogate() {
    single_thread();
    let row = FDivergence::TotalVariation;
    let step = 1e-2;
    let truth = (divergence(row, MEAN + step) - divergence(row, MEAN - step)) / (2.0 * step);
    assert!((truth - 0.375).abs() < 1e-3, "{truth}");
    assert_eq!(pathwise(|log_ratio| row.slope(log_ratio).mean(None)), 0.0);
    assert!(std::panic::catch_unwind(|| row.sampler_surrogate(&Tensor::from_slice(&[0.1]))).is_err());
}

/// Autograd against central differences, in float64, in mean and log-deviation of a reparameterised sampler, for a T that is not even
/// optimal.
#[test]
fn the_surrogates_gradient_is_that_of_its_value() {
    single_thread();
    let noise = generator(3).normal(&[64], Kind::Double);
    for row in rows().into_iter().filter(|row| row.trains_a_sampler()) {
        let value = |parameters: &Tensor| {
            let samples = &noise * parameters.get(1).exp() + parameters.get(0);
            // Quadratic, and not the log ratio of anything here.
            row.sampler_surrogate(&(samples.square() * -0.1 + samples * 0.5 - 0.2))
        };
        let at = [0.4, -0.3];
        let parameters = Tensor::from_slice(&at).set_requires_grad(true);
        let gradient = numbers(&Tensor::run_backward(&[value(&parameters)], &[&parameters], false, false)[0]);
        for (index, gradient) in gradient.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut at = at;
                at[index] += by;
                value(&Tensor::from_slice(&at)).double_value(&[])
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((gradient - difference).abs() < 1e-8 * (1.0 + difference.abs()), "{row}: {gradient} {difference}");
        }
    }
}
