//! The K-sample bound and sticking the landing: golden values, a model whose log p(x) is known, and limits.

use crate::setting::{Codes, DOUBLE, assert_near, assert_number, evaluate_at, generator, number, tensor};
use elbo_core::{ForwardPass, Gaussian, Posterior};
use elbo_objectives::iwae::{Gradient, bound, effective_sample_size, log_weights};
use elbo_objectives::{Elbo, Iwae, Objective, StickingTheLanding, Terms};
use serde_json::Value;
use tch::{Kind, Tensor};

fn iwae(samples: i64, gradient: Gradient) -> Iwae {
    Iwae { samples, gradient }
}

fn cases() -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../oracle_iwae.json")).expect("JSON");
    all["iwae"]["cases"].as_array().expect("cases").clone()
}

/// A pass with the given log-weights `[B, K]`: q(z|x) is the prior, so that they are the log-likelihoods.
fn of_log_weights(log_weights: &Tensor) -> ForwardPass {
    let [batch, samples] = log_weights.size()[..] else { panic!("[B, K]") };
    let gaussian = Gaussian::new(Tensor::zeros([batch, 2], DOUBLE), Tensor::zeros([batch, 2], DOUBLE));
    let x = Tensor::zeros([batch, 1, 1, 1], DOUBLE);
    let size = if samples == 1 { vec![batch] } else { vec![samples, batch] };
    let log_likelihood = log_weights.transpose(0, 1).reshape(&size[..]);
    let z = generator(1).normal(&[&size[..], &[2]].concat(), Kind::Double);
    let decoded = Tensor::zeros([&size[..], &[1, 1, 1]].concat(), DOUBLE);
    ForwardPass::new(x, Posterior::Gaussian(gaussian), z, decoded, log_likelihood)
}

fn scalar(terms: &Terms, name: &str) -> Tensor {
    terms.scalars.get(name).expect("reported").shallow_clone()
}

/// numpy, float64: the bound of every example, its mean, the ELBO beside it, and the effective sample size.
#[test]
fn the_bound_agrees_with_the_oracle() {
    for case in cases() {
        let pass = of_log_weights(&tensor(&case["log_w"]));
        let weights = log_weights(&pass);
        assert_near(&bound(&weights), &tensor(&case["iwae"]), 1e-12);
        assert_near(&effective_sample_size(&weights), &tensor(&case["ess"]), 1e-12);
        let normalised = weights.softmax(0, None::<Kind>).transpose(0, 1);
        assert_near(&normalised, &tensor(&case["normalised_w"]), 1e-12);
        for gradient in Gradient::ALL {
            let terms = evaluate_at(&iwae(case["K"].as_i64().expect("K"), *gradient), &pass, 50, 0);
            let expected = case["iwae_mean"].as_f64().expect("a number");
            assert_number(&terms.loss, -expected, 1e-12);
            assert_number(&scalar(&terms, "iwae_bound"), expected, 1e-12);
            // q(z|x) is the prior: the closed-form KL is 0, and the ELBO the mean log-weight.
            assert_number(&scalar(&terms, "elbo"), case["elbo_mean"].as_f64().expect("a number"), 1e-12);
        }
    }
}

/// The mean of the logs is the ELBO, and the log of the sum forgets K: neither is the bound (ln 5 = 1.609 apart).
#[test]
fn neither_the_mean_of_the_logs_nor_the_sum_without_k_is_the_bound() {
    let case = &cases()[1];
    let weights = log_weights(&of_log_weights(&tensor(&case["log_w"])));
    let expected = case["iwae_mean"].as_f64().expect("a number");
    let mean_of_logs = number(&weights.mean(None));
    let without_k = number(&weights.logsumexp(0, false).mean(None));
    assert!((mean_of_logs - expected).abs() > 1.5, "{mean_of_logs}");
    assert!((without_k - expected - 5.0_f64.ln()).abs() < 1e-12, "{without_k}");
    // Nor is a mean over the examples in place of the samples.
    let across_examples = number(&(weights.logsumexp(1, false) - 4.0_f64.ln()).mean(None));
    assert!((across_examples - expected).abs() > 0.1, "{across_examples}");
}

/// z ~ N(0, 1), x|z ~ N(a z, s²): log p(x) = log N(x; 0, a² + s²), and the posterior is N(a x/(a² + s²), s²/(a² + s²)).
struct LinearGaussian {
    slope: f64,
    noise: f64,
    x: f64,
}

const MODEL: LinearGaussian = LinearGaussian { slope: 1.5, noise: 0.7, x: 1.2 };

impl LinearGaussian {
    fn variance(&self) -> f64 {
        self.slope.powi(2) + self.noise.powi(2)
    }

