//! What a person reads when a configuration is wrong, word for word.

use elbo_core::NonNegative;
use elbo_runner::RunConfig;
use elbo_runner::config::Override;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weights {
    tc_weight: NonNegative,
}

elbo_runner::methods! {
    enum Methods { "weights" => Weights(Weights) }
}

fn good() -> Value {
    json!({
        "name": "test", "seed": 1, "device": "auto", "precision": "float32",
        "data": { "source": "sprites", "batch_size": 64 },
        "model": { "network": "burgess", "latent": 10, "likelihood": "bernoulli" },
        "method": { "name": "weights", "tc_weight": 6.0 },
        "optimizer": { "name": "adam", "learning_rate": 5e-4 },
        "train": { "steps": 10, "log_every": 1, "images_every": 0, "evaluate_every": 0, "score_every": 0,
                   "checkpoint_every": 5, "capture": "auto" }
    })
}

/// The line that refuses the good configuration after `changes`.
fn refusal(changes: &[&str]) -> String {
    let mut value = good();
    for change in changes {
        change.parse::<Override>().expect("an override").apply(&mut value).expect("an object");
    }
    RunConfig::<Methods>::from_value(value, "run.json").expect_err("a refusal").to_string()
}

#[test]
fn a_good_configuration_survives_a_round_trip() {
    let config = RunConfig::<Methods>::from_value(good(), "run.json").expect("good");
    let again = serde_json::to_value(&config).expect("JSON");
    let twice = RunConfig::<Methods>::from_value(again.clone(), "run.json").expect("good");
    assert_eq!(serde_json::to_value(&twice).expect("JSON"), again);
    assert_eq!(again["method"], json!({ "name": "weights", "tc_weight": 6.0 }));
}

#[test]
fn errors_name_file_field_and_what_was_expected() {
    let cases: &[(&[&str], &str)] = &[
        (&["method.tc_weight=-4"], "run.json: method.tc_weight: expected a finite number ≥ 0, got -4"),
        (&["method.tc_weight=six"], "run.json: method.tc_weight: expected a finite number ≥ 0, got \"six\""),
        (&["method.mi_weight=1"], "run.json: method.mi_weight: unknown field; expected one of tc_weight"),
        (&["method.name=vae"], "run.json: method.name: expected one of weights, got \"vae\""),
        (&["method.name=3"], "run.json: method.name: expected one of weights, got 3"),
        (&["method={}"], "run.json: method.name: missing; expected one of weights"),
        (&["train.steps=-1"], "run.json: train.steps: expected a whole number ≥ 0, got -1"),
        (&["train.steps=0"], "run.json: train.steps: expected a whole number ≥ 1, got 0"),
        (&["train.steps=many"], "run.json: train.steps: expected a whole number ≥ 0, got \"many\""),
        (
            &["train.score_every=5", "train.scores=[]"],
            "run.json: train.scores: expected at least one score, because score_every is not 0",
        ),
        (&["train.capture=maybe"], "run.json: train.capture: expected one of auto, on, off, got \"maybe\""),
        (&["precision=float16"], "run.json: precision: expected one of float32, tf32, bfloat16, got \"float16\""),
        (&["device=gpu"], "run.json: device: expected auto, cpu, cuda or cuda:INDEX, got \"gpu\""),
        (
            &["data.source=cifar"],
            "run.json: data.source: expected one of sprites, npz, idx, mnist, fashion-mnist, images, got \"cifar\"",
        ),
        (&["model.latent=0"], "run.json: model.latent: expected an integer ≥ 1, got 0"),
        (
            &["model.network=vgg"],
            "run.json: model.network: expected one of burgess, locatello, vae-gan, mlp, got \"vgg\"",
        ),
        (
            &["name=../escape"],
            "run.json: name: expected letters, digits, '.', '_' and '-', not starting with '.', got \"../escape\"",
        ),
        (&["model=5"], "run.json: model: expected an object, got 5"),
    ];
    for (changes, expected) in cases {
        assert_eq!(refusal(changes), *expected, "after {changes:?}");
    }
}

#[test]
fn a_missing_field_is_named_with_its_path() {
    for (object, field) in [("train", "steps"), ("method", "tc_weight"), ("optimizer", "learning_rate")] {
        let mut value = good();
        value[object].as_object_mut().expect("an object").remove(field);
        let error = RunConfig::<Methods>::from_value(value, "run.json").expect_err("a refusal").to_string();
        assert_eq!(error, format!("run.json: {object}.{field}: missing"));
    }
}

#[test]
fn an_unknown_field_is_refused_with_the_known_ones() {
    let error = refusal(&["train.stepz=3"]);
    assert!(error.starts_with("run.json: train.stepz: unknown field; expected one of steps, log_every, "), "{error}");
    let error = refusal(&["data.batchsize=3"]);
    assert!(
        error.starts_with("run.json: data.batchsize: unknown field; expected one of source, batch_size, "),
        "{error}"
    );
}

#[test]
fn overrides_are_json_or_words() {
    let mut value = good();
    for change in ["train.steps=20", "name=other", "method.tc_weight=2.5", "data.subset={\"scale\": [5]}"] {
        change.parse::<Override>().expect("an override").apply(&mut value).expect("an object");
    }
    assert_eq!(value["train"]["steps"], 20);
    assert_eq!(value["name"], "other");
    assert_eq!(value["method"]["tc_weight"], 2.5);
    assert_eq!(value["data"]["subset"]["scale"][0], 5);
    assert!("train.steps".parse::<Override>().is_err());
    assert!("train..steps=3".parse::<Override>().is_err());
    let through_a_number = "train.steps.deep=1".parse::<Override>().expect("an override").apply(&mut value);
    assert_eq!(through_a_number.expect_err("a refusal"), "'train.steps' is not an object");
}
