//! `sweep` with `share_gpu`: several members in one process.

mod common;

use common::{binary, environment, program, refusal, small};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A grid over a base of so many steps; `share_gpu` where it is said.
fn grid(folder: &Path, steps: u64, share: Option<u64>, grids: &Value) -> PathBuf {
    let mut config = small();
    config["train"]["steps"] = json!(steps);
    config["train"]["images_every"] = json!(0);
    let mut whole = json!({ "name": "study", "base": config, "grids": grids });
    if let Some(share) = share {
        whole["share_gpu"] = json!(share);
    }
    let file = folder.join("grid.json");
    fs::write(&file, whole.to_string()).expect("written");
    file
}

fn sweep(folder: &Path, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = binary("sweep");
    command.arg(folder.join("grid.json")).arg("--out").arg(folder.join("out")).args(arguments);
    command
}

/// How many members stand so.
fn with_standing(folder: &Path, standing: &str) -> usize {
    let output = sweep(folder, &["--list", "--json"]).output().expect("started");
    let object: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let members = object["members"].as_array().expect("members");
    members.iter().filter(|member| member["standing"] == standing).count()
}

/// Lines of the members' logs that hold `text`.
fn logged(folder: &Path, text: &str) -> usize {
    let logs = fs::read_dir(folder.join("out/sweep/logs")).expect("logs");
    let read = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.expect("a log").path()).expect("text");
    logs.map(read).map(|log| log.lines().filter(|line| line.contains(text)).count()).sum()
}

/// Several members in one process: the same parameters, bit for bit, as each in a process of its own; one that fails does not disturb the
/// others; a signal saves all that are under way.
#[test]
fn members_that_share_a_process_equal_those_that_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let grids = json!([{ "product": { "seed": [1, 2, 3], "optimizer.learning_rate": [0.001] } },
                       { "product": { "seed": [1], "optimizer.learning_rate": [1e30] } }]);
    let file = grid(folder.path(), 40, None, &grids);
    let alone = folder.path().join("alone");
    refusal(binary("sweep").arg(&file).arg("--out").arg(&alone).args(["--run"]), 1);

    grid(folder.path(), 40, Some(3), &grids);
    let line = refusal(&mut sweep(folder.path(), &["--run", "--jobs", "2"]), 2);
    assert_eq!(line, "--jobs: expected 1, as share_gpu runs 3 members in one process, got 2");
    let line = refusal(&mut sweep(folder.path(), &["--run"]), 1);
    assert_eq!(line, "1 of 4 members failed; --list says why, --retry tries them again");
    assert_eq!(with_standing(folder.path(), "finished"), 3);
    assert_eq!(logged(folder.path(), "was not finite"), 1);
    let tensors = |out: &Path, member: &str| {
        let file = out.join(member).join("checkpoints/step-40.safetensors");
        let mut all = tch::Tensor::read_safetensors(file).expect("a checkpoint");
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    for seed in 1..=3 {
        let member = format!("seed-{seed}_learning_rate-0.001");
        let (one, other) = (tensors(&alone, &member), tensors(&folder.path().join("out"), &member));
        assert!(!one.is_empty() && one == other, "{member}");
    }
}

#[test]
fn a_signal_saves_all_members_of_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = grid(folder.path(), 100_000, Some(2), &json!([{ "product": { "seed": [1, 2] } }]));
    let mut child = Command::new(program("sweep"))
        .arg(&file)
        .arg("--out")
        .arg(folder.path().join("out"))
        .arg("--run")
        .envs(environment())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let begun = Instant::now();
    while ["seed-1", "seed-2"].iter().any(|member| !folder.path().join("out").join(member).join("metrics.csv").exists())
    {
        assert!(begun.elapsed() < Duration::from_mins(1), "no curves");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill").success());
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!(with_standing(folder.path(), "begun"), 2);
    assert_eq!(logged(folder.path(), "everything is saved"), 2);
}
