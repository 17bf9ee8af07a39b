//! A foreign objective gets what the built-in ones have: flags, curves, checkpoints, resume, and tools that open its runs.

use assert_cmd::Command;
use elbo_runner::TrainedRun;
use elbo_runner::checkpoint;
use serde_json::Value;
use std::fs;
use std::path::Path;

fn train(run: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("free-nats"));
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("free_nats_sprites.json");
    command.env("OMP_NUM_THREADS", "1").arg(config).arg("--run-dir").arg(run).args(["--device", "cpu", "--quiet"]);
    let subset = r#"data.subset={"orientation": "0..40/10", "position_x": "0,31", "position_y": "0,31"}"#;
    for change in [
        subset,
        "train.log_every=5",
        "train.checkpoint_every=10",
        "train.evaluate_subset=64",
        "train.evaluate_samples=16",
    ] {
        command.args(["--set", change]);
    }
    command
}

fn weights(run: &Path) -> Vec<u8> {
    let (_, newest) = checkpoint::list(&run.join("checkpoints")).expect("a list").remove(0);
    let bytes = fs::read(newest).expect("bytes");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("a checkpoint");
    tensors.tensor("encoder.head.weight").expect("the encoder's head").data().to_vec()
}

#[test]
fn a_foreign_objective_trains_resumes_and_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, halves) = (folder.path().join("whole"), folder.path().join("halves"));
    train(&whole).args(["--set", "train.steps=20"]).assert().success();
    train(&halves).args(["--set", "train.steps=10"]).assert().success();
    train(&halves).args(["--set", "train.steps=20", "--resume"]).assert().success();
    assert!(weights(&halves) == weights(&whole));

    let summary: Value =
        serde_json::from_slice(&fs::read(whole.join("summary.json")).expect("a summary")).expect("JSON");
    for tag in ["train/elbo", "train/paid_kl", "train/kl_per_dimension/9", "evaluate/total_correlation/subset_64"] {
        assert!(summary["scalars"][tag].is_number(), "{tag}: {summary}");
    }
    let opened = TrainedRun::open(&whole, None, &mut |_| {}).expect("opened without knowing the method");
    assert_eq!((opened.step, opened.vae.latent()), (20, 10));
}

#[test]
fn a_wrong_field_of_a_foreign_method_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = train(&folder.path().join("run")).args(["--set", "method.free_nats=-1"]).assert().code(2);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(errors.contains("method.free_nats: expected a finite number ≥ 0, got -1"), "{errors}");
    let output = train(&folder.path().join("run")).args(["--set", "method.name=elbo"]).assert().code(2);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    assert!(errors.contains("method.name: expected one of free-nats, got \"elbo\""), "{errors}");
}