    fn log_evidence(&self) -> f64 {
        -0.5 * (self.x.powi(2) / self.variance() + (2.0 * std::f64::consts::PI * self.variance()).ln())
    }

    /// Mean and log-variance of the true posterior.
    fn posterior(&self) -> (f64, f64) {
        (self.slope * self.x / self.variance(), (self.noise.powi(2) / self.variance()).ln())
    }

    /// `batch` draws of K samples from `N(mean, exp(log_var))`; the leaves, and the pass over them.
    fn pass(&self, (mean, log_var): (f64, f64), batch: i64, samples: i64, seed: u64) -> (Tensor, Tensor, ForwardPass) {
        let mean = Tensor::full([batch, 1], mean, DOUBLE).set_requires_grad(true);
        let log_var = Tensor::full([batch, 1], log_var, DOUBLE).set_requires_grad(true);
        let gaussian = Gaussian::new(mean.shallow_clone(), log_var.shallow_clone());
        let z = gaussian.sample(&generator(seed), samples);
        let decoded = (&z * self.slope).unsqueeze(-1).unsqueeze(-1);
        let x = Tensor::full([batch, 1, 1, 1], self.x, DOUBLE);
        let likelihood = elbo_core::Likelihood::Gaussian(elbo_core::likelihood::Scale::Fixed(self.noise));
        let log_likelihood = likelihood.log_likelihood(&x, &decoded);
        (mean, log_var, ForwardPass::new(x, Posterior::Gaussian(gaussian), z, decoded, log_likelihood))
    }
}

/// In expectation the bound rises with K and stays below log p(x), each by more than 3 standard errors of 40 000 draws, from an encoder that
/// is off in mean and width; at K = 100 little is missing.
#[test]
fn the_bound_rises_with_k_towards_the_evidence() {
    let evidence = MODEL.log_evidence();
    let mut last = (f64::NEG_INFINITY, 0.0);
    for (index, samples) in [1, 2, 5, 20, 100].into_iter().enumerate() {
        let (_, _, pass) = tch::no_grad(|| MODEL.pass((0.3, -0.5), 40_000, samples, 80 + index as u64));
        let bounds = bound(&log_weights(&pass)).detach();
        let (mean, error) = (number(&bounds.mean(None)), number(&bounds.std(true)) / 200.0);
        let terms = evaluate_at(&iwae(samples, Gradient::Plain), &pass, 50, 0);
        assert_number(&terms.loss, -mean, 1e-12);
        assert!(mean - last.0 > 3.0 * error.hypot(last.1), "K = {samples}: {mean} after {}", last.0);
        assert!(mean < evidence + 3.0 * error, "K = {samples}: {mean} above {evidence}");
        last = (mean, error);
    }
    assert!(evidence - last.0 < 0.02, "{} of {evidence}", last.0);
}

/// With the true posterior every weight is p(x): the bound is log p(x) in every draw, for every K.
#[test]
fn with_the_true_posterior_the_bound_is_the_evidence_in_every_draw() {
    for samples in [1, 4] {
        let (_, _, pass) = MODEL.pass(MODEL.posterior(), 10, samples, 85);
        let weights = log_weights(&pass).detach();
        assert_near(&bound(&weights), &Tensor::full([10], MODEL.log_evidence(), DOUBLE), 1e-12);
        assert_near(&effective_sample_size(&weights), &Tensor::full([10], samples, DOUBLE), 1e-12);
    }
}

/// … and there the gradients that go through z alone vanish draw by draw, where the ELBO's and the bound's own are noise.
#[test]
fn with_the_true_posterior_the_surrogates_have_no_noise() {
    let norm = |objective: &dyn Objective| {
        let (mean, log_var, pass) = MODEL.pass(MODEL.posterior(), 10, objective.samples(), 86);
        let loss = evaluate_at(objective, &pass, 50, 0).loss;
        let gradients = Tensor::run_backward(&[loss], &[mean, log_var], false, false);
        gradients.iter().map(|gradient| number(&gradient.abs().max())).fold(0.0, f64::max)
    };
    for silent in [&StickingTheLanding as &dyn Objective, &iwae(1, Gradient::Dreg), &iwae(5, Gradient::Dreg)] {
        assert!(norm(silent) < 1e-12, "{:e}", norm(silent));
    }
    for noisy in [&Elbo as &dyn Objective, &iwae(1, Gradient::Plain), &iwae(5, Gradient::Plain)] {
        assert!(norm(noisy) > 1e-3, "{:e}", norm(noisy));
    }
}

