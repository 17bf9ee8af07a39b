//! A loss that is not finite stops the run, with what is needed to find out why.

mod common;

use common::{Bench, newest_state, refusal};
use serde_json::{Value, json};
use std::fs;

/// A learning rate of 1e30 makes the second loss infinite or NaN: that update is skipped, the run stops at the log point of step 3,
/// and the checkpoint of step 1 stays the newest.
#[test]
fn a_loss_that_is_not_finite_ends_the_run_with_its_terms() {
    let bench = Bench::new();
    bench.configure(&[
        ("optimizer.learning_rate", json!(1e30)),
        ("train.checkpoint_every", json!(1)),
        ("train.log_every", json!(3)),
    ]);
    let line = refusal(bench.train("run").arg("--quiet"), 3);
    assert!(line.contains("was not finite") && line.contains("divergence.json"), "{line}");
    let report: Value =
        serde_json::from_slice(&fs::read(bench.path("run/divergence.json")).expect("a report")).expect("JSON");
    assert_eq!(report["step"], 2, "{report}");
    let indices = report["batch_indices"].as_array().expect("indices");
    assert_eq!(indices.len(), 16);
    assert!(report["terms"]["loss"].is_string(), "a loss that is not finite is a word: {report}");
    assert!(report["terms"]["gradient_norm"] != Value::Null, "{report}");
    assert_eq!(report["last_good_checkpoint"], "checkpoints/step-1.safetensors");
    let summary: Value =
        serde_json::from_slice(&fs::read(bench.path("run/summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["status"], "diverged");
    for (name, bytes) in newest_state(&bench.path("run")) {
        if name.starts_with("encoder.") || name.starts_with("decoder.") {
            let finite =
                bytes.chunks(4).all(|four| f32::from_le_bytes(four.try_into().expect("four bytes")).is_finite());
            assert!(finite, "{name}");
        }
    }
}
