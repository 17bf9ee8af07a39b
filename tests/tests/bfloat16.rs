//! Training with networks in bfloat16. A file of its own, and one test: the precision is the whole process's.

use elbo_native::testing::single_thread;
use elbo_runner::Event;
use elbo_tests::contract::check;
use elbo_tests::{finish, kinds, open};
use serde_json::{Value, json};
use tch::Kind;

/// The scalars of the first step, which are of the parameters before it.
fn first_step(config: &Value, precision: &str) -> Vec<(String, f64)> {
    let mut config = config.clone();
    config["precision"] = json!(precision);
    config["train"]["log_every"] = json!(1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = open(&config, &folder.path().join("run"));
    let scalars = loop {
        if let Event::Logged { scalars, .. } = run.advance().expect("a step") {
            break scalars;
        }
    };
    for (name, tensor) in run.algorithm().state() {
        assert_ne!(tensor.kind(), Kind::BFloat16, "{name} is kept in bfloat16");
    }
    scalars
}

/// On a GPU the networks are captured as they are: losses as operator by operator, to rounding.
fn check_capture(config: &Value) {
    let status = elbo_native::initialise();
    if !status.is_loaded() || !tch::Cuda::is_available() {
        println!("skipped: {status}");
        return;
    }
    let losses = ["on", "off"].map(|capture| {
        let mut config = config.clone();
        config["device"] = json!("cuda");
        config["precision"] = json!("bfloat16");
        config["train"]["capture"] = json!(capture);
        let folder = tempfile::tempdir().expect("a folder");
        let mut run = open(&config, &folder.path().join("run"));
        finish(&mut run);
        assert_eq!(run.graph_nodes().is_some(), capture == "on");
        let (_, loss) = run.latest().iter().find(|(tag, _)| tag == "train/loss").expect("a loss").clone();
        loss
    });
    assert!((losses[0] - losses[1]).abs() < 0.02 * losses[1].abs(), "captured {}, single {}", losses[0], losses[1]);
}

#[test]
fn every_method_trains_with_networks_in_bfloat16_as_in_float32_up_to_rounding() {
    single_thread();
    let kinds = kinds();
    assert!(kinds.len() >= 20 && kinds.iter().any(|(name, _)| name == "beta_tcvae_mnist"), "{} kinds", kinds.len());
    for (name, config) in kinds {
        let (exact, rounded) = (first_step(&config, "float32"), first_step(&config, "bfloat16"));
        let value =
            |scalars: &[(String, f64)], tag: &str| scalars.iter().find(|(name, _)| name == tag).map(|(_, v)| *v);
        let (mut compared, mut differ) = (0, false);
        for tag in ["train/reconstruction", "train/kl", "train/loss", "train/elbo", "train/gradient_norm"] {
            let (Some(exact), Some(rounded)) = (value(&exact, tag), value(&rounded, tag)) else { continue };
            // Eight bits of mantissa: an output is off by less than a hundredth, and terms of a loss partly cancel.
            let error = (rounded - exact).abs() / exact.abs().max(1.0);
            assert!(error < 0.02, "{name}, {tag}: {exact} in float32, {rounded} in bfloat16");
            compared += 1;
            differ |= exact.to_bits() != rounded.to_bits();
        }
        assert!(compared > 0, "{name}: {exact:?}");
        assert!(differ, "{name}: nothing was rounded");
        if name == "beta_tcvae_mnist" {
            check_capture(&config);
        }
        let mut config = config;
        config["precision"] = json!("bfloat16");
        check(&format!("{name} in bfloat16"), &config);
    }
}
