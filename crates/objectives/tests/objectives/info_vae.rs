//! InfoVAE and WAE-MMD: the weights that follow from α and λ, their limits, and the configurations that are refused.

use crate::regularisers::{divergences, read};
use crate::setting::{Codes, assert_near, evaluate_at, number};
use elbo_core::likelihood::Scale;
use elbo_core::{FieldError, ForwardPass, Likelihood, Posterior};
use elbo_objectives::divergence::Mmd;
use elbo_objectives::{InfoVae, Objective, Terms, WaeMmd};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

const DATASET_LEN: i64 = 30;

fn info_vae(alpha: f64, lambda: impl Into<Value>) -> InfoVae {
    read(json!({ "alpha": alpha, "lambda": lambda.into(), "divergence": divergences()[0] }))
}

fn field_error(objective: &dyn Objective, batch: i64) -> FieldError {
    let error = objective.check(batch, DATASET_LEN, 3).expect_err("this must be refused");
    error.downcast().expect("an error that names its field")
}

fn term<'a>(terms: &'a Terms, name: &str) -> &'a Tensor {
    terms.scalars.get(name).unwrap_or_else(|| panic!("{name} is not reported"))
}

/// loss = reconstruction + (1 − α) KL + (α + λ − 1) MMD², over α, λ and a schedule of λ.
#[test]
fn the_loss_is_its_formula() {
    let codes = Codes::random(6, 3, 71);
    for (alpha, lambda) in [(0.0, 1.0), (0.0, 1000.0), (1.0, 0.5), (0.4, 2.0), (-3.0, 6.0)] {
        let terms = codes.evaluate(&info_vae(alpha, lambda), DATASET_LEN);
        let expected = term(&terms, "reconstruction")
            + term(&terms, "kl") * (1.0 - alpha)
            + term(&terms, "mmd") * (alpha + lambda - 1.0);
        assert_near(&terms.loss, &expected, 1e-11);
    }
    let rising = info_vae(0.25, json!({ "schedule": "linear", "from": 1, "to": 9, "steps": 8 }));
    for (step, lambda) in [(0, 1.0), (4, 5.0), (8, 9.0), (20, 9.0)] {
        let terms = evaluate_at(&rising, &codes.pass(), DATASET_LEN, step);
        let expected =
            term(&terms, "reconstruction") + term(&terms, "kl") * 0.75 + term(&terms, "mmd") * (lambda - 0.75);
        assert_near(&terms.loss, &expected, 1e-11);
        assert!((number(term(&terms, "schedule/lambda")) - lambda).abs() < 1e-6);
    }
}

/// α = 1 takes the KL out: WAE-MMD with weight λ, in value and gradient.
#[test]
fn alpha_one_is_wae_mmd() {
    let codes = Codes::random(6, 3, 72).leaves();
    for divergence in divergences() {
        let wae: WaeMmd = read(json!({ "divergence_weight": 7.5, "divergence": divergence }));
        let info: InfoVae = read(json!({ "alpha": 1, "lambda": 7.5, "divergence": divergence }));
        let losses = [&wae as &dyn Objective, &info].map(|objective| codes.evaluate(objective, DATASET_LEN).loss);
        assert_near(&losses[0], &losses[1], 1e-13);
        let gradients = losses.map(|loss| Tensor::run_backward(&[loss], &[&codes.z], false, false).remove(0));
        assert_near(&gradients[0], &gradients[1], 1e-13);
    }
}

/// Tolstikhin's loss is ‖x − f(z)‖² + λ MMD². Under N(f, σ²) the loss here times 2 σ² is that with λ = 2 σ² w, and a constant: the same minimum.
#[test]
fn the_paper_s_weight_is_two_sigma_squared_times_ours() {
    let codes = Codes::random(6, 3, 73).leaves();
    let (sigma, weight) = (0.3_f64, 55.0);
    let wae: WaeMmd = read(json!({ "divergence_weight": weight, "divergence": divergences()[3] }));
    let x = Tensor::full([6, 1, 1, 3], 0.5, (Kind::Double, tch::Device::Cpu));
    let decoded = codes.z.sin().reshape([6, 1, 1, 3]);
    let squared_error = (&x - &decoded).square().sum_dim_intlist(&[1, 2, 3][..], false, None::<Kind>).mean(None);
    let log_likelihood = Likelihood::Gaussian(Scale::Fixed(sigma)).log_likelihood(&x, &decoded);
    let posterior = Posterior::Gaussian(codes.gaussian());
    let pass = ForwardPass::new(x, posterior, codes.z.shallow_clone(), decoded, log_likelihood);
    let terms = evaluate_at(&wae, &pass, DATASET_LEN, 0);
    let mmd = wae.divergence.to_prior(&codes.z, &crate::setting::generator(0));
    assert_near(&mmd, term(&terms, "mmd"), 0.0);
    let two_variances = 2.0 * sigma.powi(2);
    let paper = squared_error + mmd * (two_variances * weight);
    // The normaliser of three pixels.
    let constant = two_variances * 3.0 * 0.5 * (std::f64::consts::PI * two_variances).ln();
    assert_near(&(&terms.loss * two_variances), &(&paper + constant), 1e-12);
    let gradient = |loss: Tensor| Tensor::run_backward(&[loss], &[&codes.z], true, false).remove(0);
    assert_near(&(gradient(terms.loss) * two_variances), &gradient(paper), 1e-12);
}

