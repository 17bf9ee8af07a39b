//! Capacity against hand-made distances, its limits, its ramp and its refusals.

use crate::setting::{Codes, DOUBLE, assert_near, assert_number, evaluate_at, number};
use elbo_core::{FieldError, Weight};
use elbo_objectives::capacity::{Capacity, Form, Target};
use elbo_objectives::{BetaVae, Estimator, Objective};
use serde_json::{Value, json};
use tch::Tensor;

const DATASET_LEN: i64 = 40;

/// `capacity` with some fields changed: γ = 10 and C = 2 from the first step, of the batch mean of the KL.
fn capacity(changes: &Value) -> Capacity {
    let mut config = json!({ "capacity_weight": 10.0, "start_capacity": 2.0, "max_capacity": 2.0, "ramp_steps": 1,
                             "form": "batch-mean", "target": "kl" });
    for (field, value) in changes.as_object().expect("an object") {
        config[field] = value.clone();
    }
    serde_json::from_value(config).expect("a configuration")
}

fn information(estimator: &str, changes: &Value) -> Capacity {
    let mut all = json!({ "target": "mutual-information", "estimator": estimator });
    for (field, value) in changes.as_object().expect("an object") {
        all[field] = value.clone();
    }
    capacity(&all)
}

/// Codes of one dimension whose KLs are the given numbers: σ = 1 and μ = √(2 KL).
fn of_kl(kl: &[f64]) -> Codes {
    let mean = (Tensor::from_slice(kl) * 2.0).sqrt().unsqueeze(1);
    Codes { log_var: Tensor::zeros(mean.size(), DOUBLE), z: mean.copy(), mean }
}

/// The distance under the modulus.
fn gap(codes: &Codes, objective: &Capacity, dataset_len: i64) -> f64 {
    number(codes.evaluate(objective, dataset_len).scalars.get("capacity_gap").expect("reported"))
}

/// KLs of 1 and 3 nats around C = 2: their mean is at the capacity, and each of them is 1 nat away. The note writes the second, the papers'
/// code does the first; |E − C| ≤ E|· − C| (Jensen), with equality where all examples are on one side.
#[test]
fn the_notes_modulus_and_the_papers_differ() {
    let (papers, notes) = (capacity(&json!({})), capacity(&json!({ "form": "per-sample" })));
    let around = of_kl(&[1.0, 3.0]);
    assert!((gap(&around, &papers, DATASET_LEN) - 0.0).abs() < 1e-12);
    assert!((gap(&around, &notes, DATASET_LEN) - 1.0).abs() < 1e-12);
    for one_side in [of_kl(&[2.5, 3.0, 7.0]), of_kl(&[0.0, 0.5, 1.9])] {
        assert!((gap(&one_side, &papers, DATASET_LEN) - gap(&one_side, &notes, DATASET_LEN)).abs() < 1e-12);
    }
    for seed in 0..20 {
        let codes = Codes::random(6, 3, 70 + seed);
        let (papers, notes) = (gap(&codes, &papers, DATASET_LEN), gap(&codes, &notes, DATASET_LEN));
        assert!(papers <= notes + 1e-12, "{papers} > {notes}");
    }
}

/// loss = reconstruction + γ · distance, below the capacity as above it.
#[test]
fn the_loss_is_the_reconstruction_and_the_weighted_distance() {
    for (kl, distance) in [([0.5, 1.0], 1.25), ([2.5, 4.5], 1.5)] {
        for form in ["batch-mean", "per-sample"] {
            let terms = of_kl(&kl).evaluate(&capacity(&json!({ "form": form })), DATASET_LEN);
            assert_number(terms.scalars.get("capacity_gap").expect("reported"), distance, 1e-12);
            let reconstruction = terms.scalars.get("reconstruction").expect("reported");
            assert_near(&terms.loss, &(reconstruction + 10.0 * distance), 1e-12);
        }
    }
}

/// Below its capacity the KL is pushed up, above it down: `∂loss/∂μ_i = ∓ γ μ_i / B`.
#[test]
fn the_kl_is_pushed_towards_the_capacity() {
    for (kl, sign) in [([0.5, 1.0], -1.0), ([2.5, 4.5], 1.0)] {
        let codes = of_kl(&kl);
        let mean = codes.mean.copy().set_requires_grad(true);
        let codes = Codes { mean: mean.shallow_clone(), ..codes };
        let loss = codes.evaluate(&capacity(&json!({})), DATASET_LEN).loss;
        let gradient = Tensor::run_backward(&[loss], &[&mean], false, false).remove(0);
        assert_near(&gradient, &(mean.detach() * (sign * 10.0 / 2.0)), 1e-12);
    }
}

