//! `sweep`: a grid of runs, stopped, resumed, retried and collected.

mod common;

use common::{binary, environment, program, refusal, small};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn base(folder: &Path, steps: u64) {
    let mut config = small();
    config["train"]["steps"] = json!(steps);
    config["train"]["images_every"] = json!(0);
    fs::write(folder.join("base.json"), config.to_string()).expect("written");
}

fn grid(folder: &Path, grids: &Value) -> PathBuf {
    let file = folder.join("grid.json");
    fs::write(&file, json!({ "name": "study", "base": "base.json", "grids": grids }).to_string()).expect("written");
    file
}

fn sweep(folder: &Path, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = binary("sweep");
    command.arg(folder.join("grid.json")).arg("--out").arg(folder.join("out")).args(arguments);
    command
}

fn listed(folder: &Path) -> Vec<(String, String)> {
    let output = sweep(folder, &["--list", "--json"]).output().expect("started");
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let word = |member: &Value, field: &str| member[field].as_str().expect(field).to_owned();
    object["members"].as_array().expect("members").iter().map(|m| (word(m, "name"), word(m, "standing"))).collect()
}

/// 2 × 3 of a product, and 2 zipped: eight members, in this order.
#[test]
fn products_ranges_and_zipped_lists_make_the_members() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 20);
    grid(
        folder.path(),
        &json!([
            { "product": { "method.tc_weight": [1, 2.5], "seed": { "from": 3, "to": 7, "step": 2 } } },
            { "product": { "method": [{ "name": "beta-vae" }] },
              "zip": { "method.beta": [1, 4], "optimizer.learning_rate": [0.001, 0.002] }, "set": { "train.log_every": 5 } }
        ]),
    );
    let names: Vec<String> = listed(folder.path()).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "tc_weight-1_seed-3",
        "tc_weight-1_seed-5",
        "tc_weight-1_seed-7",
        "tc_weight-2.5_seed-3",
        "tc_weight-2.5_seed-5",
        "tc_weight-2.5_seed-7",
        "beta-vae_beta-1_learning_rate-0.001",
        "beta-vae_beta-4_learning_rate-0.002",
    ];
    assert_eq!(names, expected);
}

/// A sweep that is told to end half-way passes it on, goes on where it was, and has every member once.
#[test]
fn a_stopped_sweep_goes_on_and_collects_every_member_once() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 150);
    grid(folder.path(), &json!([{ "product": { "method.tc_weight": [1, 4], "seed": [0, 1, 2] } }]));
    let mut child = Command::new(program("sweep"))
        .arg(folder.path().join("grid.json"))
        .arg("--out")
        .arg(folder.path().join("out"))
        .args(["--run", "--jobs", "2"])
        .envs(environment())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let started = Instant::now();
    while !listed(folder.path()).iter().any(|(_, standing)| standing == "finished") {
        assert!(started.elapsed() < Duration::from_mins(2), "no member has finished");
        std::thread::sleep(Duration::from_millis(50));
    }
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(stopped.success());
    let code = child.wait().expect("an end").code();
    let standings = listed(folder.path());
    assert!(standings.iter().all(|(_, standing)| standing != "failed"), "{standings:?}");
    let finished = standings.iter().filter(|(_, standing)| standing == "finished").count();
    assert!((1..6).contains(&finished) && code == Some(130), "{finished} finished, exit {code:?}");

    sweep(folder.path(), &["--run", "--jobs", "2"]).assert().success();
    let output = sweep(folder.path(), &["--collect", "--json"]).output().expect("started");
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (members, groups) =
        (object["members"].as_array().expect("members"), object["groups"].as_array().expect("groups"));
    assert_eq!((members.len(), groups.len()), (6, 2));
    for group in groups {
        assert_eq!((&group["finished"], &group["members"]), (&json!(3), &json!(3)));
        let tc_weight = &group["fields"]["method.tc_weight"];
        let of_group = members.iter().filter(|member| &member["fields"]["method.tc_weight"] == tc_weight);
        let values: Vec<f64> =
            of_group.map(|member| member["scalars"]["train/elbo"].as_f64().expect("a number")).collect();
        let mean = values.iter().sum::<f64>() / 3.0;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let elbo = &group["scalars"]["train/elbo"];
        assert!((elbo["mean"].as_f64().expect("mean") - mean).abs() < 1e-9);
        assert!((elbo["standard_deviation"].as_f64().expect("deviation") - deviation).abs() < 1e-9);
    }
    let table = fs::read_to_string(folder.path().join("out/sweep.csv")).expect("a table");
    assert_eq!(table.lines().count(), 7);
}

