//! p(x|z).

use crate::support::{assert_close, number, numbers, oracle, tensor_of, vector};
use approx::assert_abs_diff_eq;
use elbo_core::Likelihood;
use elbo_core::likelihood::{Scale, bernoulli_log_density, gaussian_log_density, laplace_log_density};
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

fn learnt(log_scale: f64) -> (Scale, Tensor) {
    let parameter = Tensor::full([], log_scale, (Kind::Double, Device::Cpu)).set_requires_grad(true);
    (Scale::Learnt { log_scale: parameter.shallow_clone() }, parameter)
}

/// The oracle's rows of 12 numbers as pictures of 3×2×2.
fn pictures(rows: &Tensor) -> Tensor {
    rows.reshape([-1, 3, 2, 2])
}

/// numpy's figures in float64, per pixel and summed over pictures.
#[test]
fn log_likelihoods_are_those_of_the_oracle() {
    single_thread();
    let case = oracle("log_likelihood")["case"].take();
    let get = |key: &str| tensor_of(&case[key]);
    let (logits, grey, binary) = (get("logits"), get("x_grey"), get("x_binary"));
    let (mean, log_scale) = (get("mean"), get("log_scale"));

    assert_close(&bernoulli_log_density(&binary, &logits), &get("bernoulli_binary"), 1e-13);
    assert_close(&bernoulli_log_density(&grey, &logits), &get("bernoulli_grey"), 1e-13);
    assert_close(&gaussian_log_density(&grey, &mean, &log_scale), &get("gaussian_learned"), 1e-13);
    assert_close(&laplace_log_density(&grey, &mean, &log_scale), &get("laplace_learned"), 1e-13);

    let summed = |likelihood: &Likelihood, x: &Tensor, decoded: &Tensor| {
        likelihood.log_likelihood(&pictures(x), &pictures(decoded))
    };
    assert_close(&summed(&Likelihood::Bernoulli, &binary, &logits), &get("bernoulli_binary_sum"), 1e-13);
    assert_close(&summed(&Likelihood::Bernoulli, &grey, &logits), &get("bernoulli_grey_sum"), 1e-13);
    let unit = |family: fn(Scale) -> Likelihood| [family(Scale::Fixed(1.0)), family(learnt(0.0).0)];
    for gaussian in unit(Likelihood::Gaussian) {
        assert_close(&summed(&gaussian, &grey, &mean), &get("gaussian_sigma1_sum"), 1e-13);
    }
    for laplace in unit(Likelihood::Laplace) {
        assert_close(&summed(&laplace, &grey, &mean), &get("laplace_b1_sum"), 1e-13);
    }
}

/// log σ(l) is 0 or l to within e^−100 there; `log(sigmoid(l))` would be −∞. The oracle goes on to ±800.
#[test]
fn bernoulli_is_exact_and_its_gradient_finite_at_huge_logits() {
    single_thread();
    for kind in [Kind::Float, Kind::Double] {
        let logits = vector(&[100.0, -100.0, 100.0, -100.0]).to_kind(kind).set_requires_grad(true);
        let x = vector(&[1.0, 0.0, 0.0, 1.0]).to_kind(kind);
        let density = bernoulli_log_density(&x, &logits);
        assert_close(&density, &vector(&[0.0, 0.0, -100.0, -100.0]).to_kind(kind), 1e-30);
        // d/dl = x − σ(l).
        let gradient = Tensor::run_backward(&[density.sum(None::<Kind>)], &[&logits], false, false);
        assert_close(&gradient[0], &vector(&[0.0, 0.0, -1.0, 1.0]).to_kind(kind), 1e-30);
    }
    let case = oracle("log_likelihood")["case"]["bernoulli_extreme"].take();
    let density = bernoulli_log_density(&tensor_of(&case["x"]), &tensor_of(&case["logits"]));
    assert_close(&density, &tensor_of(&case["loglik"]), 1e-15);
}

