//! Several processes train one model: by environment variables alone, as launchers set them.

mod common;

use common::{Bench, binary, environment, program, write_mnist};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A port that nobody uses just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Starts `size` processes of one run, which wait for each other no longer than 20 s.
fn start(bench: &Bench, run: &str, size: usize, arguments: &[&str]) -> Vec<Child> {
    start_with_timeout(bench, run, size, 20, arguments)
}

fn start_with_timeout(bench: &Bench, run: &str, size: usize, seconds: u64, arguments: &[&str]) -> Vec<Child> {
    let port = free_port();
    (0..size)
        .map(|rank| {
            let mut command = Command::new(program("train"));
            command.envs(environment()).env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
            command.env("RANK", rank.to_string()).env("WORLD_SIZE", size.to_string());
            command
                .arg(bench.config())
                .arg("--run-dir")
                .arg(bench.path(run))
                .args(["--rank-timeout", &seconds.to_string()])
                .args(arguments);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started")
        })
        .collect()
}

/// Exit code and standard error of every process.
fn finish(children: Vec<Child>) -> Vec<(Option<i32>, String)> {
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().expect("an end")).collect();
    outputs
        .into_iter()
        .map(|output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
        .collect()
}

fn run(bench: &Bench, run: &str, size: usize, arguments: &[&str]) {
    for (rank, (code, said)) in finish(start(bench, run, size, arguments)).into_iter().enumerate() {
        assert_eq!(code, Some(0), "rank {rank}: {said}");
    }
}

/// Tags, steps and values of a run, but speeds.
fn curves(run: &Path) -> Vec<(String, f64)> {
    let text = fs::read_to_string(run.join("metrics.csv")).expect("metrics");
    text.lines()
        .skip(1)
        .filter(|line| !line.contains("speed/"))
        .map(|line| {
            let (name, value) = line.rsplit_once(',').expect("three columns");
            (name.to_owned(), value.parse().expect("a number"))
        })
        .collect()
}

/// The same rows, and values that differ by rounding only.
fn assert_same(one: &Path, other: &Path, tolerance: f64) {
    let (one, other) = (curves(one), curves(other));
    assert_eq!(one.len(), other.len());
    assert!(one.len() > 20, "{} rows", one.len());
    for ((name, a), (other_name, b)) in one.iter().zip(&other) {
        assert_eq!(name, other_name);
        assert!((a - b).abs() <= tolerance * (1.0 + a.abs()), "{name}: {a} and {b}");
    }
}

