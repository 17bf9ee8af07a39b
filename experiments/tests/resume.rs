//! Resume equals never having stopped, bit for bit.

mod common;

use common::{Bench, binary, copy, curves, newest_state, refusal, snapshot};
use elbo_runner::records::purge::read_events;
use serde_json::json;
use std::fs;
use std::path::Path;

/// What `TensorBoard` would read, but speeds and the row in the HPARAMS table, which is written anew: (step, tag, bits of a scalar).
fn events(run: &Path) -> Vec<(i64, String, Option<u32>)> {
    let mut points = Vec::new();
    for event in read_events(run).expect("events") {
        let kept =
            event.values.into_iter().filter(|(tag, _)| !tag.starts_with("speed/") && !tag.starts_with("_hparams_"));
        points.extend(kept.map(|(tag, value)| (event.step, tag, value.map(f32::to_bits))));
    }
    points
}

/// 40 steps with a checkpoint every 7, log windows of 3 that no checkpoint divides, epochs that end at steps 72/16: the run is
/// stopped at every checkpoint in turn, and each continuation must end in the same bits and the same curves.
#[test]
fn resume_at_any_checkpoint_equals_an_uninterrupted_run() {
    let bench = Bench::new();
    bench.configure(&[("train.steps", json!(40)), ("data.subset.scale", json!("0..6/2"))]);
    let whole = bench.path("whole");
    bench.train("whole").arg("--quiet").assert().success();
    for stop in [7, 14, 21, 28, 35] {
        let name = format!("stopped-{stop}");
        let run = bench.path(&name);
        copy(&whole, &run);
        for step in [7, 14, 21, 28, 35, 40].into_iter().filter(|step| *step > stop) {
            fs::remove_file(run.join(format!("checkpoints/step-{step}.safetensors"))).expect("removed");
        }
        bench.train(&name).args(["--quiet", "--resume"]).assert().success();
        assert!(newest_state(&run) == newest_state(&whole), "state after a stop at {stop}");
        assert_eq!(curves(&run), curves(&whole), "metrics.csv after a stop at {stop}");
        assert_eq!(events(&run), events(&whole), "event files after a stop at {stop}");
    }
}

#[test]
fn a_finished_run_says_so_and_a_longer_one_goes_on() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    let before = newest_state(&bench.path("run"));
    let again = bench.train("run").arg("--resume").assert().success();
    let said = String::from_utf8_lossy(&again.get_output().stderr).into_owned();
    assert!(said.contains("all 20 steps are done"), "{said}");
    assert!(newest_state(&bench.path("run")) == before);
    bench.train("run").args(["--resume", "--set", "train.steps=25"]).assert().success();
    assert!(bench.path("run/checkpoints/step-25.safetensors").exists());
    let summary: serde_json::Value =
        serde_json::from_slice(&fs::read(bench.path("run/summary.json")).expect("a summary")).expect("JSON");
    assert_eq!((&summary["status"], &summary["steps"]), (&json!("finished"), &json!(25)));
}

#[test]
fn resume_without_a_configuration_uses_the_stored_one() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    binary("train").arg("--resume").arg("--run-dir").arg(bench.path("run")).assert().success();
}

#[test]
fn resume_with_nothing_there_starts_and_says_so() {
    let bench = Bench::new();
    let started = bench.train("new").arg("--resume").assert().success();
    let said = String::from_utf8_lossy(&started.get_output().stderr).into_owned();
    assert!(said.contains("nothing to resume"), "{said}");
}

#[test]
fn a_damaged_newest_checkpoint_is_named_and_the_one_before_it_used() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    let whole = newest_state(&bench.path("run"));
    let newest = bench.path("run/checkpoints/step-20.safetensors");
    damage(&newest);
    let resumed = bench.train("run").arg("--resume").assert().success();
    let said = String::from_utf8_lossy(&resumed.get_output().stderr).into_owned();
    assert!(said.contains("warning: ") && said.contains("step-20.safetensors: is damaged"), "{said}");
    assert!(said.contains("resumed after step 14"), "{said}");
    assert!(newest_state(&bench.path("run")) == whole);
}

fn damage(file: &Path) {
    let mut bytes = fs::read(file).expect("bytes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("damaged");
}

/// Two steps past a damaged checkpoint of step 20, with one checkpoint kept: it must be the good one of step 16.
#[test]
fn a_damaged_checkpoint_never_pushes_a_good_one_out() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    damage(&bench.path("run/checkpoints/step-20.safetensors"));
    let changes = ["--resume", "--quiet", "--set", "train.steps=16", "--set", "train.keep_checkpoints=1"];
    bench.train("run").args(changes).assert().success();
    newest_state(&bench.path("run"));
    assert!(bench.path("run/checkpoints/step-16.safetensors").exists());
    assert!(bench.path("run/checkpoints/step-20.safetensors.damaged").exists());
}

#[test]
fn a_run_without_any_good_checkpoint_is_refused_and_keeps_its_curves() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    for step in [7, 14, 20] {
        damage(&bench.path(&format!("run/checkpoints/step-{step}.safetensors")));
    }
    let before = snapshot(&bench.path("run"));
    let line = refusal(bench.train("run").arg("--resume"), 2);
    assert!(line.contains("no checkpoint can be used: ") && line.contains("step-20.safetensors: is damaged"), "{line}");
    assert_eq!(snapshot(&bench.path("run")), before);
}
