//! A foreign objective gets what the built-in ones have: flags, curves, checkpoints, resume, and tools that open its runs.

use assert_cmd::Command;
use elbo_runner::{TrainedRun, checkpoint};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// `renyi renyi_sprites.json`, shrunk to seconds.
fn train(run: &Path) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("renyi"));
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("renyi_sprites.json");
    command.env("OMP_NUM_THREADS", "1").arg(config).arg("--run-dir").arg(run).args(["--device", "cpu", "--quiet"]);
    for change in [
        r#"data.subset={"orientation": "0..40/10", "position_x": "0,31", "position_y": "0,31"}"#,
        "data.batch_size=16",
        "train.log_every=5",
        "train.checkpoint_every=10",
        "train.evaluate_subset=64",
        "train.evaluate_samples=16",
    ] {
        command.args(["--set", change]);
    }
    command
}

/// Every tensor of the newest checkpoint, bit for bit.
fn state(run: &Path) -> Vec<(String, Vec<u8>)> {
    let (_, newest) = checkpoint::list(&run.join("checkpoints")).expect("a list").remove(0);
    let bytes = fs::read(newest).expect("bytes");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("a checkpoint");
    let mut state: Vec<_> = tensors.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
    state.sort();
    state
}

#[test]
fn it_trains_resumes_and_opens() {
    let folder = tempfile::tempdir().expect("a folder");
    let (whole, halves) = (folder.path().join("whole"), folder.path().join("halves"));
    train(&whole).args(["--set", "train.steps=20"]).assert().success();
    train(&halves).args(["--set", "train.steps=10"]).assert().success();
    train(&halves).args(["--set", "train.steps=20", "--resume"]).assert().success();
    let (whole_state, halves_state) = (state(&whole), state(&halves));
    assert!(whole_state.len() > 20, "{} tensors", whole_state.len());
    for ((name, one), (_, other)) in whole_state.iter().zip(&halves_state) {
        assert!(one == other, "{name} differs after a resume");
    }

    let summary: Value =
        serde_json::from_slice(&fs::read(whole.join("summary.json")).expect("a summary")).expect("JSON");
    for tag in ["train/elbo", "train/renyi_bound", "train/kl_per_dimension/9", "evaluate/total_correlation/subset_64"] {
        assert!(summary["scalars"][tag].is_number(), "{tag}: {summary}");
    }
    let opened = TrainedRun::open(&whole, None, &mut |_| {}).expect("opened without knowing the method");
    assert_eq!((opened.step, opened.vae.latent()), (20, 10));
}

#[test]
fn a_wrong_field_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("run");
    for (change, words) in [
        ("method.alpha=1", "method.alpha: expected a number other than 1 (at 1 the bound is the ELBO"),
        ("method.alpha=\"half\"", "method.alpha: expected a number other than 1"),
        ("method.samples=0", "method.samples: expected an integer ≥ 1, got 0"),
        ("method.name=elbo", "method.name: expected one of renyi, got \"elbo\""),
        ("method.order=2", "method.order: unknown field"),
    ] {
        let output = train(&run).args(["--set", change]).assert().code(2);
        let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
        assert!(errors.contains(words), "{change}: {errors}");
    }
    assert!(!run.exists(), "a refused run leaves nothing behind");
}
