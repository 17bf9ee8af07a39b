//! The struct of weights is the configuration: what it reads, and what it says when it does not.

use elbo_objectives::{BetaTcVae, BetaVae, Elbo, Estimator};
use serde::de::DeserializeOwned;

fn refusal<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
    let message = serde_json::from_str::<T>(json).expect_err("this must be refused").to_string();
    message.split(" at line").next().unwrap_or_default().to_owned()
}

#[test]
fn a_beta_tcvae_reads_and_writes_its_weights() {
    let json = r#"{"mi_weight":1.0,"tc_weight":{"schedule":"linear","from":0.0,"to":6.0,"steps":1000},"dw_kl_weight":1.0,"estimator":"mws"}"#;
    let objective: BetaTcVae = serde_json::from_str(json).expect("a configuration");
    assert_eq!(objective.estimator, Estimator::Mws);
    assert_eq!(serde_json::to_string(&objective).expect("JSON"), json);
}

#[test]
fn estimators_have_names() {
    for (name, estimator) in [
        ("mws", Estimator::Mws),
        ("uniform", Estimator::Uniform),
        ("mss", Estimator::Mss),
        ("balanced", Estimator::Balanced),
        ("exact", Estimator::Exact),
    ] {
        assert_eq!(serde_json::from_str::<Estimator>(&format!("\"{name}\"")).expect("a name"), estimator);
        assert_eq!(estimator.name(), name);
    }
    let refused = "expected one of mws, uniform, mss, balanced, exact, got \"Exact\"";
    assert_eq!(refusal::<Estimator>("\"Exact\""), refused);
}

#[test]
fn a_wrong_field_a_negative_weight_and_a_missing_one_are_refused() {
    let full = |tc: &str| format!(r#"{{"mi_weight":1,"tc_weight":{tc},"dw_kl_weight":1,"estimator":"mss"}}"#);
    assert_eq!(refusal::<BetaTcVae>(&full("-4")), "expected a finite number ≥ 0, got -4");
    assert!(
        refusal::<BetaTcVae>(r#"{"mi_weight":1,"tc_weight":6,"dw_kl_weight":1}"#).contains("missing field `estimator`")
    );
    assert!(refusal::<BetaVae>(r#"{"beta":4,"gamma":1}"#).contains("unknown field `gamma`"));
    assert!(refusal::<BetaVae>(r#"{"beta":1e999}"#).contains("number out of range"));
}

/// The ELBO has no weights: `{}`, and nothing else.
#[test]
fn the_elbo_reads_an_empty_object_only() {
    assert_eq!(serde_json::from_str::<Elbo>("{}").expect("nothing"), Elbo);
    assert_eq!(serde_json::to_string(&Elbo).expect("JSON"), "{}");
    assert!(refusal::<Elbo>(r#"{"beta":4}"#).contains("unknown field `beta`"));
}