/// C = 0 is β-VAE with β = γ, in value and gradient, in both forms: no KL is negative.
#[test]
fn no_capacity_is_a_beta_vae() {
    let codes = Codes::random(6, 3, 71).leaves();
    let gradients =
        |loss: &Tensor| Tensor::run_backward(&[loss], &[&codes.mean, &codes.log_var, &codes.z], false, false);
    let beta_vae = codes.evaluate(&BetaVae { beta: Weight::constant(10.0).expect("a weight") }, DATASET_LEN).loss;
    let expected = gradients(&beta_vae);
    for form in ["batch-mean", "per-sample"] {
        let objective = capacity(&json!({ "start_capacity": 0, "max_capacity": 0, "form": form }));
        let loss = codes.evaluate(&objective, DATASET_LEN).loss;
        assert_near(&loss, &beta_vae, 1e-12);
        for (gradient, expected) in gradients(&loss).iter().zip(&expected) {
            assert_near(gradient, expected, 1e-12);
        }
    }
}

/// C(t) of 1 → 25 over 1000 updates: at the start, half-way, at the end, and from there on. The KL of the codes is 2.
#[test]
fn the_capacity_rises_linearly_and_stays() {
    let codes = of_kl(&[2.0, 2.0]);
    let objective = capacity(&json!({ "start_capacity": 1, "max_capacity": 25, "ramp_steps": 1000 }));
    for (step, expected) in [(0, 1.0), (500, 13.0), (1000, 25.0), (1_000_000, 25.0)] {
        let scalars = evaluate_at(&objective, &codes.pass(), DATASET_LEN, step).scalars;
        assert_number(scalars.get("schedule/capacity").expect("reported"), expected, 0.0);
        assert_number(scalars.get("capacity_gap").expect("reported"), (2.0_f64 - expected).abs(), 1e-12);
    }
}

/// Codes far apart carry ln N, equal ones nothing: what the estimators say of the whole data set, at the means, where log q(z|x) is
/// `log N(0; 0, σ²)` and log q(z) is that minus ln N, or the same.
#[test]
fn the_mutual_information_of_known_codes() {
    let apart = Tensor::arange(4, DOUBLE).unsqueeze(1) * 1e3;
    let codes = |mean: Tensor| Codes { log_var: Tensor::zeros(mean.size(), DOUBLE), z: mean.copy(), mean };
    let (apart, equal) = (codes(apart.copy()), codes(apart.zeros_like()));
    for estimator in ["exact", "balanced", "uniform"] {
        for form in ["batch-mean", "per-sample"] {
            let objective =
                information(estimator, &json!({ "form": form, "start_capacity": 0.5, "max_capacity": 0.5 }));
            assert!((gap(&apart, &objective, 4) - (4.0_f64.ln() - 0.5)).abs() < 1e-12, "{estimator}");
            assert!((gap(&equal, &objective, 4) - 0.5).abs() < 1e-12, "{estimator}");
        }
    }
}

/// At B = N the mutual information is a plain mean over all pairs, here written out in loops over numbers.
#[test]
fn the_exact_mutual_information_is_the_sum_over_all_pairs() {
    let codes = Codes::random(5, 2, 72);
    let values = |t: &Tensor| Vec::<Vec<f64>>::try_from(t).expect("numbers");
    let (mean, log_var, z) = (values(&codes.mean), values(&codes.log_var), values(&codes.z));
    let density = |i: usize, j: usize| -> f64 {
        let one = |d: usize| {
            let variance = log_var[j][d].exp();
            (-(z[i][d] - mean[j][d]).powi(2) / (2.0 * variance)).exp() / (2.0 * std::f64::consts::PI * variance).sqrt()
        };
        one(0) * one(1)
    };
    let pointwise: Vec<f64> =
        (0..5).map(|i| (density(i, i) / ((0..5).map(|j| density(i, j)).sum::<f64>() / 5.0)).ln()).collect();
    let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    for estimator in ["exact", "balanced"] {
        let terms = codes.evaluate(&information(estimator, &json!({ "start_capacity": 0, "max_capacity": 1 })), 5);
        let name = format!("estimate/mutual_information_{estimator}");
        assert_number(terms.scalars.get(&name).expect("reported"), mean_of(&pointwise), 1e-12);
        // Step 0, where C = 0.
        assert_number(terms.scalars.get("capacity_gap").expect("reported"), mean_of(&pointwise).abs(), 1e-12);
        let objective =
            information(estimator, &json!({ "start_capacity": 1, "max_capacity": 1, "form": "per-sample" }));
        let distances: Vec<f64> = pointwise.iter().map(|value| (value - 1.0).abs()).collect();
        assert!((gap(&codes, &objective, 5) - mean_of(&distances)).abs() < 1e-12);
    }
}

