//! Bad input: one line, exit code 2, nothing changed on disk.

mod common;

use common::{Bench, binary, refusal, snapshot};
use serde_json::json;
use std::fs;

#[test]
fn a_wrong_configuration_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let file = bench.config().display().to_string();
    let cases = [
        ("method.tc_weight=-4", "method.tc_weight: expected a finite number ≥ 0, got -4".to_owned()),
        ("method.name=tcvae", "method.name: expected one of elbo, beta-vae, beta-tcvae, capacity, free-bits, iwae, sticking-the-landing, info-vae, wae-mmd, dip-vae, hsic-vae, hfvae, factor-vae, vae-gan, aae, wae-gan, info-vae-gan, avb, got \"tcvae\"".to_owned()),
        ("method.estimator=best", "method.estimator: expected one of mws, uniform, mss, balanced, exact, got \"best\"".to_owned()),
        ("model.depth=3", "model.depth: unknown field; expected one of network, latent, likelihood, sigma, encoder_hidden, encoder_activation, decoder_hidden, decoder_activation, width, initialisation, posterior".to_owned()),
        ("train.log_every=0", "train.log_every: expected a whole number ≥ 1, got 0".to_owned()),
    ];
    let before = snapshot(&bench.path("."));
    for (change, expected) in cases {
        let line = refusal(bench.train("run").args(["--set", change]), 2);
        assert_eq!(line, format!("{file}: {expected}"));
        assert_eq!(snapshot(&bench.path(".")), before, "after {change}");
    }
}

#[test]
fn what_does_not_fit_the_data_is_refused_before_anything_is_written() {
    let bench = Bench::new();
    let file = bench.config().display().to_string();
    let before = snapshot(&bench.path("."));
    for (change, field) in [
        ("data.batch_size=100000", "data.batch_size: "),
        ("method.estimator=exact", "data.batch_size: expected a batch of all the "),
        ("data.batch_size=1", "data.batch_size: expected a batch of at least 2, because q(z) is estimated from"),
        (
            "train.evaluate_subset=1",
            "train.evaluate_subset: too few examples to evaluate: expected a batch of at least 2, ",
        ),
    ] {
        let line = refusal(bench.train("run").args(["--set", change]), 2);
        assert!(line.starts_with(&format!("{file}: {field}")), "{line}");
        assert_eq!(snapshot(&bench.path(".")), before, "after {change}");
    }
}

#[test]
fn a_missing_or_broken_file_is_named() {
    let bench = Bench::new();
    let missing = bench.path("missing.json");
    let line = refusal(binary("train").arg(&missing), 2);
    assert_eq!(line, format!("{}: cannot be read: No such file or directory (os error 2)", missing.display()));
    let broken = bench.path("broken.json");
    fs::write(&broken, "{ \"name\": ").expect("written");
    let line = refusal(binary("train").arg(&broken), 2);
    assert!(
        line.starts_with(&format!("{}: not valid JSON: ", broken.display())) && line.contains("line 1 column 10"),
        "{line}"
    );
    bench.configure(&[("data", json!({ "source": "npz", "batch_size": 4, "path": bench.path("missing.npz") }))]);
    let line = refusal(&mut bench.train("run"), 2);
    assert!(line.contains("missing.npz"), "{line}");
    assert!(!bench.path("run").exists());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "").expect("written");
    let before = snapshot(&bench.path("."));
    for run in ["file/run", "file"] {
        let line = refusal(&mut bench.train(run), 2);
        assert!(line.starts_with(&bench.path(run).display().to_string()), "{line}");
        assert_eq!(snapshot(&bench.path(".")), before);
    }
}

#[test]
fn an_existing_run_is_never_overwritten() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    let before = snapshot(&bench.path("run"));
    let line = refusal(&mut bench.train("run"), 2);
    let run = bench.path("run").display().to_string();
    assert_eq!(line, format!("{run}: already holds a run; --resume continues it, --run-dir DIRECTORY starts another"));
    let line = refusal(bench.train("run").args(["--resume", "--set", "method.tc_weight=2"]), 2);
    assert!(
        line.contains("method.tc_weight") && line.ends_with("only train.* may change when a run is resumed"),
        "{line}"
    );
    let line = refusal(bench.train("run").args(["--resume", "--set", "seed=4"]), 2);
    assert!(line.contains("seed: is 4, but 3 in "), "{line}");
    assert_eq!(snapshot(&bench.path("run")), before);
}

#[test]
fn a_locked_run_is_left_alone() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    let before = snapshot(&bench.path("run"));
    let lock = elbo_runner::directory::RunDirectory::open(&bench.path("run")).expect("locked by this test");
    let line = refusal(bench.train("run").arg("--resume"), 2);
    assert!(line.ends_with("is in use by another process; wait for it, or give this run another --run-dir"), "{line}");
    assert_eq!(snapshot(&bench.path("run")), before);
    drop(lock);
    bench.train("run").arg("--resume").assert().success();
}

#[test]
fn cuda_where_there_is_none_is_refused_with_the_reason() {
    let bench = Bench::new();
    let mut command = bench.train("run");
    let line = refusal(command.args(["--device", "cuda"]).env("ELBO_CUDA", "0"), 2);
    assert!(line.starts_with("device: no CUDA device can be used: "), "{line}");
    assert!(!bench.path("run").exists());
}

#[test]
fn command_lines_that_make_no_sense_are_refused() {
    let bench = Bench::new();
    for arguments in [&["--steps", "3"][..], &[], &["--resume"], &["--resume", "--set", "seed=3"]] {
        binary("train").args(arguments).current_dir(bench.path(".")).assert().code(2);
    }
}