/// The sum over pixels has a gradient of its own: beside libtorch's gradient of the density per pixel, from −800 to 800, where a threshold
/// of the softplus would show. Room for the rounding of `softplus(l) − l` at 60, next to which the threshold that libtorch has by itself is 2e-9 off.
#[test]
fn bernoulli_sum_and_gradient_are_those_of_the_pixels() {
    single_thread();
    for (kind, tolerance) in [(Kind::Float, 4e-6), (Kind::Double, 1e-14)] {
        let spread = Tensor::linspace(-60.0, 60.0, 480, (Kind::Double, Device::Cpu));
        let ends = vector(&[-800.0, -100.0, -39.9, -20.1, -1e-9, 0.0, 1e-9, 19.9, 20.1, 39.9, 100.0, 800.0]);
        let logits = Tensor::cat(&[&spread, &ends], 0).to_kind(kind).reshape([3, 164, 1, 1, 1]).set_requires_grad(true);
        for x in [0.0, 0.3, 1.0] {
            let x = Tensor::full([164, 1, 1, 1], x, (kind, Device::Cpu));
            let cotangent = Tensor::arange(3 * 164, (kind, Device::Cpu)).cos().reshape([3, 164]);
            let gradient =
                |value: &Tensor| Tensor::run_backward(&[(value * &cotangent).sum(None)], &[&logits], false, false);
            let (summed, pixels) =
                (Likelihood::Bernoulli.log_likelihood(&x, &logits), bernoulli_log_density(&x, &logits));
            assert_close(&summed, &pixels.reshape([3, 164]), tolerance);
            assert_close(&gradient(&summed)[0], &gradient(&pixels.reshape([3, 164]))[0], tolerance);
        }
    }
}

/// Clear words instead of a wrong second derivative.
#[test]
fn bernoulli_sum_is_differentiable_once() {
    single_thread();
    let logits = Tensor::zeros([1, 1, 2, 2], (Kind::Double, Device::Cpu)).set_requires_grad(true);
    let x = Tensor::ones([1, 1, 2, 2], (Kind::Double, Device::Cpu));
    let twice = Tensor::f_run_backward(&[Likelihood::Bernoulli.log_likelihood(&x, &logits)], &[&logits], true, true);
    let refused = twice.expect_err("no second derivative").to_string();
    assert!(refused.contains("a gradient by hand cannot be differentiated again"), "{refused}");
}

/// `Σ_x p(x|z)` over all 2⁴ pictures of 4 black or white pixels.
#[test]
fn bernoulli_sums_to_one_over_all_binary_pictures() {
    single_thread();
    let logits = vector(&[-2.0, 0.3, 1.7, 40.0]).reshape([1, 1, 2, 2]);
    let pictures: Vec<f64> = (0..16).flat_map(|code| (0..4).map(move |pixel| f64::from(code >> pixel & 1))).collect();
    let x = vector(&pictures).reshape([16, 1, 2, 2]);
    let log_likelihood = Likelihood::Bernoulli.log_likelihood(&x, &logits.expand_as(&x));
    assert_abs_diff_eq!(number(&log_likelihood.exp().sum(None::<Kind>)), 1.0, epsilon = 1e-13);
}

/// The trapezoid rule: exact to rounding for a normal; for Laplace, whose kink is on a node, its error is h²/(12 b²).
#[test]
fn gaussian_and_laplace_integrate_to_one() {
    single_thread();
    for scale in [0.1, 0.7, 3.0] {
        let spacing = scale / 500.0;
        let x = (Tensor::arange(40_001, (Kind::Double, Device::Cpu)) - 20_000.0) * spacing + 0.4;
        let x = x.reshape([-1, 1, 1, 1]);
        let decoded = x.full_like(0.4);
        for family in [Likelihood::Gaussian, Likelihood::Laplace] {
            let density = family(Scale::Fixed(scale)).log_likelihood(&x, &decoded).exp();
            assert_abs_diff_eq!(number(&density.sum(None::<Kind>)) * spacing, 1.0, epsilon = 1e-6);
        }
    }
}