/// With C = 0 and both weights 1, I + KL(q(z) ‖ p(z)) is the sampled KL, whatever the estimator: minus the sampled ELBO. Without the
/// aggregate term only I is left.
#[test]
fn the_aggregate_kl_completes_the_elbo() {
    let codes = Codes::random(6, 3, 73);
    let log_p = elbo_core::posterior::standard_normal_log_density(&codes.z);
    let sampled_kl = (codes.gaussian().log_density(&codes.z) - log_p).mean(None);
    let reconstruction = -codes.pass().log_likelihood().mean(None);
    let none = json!({ "capacity_weight": 1, "start_capacity": 0, "max_capacity": 0 });
    for estimator in ["uniform", "mss", "balanced"] {
        let mut both = none.clone();
        both["aggregate_kl_weight"] = json!(1);
        let terms = codes.evaluate(&information(estimator, &both), DATASET_LEN);
        let mutual_information =
            terms.scalars.get(&format!("estimate/mutual_information_{estimator}")).expect("reported");
        assert!(number(mutual_information) > 0.0, "the modulus does nothing here");
        assert_near(&terms.loss, &(&reconstruction + &sampled_kl), 1e-12);
        let aggregate = terms.scalars.get(&format!("estimate/aggregate_kl_{estimator}")).expect("reported");
        assert_near(aggregate, &(&sampled_kl - mutual_information), 1e-12);
        let bare = codes.evaluate(&information(estimator, &none), DATASET_LEN).loss;
        assert_near(&bare, &(&reconstruction + mutual_information), 1e-12);
    }
}

/// Holding the KL at C bounds the mutual information from above, which is not what the note says of it: codes that ignore their examples
/// have a KL of C and no information at all.
#[test]
fn a_kl_at_its_capacity_says_nothing_of_the_information_from_below() {
    let codes = of_kl(&[2.0, 2.0, 2.0, 2.0]);
    assert!(gap(&codes, &capacity(&json!({})), 4) < 1e-12);
    let reported = codes.evaluate(&information("exact", &json!({ "start_capacity": 1, "max_capacity": 1 })), 4).scalars;
    assert_number(reported.get("estimate/mutual_information_exact").expect("reported"), 0.0, 1e-12);
    assert_number(reported.get("capacity_gap").expect("reported"), 1.0, 1e-12);
}

/// The names of the curves, in order.
#[test]
fn reported_names() {
    let codes = Codes::random(6, 3, 74);
    let names = |objective: &Capacity| -> Vec<String> {
        codes.evaluate(objective, DATASET_LEN).scalars.entries().iter().skip(4).map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&capacity(&json!({}))), ["capacity_gap", "schedule/capacity"]);
    let ramp = json!({ "schedule": "linear", "from": 0, "to": 1, "steps": 10 });
    let all = information("mss", &json!({ "capacity_weight": ramp, "aggregate_kl_weight": ramp }));
    assert_eq!(
        names(&all),
        [
            "capacity_gap",
            "estimate/mutual_information_mss",
            "estimate/aggregate_kl_mss",
            "schedule/capacity",
            "schedule/capacity_weight",
            "schedule/aggregate_kl_weight"
        ]
    );
}

#[track_caller]
fn assert_refused(objective: &Capacity, batch: i64, field: &str, words: &str) {
    let error = objective.check(batch, DATASET_LEN, 3).expect_err("this must be refused");
    let error = error.downcast_ref::<FieldError>().expect("the field is named");
    assert_eq!(error.field, field);
    assert!(error.message.starts_with("expected ") && error.message.contains(words), "{}", error.message);
}