/// `clementchadebec/benchmark_VAE`: defaults of α = 0, λ = 1e-3 give its MMD the weight −0.999, those of a later version (0.5 and 0.03) −0.47:
/// the loss grows as q(z) nears the prior. Refused, by the field, with the weight that follows from it.
#[test]
fn benchmark_vae_s_defaults_weigh_mmd_by_minus_0_999_and_are_refused() {
    for (alpha, lambda, weight) in [(0.0, 1e-3, "-0.9990"), (0.5, 0.03, "-0.4700")] {
        let objective = info_vae(alpha, lambda);
        let error = field_error(&objective, 64);
        assert_eq!(error.field, "lambda");
        assert!(error.message.contains(&format!("weight alpha + lambda − 1 falls to {weight}")), "{error}");
        assert!(
            error.message.contains("allow_negative") && error.message.ends_with(&format!("got {lambda}")),
            "{error}"
        );
        let meant = InfoVae { allow_negative: true, ..objective };
        assert!(meant.check(64, DATASET_LEN, 3).is_ok());
    }
    assert!((info_vae(0.0, 1e-3).divergence_weight_range().0 + 0.999).abs() < 1e-15);
}

/// α above 1 rewards the KL; a schedule of λ that begins too low rewards MMD at its beginning.
#[test]
fn a_derived_weight_below_zero_at_any_step_is_refused() {
    let error = field_error(&info_vae(2.0, 1.0), 64);
    assert_eq!(error.field, "alpha");
    assert!(error.message.contains("1 − alpha is -1.0000") && error.message.ends_with("got 2"), "{error}");
    for shape in ["linear", "cosine", "cyclical"] {
        let schedule = |from: f64| json!({ "schedule": shape, "from": from, "to": 10, "steps": 100 });
        assert_eq!(field_error(&info_vae(0.5, schedule(0.0)), 64).field, "lambda");
        assert!(info_vae(0.5, schedule(0.5)).check(64, DATASET_LEN, 3).is_ok());
    }
}

/// −0.13 + 1.13 − 1 is −1e-16 in floating point, and no reward.
#[test]
fn rounding_is_no_negative_weight() {
    for hundredths in -100..=100 {
        let alpha = f64::from(hundredths) / 100.0;
        let objective = info_vae(alpha, f64::from(100 - hundredths) / 100.0);
        assert!(objective.check(64, DATASET_LEN, 3).is_ok(), "alpha {alpha}");
        assert!(objective.divergence_weight_range().0.abs() < f64::MIN_POSITIVE, "alpha {alpha}");
    }
}

#[test]
fn a_configuration_is_read_and_written() {
    let json = json!({
        "alpha": 0.0, "lambda": 1000.0,
        "divergence": { "kernel": "multi-scale", "bandwidth": 20.0, "scales": [0.5, 1.0], "form": "linear-time" },
        "allow_negative": false
    });
    let objective: InfoVae = read(json.clone());
    assert_eq!(serde_json::to_value(&objective).expect("JSON"), json);
}

fn refusal<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    let message = serde_json::from_str::<T>(json).expect_err("this must be refused").to_string();
    message.split(" at line").next().unwrap_or_default().to_owned()
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let mmd = |rest: &str| refusal::<Mmd>(&format!(r#"{{"form": "biased", {rest}}}"#));
    assert_eq!(mmd(r#""kernel": "rbf", "bandwidth": 0"#), "expected a finite number > 0, got 0");
    assert_eq!(
        mmd(r#""kernel": "imq", "bandwidth": 1"#),
        "expected one of rbf, inverse-multiquadratic, multi-scale, got \"imq\""
    );
    assert_eq!(
        mmd(r#""kernel": "multi-scale", "bandwidth": 1, "scales": [1, -1]"#),
        "expected a finite number > 0, got -1"
    );
    assert!(mmd(r#""kernel": "rbf""#).contains("missing field `bandwidth`"));
    assert!(refusal::<InfoVae>(r#"{"alpha": "much"}"#).contains("expected a finite number, got \"much\""));
}

/// Kernel and scales must fit each other, and the form the batch; the field is named from the objective down.
#[test]
fn scales_without_their_kernel_and_batches_without_pairs_are_refused() {
    let with = |divergence: Value| -> WaeMmd { read(json!({ "divergence_weight": 1, "divergence": divergence })) };
    for (divergence, message) in [
        (json!({ "kernel": "multi-scale", "bandwidth": 2, "form": "biased" }), "expected at least one scale"),
        (
            json!({ "kernel": "multi-scale", "bandwidth": 2, "scales": [], "form": "biased" }),
            "expected at least one scale",
        ),
        (json!({ "kernel": "rbf", "bandwidth": 2, "scales": [1], "form": "biased" }), "expected no scales"),
    ] {
        let error = field_error(&with(divergence), 64);
        assert_eq!(error.field, "divergence.scales");
        assert!(error.message.starts_with(message), "{error}");
    }
    for form in ["unbiased", "linear-time"] {
        let objective = with(json!({ "kernel": "rbf", "bandwidth": 2, "form": form }));
        let line = objective.check(1, DATASET_LEN, 3).expect_err("one row").to_string();
        let expected = format!("expected a batch of at least 2, because the {form} MMD compares different rows; got 1");
        assert_eq!(line, expected);
    }
}