/// At the optimum σ² is the mean squared error over all pixels (numpy's figure), and b is the mean absolute error; there the gradient
/// with respect to the logarithm is 0, and any other scale is worse.
#[test]
fn a_learnt_scale_is_best_at_the_mean_error() {
    single_thread();
    let section = oracle("log_likelihood");
    let (x, mean) = (pictures(&tensor_of(&section["case"]["x_grey"])), pictures(&tensor_of(&section["case"]["mean"])));
    let squared = number(&(&x - &mean).square().mean(None::<Kind>));
    let absolute = number(&(&x - &mean).abs().mean(None::<Kind>));
    let optimum = &section["case"]["optimal_sigma_gaussian"];
    assert_abs_diff_eq!(squared, optimum["sigma2"].as_f64().expect("a number"), epsilon = 1e-14);

    let best = [(Likelihood::Gaussian as fn(Scale) -> Likelihood, squared.sqrt()), (Likelihood::Laplace, absolute)];
    for (family, best) in best {
        let evaluate = |log_scale: f64| {
            let (scale, parameter) = learnt(log_scale);
            let loss = -family(scale).log_likelihood(&x, &mean).mean(None::<Kind>);
            let gradient = Tensor::run_backward(&[&loss], &[&parameter], false, false);
            (number(&loss), number(&gradient[0]))
        };
        let (loss, gradient) = evaluate(best.ln());
        assert_abs_diff_eq!(gradient, 0.0, epsilon = 1e-12);
        assert!(evaluate(best.ln() + 0.1).0 > loss && evaluate(best.ln() - 0.1).0 > loss);
    }
    let (scale, _) = learnt(squared.sqrt().ln());
    let loss = -number(&Likelihood::Gaussian(scale).log_likelihood(&x, &mean).mean(None::<Kind>));
    assert_abs_diff_eq!(loss, optimum["nll_mean"].as_f64().expect("a number"), epsilon = 1e-12);
}

/// Row k of `[K, B]` is the answer for sample k alone.
#[test]
fn several_samples_are_evaluated_against_one_batch() {
    single_thread();
    let case = oracle("log_likelihood")["case"].take();
    let (x, logits) = (pictures(&tensor_of(&case["x_grey"])), pictures(&tensor_of(&case["logits"])));
    let samples = Tensor::stack(&[&logits, &(&logits * 0.5), &(-&logits)], 0);
    for likelihood in
        [Likelihood::Bernoulli, Likelihood::Gaussian(Scale::Fixed(0.3)), Likelihood::Laplace(learnt(-0.5).0)]
    {
        let all = likelihood.log_likelihood(&x, &samples);
        assert_eq!(all.size(), [3, 4]);
        for k in 0..3 {
            assert_close(&all.get(k), &likelihood.log_likelihood(&x, &samples.get(k)), 1e-14);
        }
    }
}

#[test]
fn the_picture_to_show_is_the_mean() {
    single_thread();
    let decoded = vector(&[-1.0, 0.0, 2.0]);
    let expected: Vec<f64> = [-1.0_f64, 0.0, 2.0].iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
    assert_close(&Likelihood::Bernoulli.mean(&decoded), &vector(&expected), 1e-15);
    assert_eq!(numbers(&Likelihood::Gaussian(Scale::Fixed(1.0)).mean(&decoded)), [-1.0, 0.0, 2.0]);
}

#[test]
#[should_panic(expected = "decoded must have x's shape [2, 1, 2, 2]")]
fn a_decoder_of_another_shape_is_a_mistake() {
    single_thread();
    let x = Tensor::zeros([2, 1, 2, 2], (Kind::Float, Device::Cpu));
    let _ = Likelihood::Bernoulli.log_likelihood(&x, &Tensor::zeros([2, 1, 2, 3], (Kind::Float, Device::Cpu)));
}