/// Settings that parse and do not fit each other, the batch or the data.
#[test]
fn settings_that_do_not_fit_are_refused_by_their_field() {
    assert!(capacity(&json!({})).check(1, 1, 1).is_ok());
    assert!(information("balanced", &json!({})).check(8, DATASET_LEN, 3).is_ok());
    assert!(information("uniform", &json!({})).check(8, DATASET_LEN, 3).is_ok());
    assert_refused(&capacity(&json!({ "start_capacity": 3 })), 8, "start_capacity", "at most max_capacity, 2, got 3");
    let unasked = capacity(&json!({ "estimator": "mss" }));
    assert_refused(&unasked, 8, "estimator", "no estimator, for the target is kl");
    let unasked = capacity(&json!({ "aggregate_kl_weight": 1 }));
    assert_refused(&unasked, 8, "aggregate_kl_weight", "no aggregate_kl_weight, for the target is kl");
    let unnamed = capacity(&json!({ "target": "mutual-information" }));
    assert_refused(
        &unnamed,
        8,
        "estimator",
        "one of uniform, mss, balanced, exact, which the target mutual-information needs",
    );
    assert_refused(
        &information("mws", &json!({})),
        8,
        "estimator",
        "the constants of mws shift the mutual information by ln N",
    );
}

/// ln 8 = 2.08 and ln 40 = 3.69: no estimator reads more, so that the distance from more would never close.
#[test]
fn a_capacity_beyond_what_can_be_read_is_refused() {
    let more = json!({ "max_capacity": 2.1 });
    assert_refused(
        &information("uniform", &more),
        8,
        "max_capacity",
        "at most 2.0794 nats, the logarithm of 8, the most that uniform",
    );
    assert!(information("uniform", &more).check(9, DATASET_LEN, 3).is_ok());
    assert!(information("mss", &more).check(8, DATASET_LEN, 3).is_ok());
    let most = information("balanced", &json!({ "max_capacity": 25 }));
    assert_refused(&most, 8, "max_capacity", "at most 3.6889 nats, the logarithm of 40");
    // The KL has no such bound.
    assert!(capacity(&json!({ "max_capacity": 25 })).check(8, DATASET_LEN, 3).is_ok());
}

/// A batch from which q(z) cannot be estimated is refused as for β-TCVAE; the KL needs no other row.
#[test]
fn a_batch_that_does_not_fit_the_estimator_is_refused() {
    let objective = information("mss", &json!({}));
    assert!(
        objective
            .check(1, DATASET_LEN, 3)
            .expect_err("one row")
            .to_string()
            .starts_with("expected a batch of at least 2")
    );
    assert!(objective.check(41, DATASET_LEN, 3).is_err());
    assert!(information("exact", &json!({})).check(8, DATASET_LEN, 3).is_err());
    assert!(capacity(&json!({})).check(1, DATASET_LEN, 3).is_ok());
}

/// What it reads and writes, and what it says of a field that is wrong.
#[test]
fn its_fields_are_read_written_and_refused_with_a_line() {
    let text = r#"{"capacity_weight":1000.0,"start_capacity":0.0,"max_capacity":25.0,"ramp_steps":100000,"form":"batch-mean","target":"kl"}"#;
    let read: Capacity = serde_json::from_str(text).expect("a configuration");
    assert_eq!((read.form, read.target, read.estimator), (Form::BatchMean, Target::Kl, None));
    assert_eq!(serde_json::to_string(&read).expect("JSON"), text);
    let all = information("mss", &json!({ "aggregate_kl_weight": 1 }));
    assert_eq!((all.target, all.estimator), (Target::MutualInformation, Some(Estimator::Mss)));
    let again: Capacity = serde_json::from_value(serde_json::to_value(all).expect("JSON")).expect("a configuration");
    assert_eq!(again, all);
    let refusal = |field: &str, value: Value| {
        let mut config: Value = serde_json::from_str(text).expect("JSON");
        config[field] = value;
        serde_json::from_value::<Capacity>(config).expect_err("refused").to_string()
    };
    assert_eq!(refusal("capacity_weight", json!(-1)), "expected a finite number ≥ 0, got -1");
    assert_eq!(refusal("start_capacity", json!(-1)), "expected a finite number ≥ 0, got -1");
    assert_eq!(refusal("max_capacity", json!("25")), "expected a finite number ≥ 0, got \"25\"");
    assert_eq!(refusal("ramp_steps", json!(0)), "expected an integer ≥ 1, got 0");
    assert_eq!(refusal("form", json!("mean")), "expected one of batch-mean, per-sample, got \"mean\"");
    assert_eq!(refusal("target", json!("mi")), "expected one of kl, mutual-information, got \"mi\"");
    assert!(refusal("estimator", json!("best")).starts_with("expected one of mws, "));
    assert_eq!(refusal("aggregate_kl_weight", json!(-2)), "expected a finite number ≥ 0, got -2");
    assert!(refusal("gamma", json!(1)).contains("unknown field `gamma`"));
}