/// Loss and gradients with respect to mean and log-variance, through z.
fn loss_and_gradients(objective: &dyn Objective, seed: u64) -> [Tensor; 3] {
    let (mean, log_var, pass) = MODEL.pass((0.3, -0.5), 7, objective.samples(), seed);
    let loss = evaluate_at(objective, &pass, 50, 0).loss;
    let mut gradients = Tensor::run_backward(&[&loss], &[mean, log_var], false, false);
    let log_var = gradients.remove(1);
    [loss.detach(), gradients.remove(0), log_var]
}

/// One sample with the gradient `dreg` is sticking the landing; their value is the sampled ELBO's.
#[test]
fn one_sample_of_dreg_is_sticking_the_landing() {
    let dreg = loss_and_gradients(&iwae(1, Gradient::Dreg), 87);
    for (one, other) in dreg.iter().zip(&loss_and_gradients(&StickingTheLanding, 87)) {
        assert_near(one, other, 1e-12);
    }
    assert_near(&dreg[0], &loss_and_gradients(&iwae(1, Gradient::Plain), 87)[0], 0.0);
}

/// One sample of the plain bound is the ELBO with its KL sampled, in value and gradient.
#[test]
fn one_sample_of_the_plain_bound_is_the_sampled_elbo() {
    let codes = Codes::random(6, 3, 88).leaves();
    let gradients =
        |loss: &Tensor| Tensor::run_backward(&[loss], &[&codes.mean, &codes.log_var, &codes.z], false, false);
    let log_p = elbo_core::posterior::standard_normal_log_density(&codes.z);
    let pass = codes.pass();
    let minus_elbo = (codes.gaussian().log_density(&codes.z) - log_p - pass.log_likelihood()).mean(None);
    let loss = codes.evaluate(&iwae(1, Gradient::Plain), 50).loss;
    assert_near(&loss, &minus_elbo, 1e-12);
    for (one, other) in gradients(&loss).iter().zip(&gradients(&minus_elbo)) {
        assert_near(one, other, 1e-12);
    }
    let stuck = codes.evaluate(&StickingTheLanding, 50);
    assert_near(&stuck.loss, &minus_elbo, 1e-12);
    let kl = codes.gaussian().log_density(&codes.z) - elbo_core::posterior::standard_normal_log_density(&codes.z);
    assert_near(&scalar(&stuck, "kl_sampled"), &kl.mean(None), 1e-12);
}

/// The surrogate replaces the gradient and not the value, to the bit, with and without a graph.
#[test]
fn the_value_of_dreg_is_the_bound() {
    let (_, _, pass) = MODEL.pass((0.3, -0.5), 7, 5, 89);
    let [dreg, plain] =
        [Gradient::Dreg, Gradient::Plain].map(|gradient| evaluate_at(&iwae(5, gradient), &pass, 50, 0).loss);
    assert_near(&dreg, &plain, 0.0);
    let silent = tch::no_grad(|| evaluate_at(&iwae(5, Gradient::Dreg), &pass, 50, 0).loss);
    assert_near(&silent, &plain, 0.0);
}

/// What they read, and what they say when they do not.
#[test]
fn their_fields_are_refused_with_a_line() {
    let refusal = |json: &str| serde_json::from_str::<Iwae>(json).expect_err("refused").to_string();
    let json = r#"{"samples":5,"gradient":"dreg"}"#;
    let read: Iwae = serde_json::from_str(json).expect("a configuration");
    assert_eq!((read, read.samples()), (iwae(5, Gradient::Dreg), 5));
    assert_eq!(serde_json::to_string(&read).expect("JSON"), json);
    assert!(refusal(r#"{"samples":0,"gradient":"dreg"}"#).starts_with("expected an integer ≥ 1, got 0"));
    assert!(refusal(r#"{"samples":2.5,"gradient":"dreg"}"#).starts_with("expected an integer ≥ 1, got 2.5"));
    assert!(refusal(r#"{"samples":5,"gradient":"stl"}"#).starts_with("expected one of plain, dreg, got \"stl\""));
    assert!(refusal(r#"{"samples":5}"#).contains("missing field `gradient`"));
    assert!(refusal(r#"{"samples":5,"gradient":"dreg","k":5}"#).contains("unknown field `k`"));
    assert_eq!(serde_json::from_str::<StickingTheLanding>("{}").expect("nothing"), StickingTheLanding);
    assert_eq!(serde_json::to_string(&StickingTheLanding).expect("JSON"), "{}");
    let error = serde_json::from_str::<StickingTheLanding>(r#"{"beta":1}"#).expect_err("refused").to_string();
    assert!(error.contains("unknown field `beta`"), "{error}");
}
