//! Runs that are stopped from outside: nothing that was reported saved is lost.

mod common;

use common::{Bench, curves, environment, newest_state, program};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn start(bench: &Bench, run: &str) -> Child {
    Command::new(program("train"))
        .arg(bench.config())
        .arg("--run-dir")
        .arg(bench.path(run))
        .args(["--resume", "--quiet"])
        .envs(environment())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started")
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

fn checkpoints(run: &Path) -> usize {
    fs::read_dir(run.join("checkpoints")).map_or(0, Iterator::count)
}

/// Twenty kills at moments spread over a run that writes a checkpoint every third step: whatever was being written, the next process
/// goes on from a good state, and the run ends in the same bits and curves as one that was left alone.
#[test]
fn sigkill_at_random_moments_always_leaves_a_good_state() {
    let bench = Bench::new();
    bench.configure(&[
        ("train.steps", json!(5000)),
        ("train.checkpoint_every", json!(3)),
        ("train.evaluate_every", json!(100)),
        ("train.images_every", json!(150)),
        ("train.keep_checkpoints", json!(3)),
    ]);
    bench.train("whole").arg("--quiet").assert().success();
    let run = bench.path("killed");
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut kills = 0;
    for attempt in 0.. {
        assert!(attempt < 200, "{kills} kills in {attempt} attempts");
        let mut child = start(&bench, "killed");
        // xorshift: spread, and the same at every run of the test.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let before = checkpoints(&run);
        let started = Instant::now();
        // The first moments of a process hold no writing, so wait for its first checkpoint most of the time.
        while attempt % 4 != 0 && checkpoints(&run) == before && started.elapsed() < Duration::from_millis(900) {
            sleep(Duration::from_millis(2));
        }
        sleep(Duration::from_millis(state % 250));
        if let Some(status) = child.try_wait().expect("a status") {
            assert!(status.success(), "ended by itself with {status}");
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        kills += 1;
        if kills == 20 {
            break;
        }
    }
    bench.train("killed").args(["--resume", "--quiet"]).assert().success();
    assert!(newest_state(&run) == newest_state(&bench.path("whole")), "after {kills} kills");
    assert_eq!(curves(&run), curves(&bench.path("whole")), "after {kills} kills");
    assert!(kills >= 20, "the run was over after {kills} kills");
    let files = common::snapshot(&run);
    let leftovers: Vec<_> = files.keys().filter(|path| path.to_string_lossy().contains(".tmp-")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
}

#[test]
fn sigterm_and_ctrl_c_save_and_say_how_to_go_on() {
    for name in ["TERM", "INT"] {
        let bench = Bench::new();
        bench.configure(&[
            ("train.steps", json!(100_000_000)),
            ("train.checkpoint_every", json!(0)),
            ("train.evaluate_every", json!(0)),
            ("train.images_every", json!(0)),
        ]);
        let child = start(&bench, "run");
        let waiting = Instant::now();
        while !bench.path("run/metrics.csv").exists() || curves(&bench.path("run")).is_empty() {
            assert!(waiting.elapsed() < Duration::from_mins(2), "the run did not begin");
            sleep(Duration::from_millis(20));
        }
        signal(&child, name);
        let output = child.wait_with_output().expect("ended");
        assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
        let summary: serde_json::Value =
            serde_json::from_slice(&fs::read(bench.path("run/summary.json")).expect("a summary")).expect("JSON");
        assert_eq!(summary["status"], "interrupted");
        let steps = summary["steps"].as_u64().expect("steps");
        assert!(bench.path(&format!("run/checkpoints/step-{steps}.safetensors")).exists());
        // Going on from there for three more steps equals a run of that length.
        let total = format!("train.steps={}", steps + 3);
        bench.train("run").args(["--resume", "--quiet", "--set", &total]).assert().success();
        bench.train("whole").args(["--quiet", "--set", &total]).assert().success();
        assert!(newest_state(&bench.path("run")) == newest_state(&bench.path("whole")));
    }
}

/// An evaluation that is interrupted leaves nothing half done: exit 130, and the run's folder as it was.
#[test]
fn an_interrupted_evaluation_leaves_the_run_as_it_was() {
    let bench = Bench::new();
    bench.train("run").arg("--quiet").assert().success();
    let before = common::snapshot(&bench.path("run"));
    let child = Command::new(program("evaluate"))
        .arg(bench.path("run"))
        .args(["--likelihood", "ais:1000000:4"])
        .envs(environment())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    // The handlers stand before the data are loaded; a signal before that would end the process by itself.
    sleep(Duration::from_secs(2));
    signal(&child, "INT");
    let output = child.wait_with_output().expect("ended");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.ends_with("error: interrupted\n") && output.stdout.is_empty(), "{errors}");
    assert_eq!(common::snapshot(&bench.path("run")), before);
}