/// A member whose loss is not finite fails with its reason, is left alone, and is tried again with --retry.
#[test]
fn a_failed_member_is_listed_with_its_reason_and_retried_on_request() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 20);
    grid(folder.path(), &json!([{ "product": { "optimizer.learning_rate": [0.001, 1e30] } }]));
    let line = refusal(&mut sweep(folder.path(), &["--run"]), 1);
    assert_eq!(line, "1 of 2 members failed; --list says why, --retry tries them again");
    let output = sweep(folder.path(), &["--list"]).output().expect("started");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("was not finite") && text.contains("1 finished, 1 failed, 0 begun, 0 waiting"), "{text}");
    let log = folder.path().join("out/sweep/logs/learning_rate-1e30.log");
    fs::write(&log, "").expect("written");
    refusal(&mut sweep(folder.path(), &["--run"]), 1);
    assert_eq!(fs::read_to_string(&log).expect("a log"), "", "a failed member is left alone");
    refusal(&mut sweep(folder.path(), &["--run", "--retry"]), 1);
    assert!(!fs::read_to_string(&log).expect("a log").is_empty(), "and is run again on request");
    let line = refusal(&mut sweep(folder.path(), &["--index", "2"]), 2);
    assert_eq!(line, "--index: expected a number from 0 to 1, got 2");
    sweep(folder.path(), &["--index", "0"]).assert().success();
}

#[test]
fn a_wrong_grid_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 20);
    let line = |grids: Value| {
        grid(folder.path(), &grids);
        let line = refusal(&mut sweep(folder.path(), &["--list"]), 2);
        line.split_once("grid.json: ").expect("the file's name").1.to_owned()
    };
    assert_eq!(line(json!([])), "grids: expected at least one member, got none");
    assert_eq!(
        line(json!([{ "product": { "method.tc_weight": [1, -4] } }])),
        "member 1 (tc_weight--4): method.tc_weight: expected a finite number ≥ 0, got -4"
    );
    assert_eq!(
        line(json!([{ "product": { "seed": [1, 1] } }])),
        "members 0 and 1 are both seed-1: expected them to differ"
    );
    let zipped = json!([{ "zip": { "seed": [1, 2], "data.batch_size": [8] } }]);
    assert_eq!(line(zipped), "grids[0].zip.data.batch_size: expected 2 values, as before it, got 1");
    assert!(
        line(json!([{ "product": { "seed": 3 } }])).starts_with("grids[0].product.seed: expected a list of values")
    );
}

/// The job array has one job a member, and the shipped grids have the sizes of their studies: 6 methods × 6 strengths × 50 seeds.
#[test]
fn shipped_grids_are_whole_and_become_job_arrays() {
    let folder = tempfile::tempdir().expect("a folder");
    let sweeps = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/sweeps");
    for (name, members) in [("tc_weights", 25), ("locatello_sprites", 1800)] {
        let mut command = binary("sweep");
        command.arg(sweeps.join(format!("{name}.json"))).arg("--out").arg(folder.path().join("it's out"));
        command.arg("--slurm").arg(folder.path()).args(["--jobs", "8", "--sbatch=--gres=gpu:1"]).assert().success();
        let script = fs::read_to_string(folder.path().join(format!("{name}.sbatch"))).expect("a script");
        assert!(script.contains(&format!("#SBATCH --array=0-{}%8\n", members - 1)), "{script}");
        assert!(script.contains("#SBATCH --gres=gpu:1\n"), "{script}");
        let checked = Command::new("bash").arg("-n").arg(folder.path().join(format!("{name}.sbatch"))).status();
        assert!(checked.expect("bash").success());
    }
}
