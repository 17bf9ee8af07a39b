//! What `TensorBoard`'s own reader finds in a run's event files.

mod common;

use common::Bench;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// `make setup` puts TensorBoard into `.venv`; with a libtorch of one's own and no such environment there is nothing to compare with.
#[test]
fn tensorboard_reads_every_kind_of_record_where_it_is_installed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let python = root.join(".venv/bin/python");
    if !python.exists() {
        println!("skipped: no .venv with TensorBoard (make setup)");
        return;
    }
    let bench = Bench::new();
    bench.train("run").arg("--quiet").assert().success();
    let output =
        Command::new(python).arg(root.join("scripts/read_events.py")).arg(bench.path("run")).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");

    let elbo = found["scalars"]["train/elbo"].as_array().expect("a curve");
    let steps: Vec<u64> = elbo.iter().map(|point| point[0].as_u64().expect("a step")).collect();
    assert_eq!(steps, [3, 6, 9, 12, 15, 18, 20]);
    for tag in [
        "train/loss",
        "train/reconstruction",
        "train/kl_per_dimension/0",
        "train/estimate/mutual_information_mws",
        "train/estimate/mutual_information_uniform",
        "evaluate/mutual_information/subset_64",
        "evaluate/total_correlation/subset_64",
        "evaluate/dimension_wise_kl/subset_64",
        "schedule/tc_weight",
        "schedule/learning_rate",
        "speed/steps_per_second",
    ] {
        assert!(found["scalars"][tag].is_array(), "{tag} is missing: {found}");
    }
    for tag in ["pictures/reconstructions", "pictures/prior_samples", "pictures/traversals"] {
        let pictures = found["images"][tag].as_array().unwrap_or_else(|| panic!("{tag} is missing"));
        assert_eq!(pictures.len(), 2, "{tag}");
        assert!(pictures[0]["width"].as_u64().expect("a width") > 64, "{tag}");
    }
    for tag in ["posterior_mean/0", "posterior_scale/2"] {
        assert_eq!(found["histograms"][tag], 2, "{tag}");
    }
    let texts = found["text"].as_object().expect("texts");
    assert!(texts.values().any(|text| text.to_string().contains("tc_weight")), "{texts:?}");
    assert_eq!(found["hparams"]["session_start"]["hparams"]["method.name"], "beta-tcvae", "{}", found["hparams"]);
}