/// Waits for a file of the run.
fn await_file(file: &Path, children: &mut [Child]) {
    let started = Instant::now();
    while !file.exists() {
        assert!(started.elapsed() < Duration::from_mins(1), "{} never came", file.display());
        for child in &mut *children {
            assert!(child.try_wait().expect("a state").is_none(), "a process ended before {}", file.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn kill(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
}

/// Evaluations and the exact terms included; the tolerance is float32's over 20 steps of Adam.
#[test]
fn two_processes_draw_the_curves_of_one() {
    let bench = Bench::new();
    bench.train("one").arg("--quiet").assert().success();
    run(&bench, "two", 2, &["--quiet"]);
    assert_same(&bench.path("one"), &bench.path("two"), 1e-5);
    let config: Value =
        serde_json::from_slice(&fs::read(bench.path("two/config.json")).expect("a file")).expect("JSON");
    assert_eq!(config["elbo"]["processes"], json!(2));
    assert!(bench.path("two/summary.json").exists());
}

/// Two processes, then one, then four: a checkpoint knows of no ranks.
#[test]
fn a_run_goes_on_with_any_number_of_processes() {
    let bench = Bench::new();
    bench.train("one").arg("--quiet").assert().success();
    run(&bench, "turns", 2, &["--quiet", "--set", "train.steps=7"]);
    bench.train("turns").args(["--quiet", "--resume", "--set", "train.steps=13"]).assert().success();
    run(&bench, "turns", 4, &["--quiet", "--resume"]);
    let last = |run: &str| {
        let summary: Value =
            serde_json::from_slice(&fs::read(bench.path(run).join("summary.json")).expect("a file")).expect("JSON");
        assert_eq!((&summary["status"], &summary["steps"]), (&json!("finished"), &json!(20)), "{run}");
        summary["scalars"]["evaluate/elbo"].as_f64().expect("an ELBO")
    };
    let (one, turns) = (last("one"), last("turns"));
    assert!((one - turns).abs() < 1e-5 * one.abs(), "{one} and {turns}");
}

#[test]
fn a_lost_process_is_named_and_the_run_goes_on_from_its_checkpoint() {
    let bench = Bench::new();
    bench.configure(&[
        ("train.steps", json!(1_000_000)),
        ("train.evaluate_every", json!(0)),
        ("train.images_every", json!(0)),
    ]);
    let mut children = start(&bench, "run", 2, &["--quiet"]);
    await_file(&bench.path("run/checkpoints/step-7.safetensors"), &mut children);
    kill(&children[1], "-KILL");
    let ends = finish(children);
    assert_eq!((ends[0].0, ends[1].0), (Some(4), None), "{ends:?}");
    let said = ends[0].1.trim();
    assert!(said.starts_with("error: rank 1 of 2 is lost: ") && said.lines().count() == 1, "{said}");
    assert!(said.contains("; --resume goes on from ") && said.contains("/checkpoints/step-"), "{said}");
    let checkpoint =
        said.rsplit_once("step-").and_then(|(_, rest)| rest.strip_suffix(".safetensors")).expect("a checkpoint");
    let more = format!("train.steps={}", checkpoint.parse::<u64>().expect("a step") + 3);
    let resumed = bench.train("run").args(["--resume", "--set", &more]).assert().success();
    let said = String::from_utf8_lossy(&resumed.get_output().stderr).into_owned();
    assert!(said.contains(&format!("resumed after step {checkpoint}")), "{said}");
}

/// Rank 0 writes, and serves the place where all meet.
#[test]
fn the_others_do_not_outlive_rank_0() {
    let bench = Bench::new();
    bench.configure(&[
        ("train.steps", json!(1_000_000)),
        ("train.evaluate_every", json!(0)),
        ("train.images_every", json!(0)),
    ]);
    let mut children = start(&bench, "run", 3, &["--quiet", "--set", "data.batch_size=15"]);
    await_file(&bench.path("run/checkpoints/step-7.safetensors"), &mut children);
    kill(&children[0], "-KILL");
    let ends = finish(children);
    for (code, said) in &ends[1..] {
        assert_eq!(*code, Some(4), "{said}");
        assert!(said.starts_with("error: rank 0 of 3 is lost: nobody answers at 127.0.0.1:"), "{said}");
    }
}

/// A process that stands still is not gone: its connections are open, and only the timeout ends the wait.
#[test]
fn a_stuck_process_is_named_after_the_timeout() {
    let bench = Bench::new();
    bench.configure(&[
        ("train.steps", json!(1_000_000)),
        ("train.evaluate_every", json!(0)),
        ("train.images_every", json!(0)),
    ]);
    let mut children = start_with_timeout(&bench, "run", 2, 3, &["--quiet"]);
    await_file(&bench.path("run/checkpoints/step-7.safetensors"), &mut children);
    kill(&children[1], "-STOP");
    let stopped = children.pop().expect("rank 1");
    let ends = finish(children);
    kill(&stopped, "-KILL");
    finish(vec![stopped]);
    assert_eq!(ends[0].0, Some(4), "{ends:?}");
    assert!(ends[0].1.starts_with("error: rank 1 of 2 is lost: it has given no sign of life for"), "{ends:?}");
}

/// Launchers send a signal to every process or to one; either way all agree on the step at which they stop.
#[test]
fn a_signal_to_one_process_stops_all_at_one_step_and_saves() {
    let bench = Bench::new();
    bench.configure(&[
        ("train.steps", json!(1_000_000)),
        ("train.evaluate_every", json!(0)),
        ("train.images_every", json!(0)),
    ]);
    let mut children = start(&bench, "run", 2, &[]);
    await_file(&bench.path("run/checkpoints/step-7.safetensors"), &mut children);
    kill(&children[1], "-TERM");
    let ends = finish(children);
    assert_eq!((ends[0].0, ends[1].0), (Some(130), Some(130)), "{ends:?}");
    let said = &ends[0].1;
    let step = said.split("interrupted after step ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a step");
    assert!(bench.path(&format!("run/checkpoints/step-{step}.safetensors")).exists(), "{said}");
}

#[test]
fn what_cannot_be_shared_is_refused_and_every_process_says_why() {
    let bench = Bench::new();
    let factor_vae = r#"method={"name":"factor-vae","tc_weight":6.4,"critic":{"hidden":[8],"activation":"leaky-relu-0.2"},"critic_optimizer":{"name":"adam","learning_rate":1e-4}}"#;
    let cases: [(usize, &[&str], &str); 3] = [
        (3, &[], "data.batch_size: expected a multiple of 3, the number of processes, got 16"),
        (2, &["--set", "train.foo=1"], "train.foo: unknown field"),
        (2, &["--set", factor_vae], "method.name: expected a method of one objective"),
    ];
    for (size, arguments, line) in cases {
        let ends = finish(start(&bench, "refused", size, arguments));
        assert_eq!(ends[0].0, Some(2), "{ends:?}");
        assert!(ends[0].1.contains(line), "{ends:?}");
        for (code, said) in &ends[1..] {
            assert_eq!(*code, Some(4), "{said}");
            assert!(said.contains(&format!("rank 0 of {size} has ended: ")) && said.contains(line), "{said}");
        }
        assert!(!bench.path("refused").exists());
    }
}

/// The other way round: what only another rank lacks is said by rank 0 as well, and nothing has been written.
#[test]
fn nobody_starts_where_one_cannot() {
    let bench = Bench::new();
    let port = free_port();
    write_mnist(&bench.path("here/mnist"));
    fs::create_dir(bench.path("elsewhere")).expect("a folder");
    bench.configure(&[("data", json!({ "source": "mnist", "path": "mnist", "batch_size": 16 }))]);
    let mut children = Vec::new();
    for (rank, folder) in [("0", "here"), ("1", "elsewhere")] {
        let mut command = Command::new(program("train"));
        command.envs(environment()).env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.env("RANK", rank).env("WORLD_SIZE", "2").arg(bench.config()).arg("--run-dir").arg(bench.path("run"));
        command.current_dir(bench.path(folder));
        children.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started"));
    }
    let ends = finish(children);
    assert_eq!((ends[0].0, ends[1].0), (Some(4), Some(2)), "{ends:?}");
    assert!(ends[0].1.contains("run.json: data.path: expected a folder of IDX files"), "{ends:?}");
    assert!(!bench.path("run").exists());
}

#[test]
fn a_process_that_does_not_come_is_named() {
    let bench = Bench::new();
    let mut children = start_with_timeout(&bench, "run", 3, 2, &["--quiet"]);
    kill(&children[2], "-KILL");
    finish(vec![children.pop().expect("rank 2")]);
    let ends = finish(children);
    assert_eq!((ends[0].0, ends[1].0), (Some(2), Some(2)), "{ends:?}");
    let said = &ends[0].1;
    assert!(
        said.starts_with("error: rank 2 of 3 did not come to 127.0.0.1:") && said.ends_with(" within 2 s\n"),
        "{said}"
    );
    assert!(!bench.path("run").exists());
}

#[test]
fn variables_that_make_no_sense_are_refused() {
    let bench = Bench::new();
    let refused = bench.train("run").env("WORLD_SIZE", "2").env("RANK", "5").assert().code(2);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert_eq!(said, "error: environment variable RANK: expected a rank from 0 to 1, got \"5\"\n");
    // One process of a launcher is an ordinary run.
    bench.train("run").env("WORLD_SIZE", "1").env("RANK", "0").arg("--quiet").assert().success();
    let help = binary("train").arg("--help").assert().success();
    assert!(String::from_utf8_lossy(&help.get_output().stdout).contains("--rank-timeout"));
}
