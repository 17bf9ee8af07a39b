//! `sweep`: a grid of runs, stopped, resumed, retried and collected.

mod common;

use common::{binary, environment, program, refusal, small};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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

/// The sweep at work, two members at once, in a process group of its own as a shell would start it.
fn start(folder: &Path) -> Child {
    Command::new(program("sweep"))
        .arg(folder.join("grid.json"))
        .arg("--out")
        .arg(folder.join("out"))
        .args(["--run", "--jobs", "2"])
        .envs(environment())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("started")
}

/// Sends a signal to a process, or with a `-` before the number to its whole group.
fn signal(name: &str, target: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), "--", target]).status().expect("kill");
    assert!(sent.success());
}

/// Waits until `enough` of the members' standings.
fn wait_until(folder: &Path, enough: impl Fn(&[(String, String)]) -> bool) {
    let started = Instant::now();
    while !enough(&listed(folder)) {
        assert!(started.elapsed() < Duration::from_mins(2), "waited in vain: {:?}", listed(folder));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn with_standing(members: &[(String, String)], standing: &str) -> usize {
    members.iter().filter(|(_, found)| found == standing).count()
}

/// Lines of the logs of a sweep's runs that hold `text`.
fn logged(folder: &Path, text: &str) -> usize {
    let logs = fs::read_dir(folder.join("out/sweep/logs")).expect("logs");
    let read = |entry: std::io::Result<fs::DirEntry>| fs::read_to_string(entry.expect("a log").path()).expect("text");
    logs.map(read).map(|log| log.lines().filter(|line| line.contains(text)).count()).sum()
}

fn collected(folder: &Path) -> Value {
    let output = sweep(folder, &["--collect", "--json"]).output().expect("started");
    serde_json::from_slice(&output.stdout).expect("JSON")
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
    let mut child = start(folder.path());
    wait_until(folder.path(), |members| with_standing(members, "finished") > 0);
    signal("TERM", &child.id().to_string());
    let code = child.wait().expect("an end").code();
    let standings = listed(folder.path());
    assert!(standings.iter().all(|(_, standing)| standing != "failed"), "{standings:?}");
    let finished = with_standing(&standings, "finished");
    assert!((1..6).contains(&finished) && code == Some(130), "{finished} finished, exit {code:?}");

    sweep(folder.path(), &["--run", "--jobs", "2"]).assert().success();
    let object = collected(folder.path());
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

/// SIGKILL of the whole process group on the way, the same command again, and every member is there once. (`make check-sweep` has 24 members
/// of a convolutional network, and three kinds of kill.)
#[test]
fn a_killed_sweep_goes_on_and_has_every_row_once() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 200);
    grid(
        folder.path(),
        &json!([{ "product": { "method.tc_weight": [1, 4], "seed": { "from": 1, "to": 3 } },
                  "set": { "train.evaluate_every": 0, "train.log_every": 50, "train.checkpoint_every": 40 } }]),
    );
    let mut child = start(folder.path());
    wait_until(folder.path(), |members| {
        with_standing(members, "finished") >= 2 && with_standing(members, "running") > 0
    });
    signal("KILL", &format!("-{}", child.id()));
    child.wait().expect("an end");
    let finished = with_standing(&listed(folder.path()), "finished");
    assert!((2..6).contains(&finished), "{finished} finished");

    sweep(folder.path(), &["--run", "--jobs", "2"]).assert().success();
    let object = collected(folder.path());
    let names: BTreeSet<&str> =
        object["members"].as_array().expect("members").iter().map(|m| m["name"].as_str().expect("a name")).collect();
    assert_eq!(names.len(), 6);
    let table = fs::read_to_string(folder.path().join("out/sweep.csv")).expect("a table");
    assert_eq!(table.lines().filter(|line| line.contains(",finished,")).count(), 6);
    assert_eq!(table.lines().count(), 7);
    // The end of a session that reached its last step: no member did so twice.
    assert_eq!(logged(folder.path(), "step 200/200"), 6);
}

/// Ctrl-C in a terminal tells the runs as well as the sweep. A second signal would end a run without saving, so the sweep sends none:
/// every run is found saved at the step that its summary says. Steps of a wide network on a large batch take longer than the sweep does to
/// notice: a run that were told again would be told within its step.
#[test]
fn ctrl_c_tells_every_run_once_so_that_all_save() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 100_000_000);
    grid(
        folder.path(),
        &json!([{ "product": { "seed": [1, 2] },
                  "set": { "train.checkpoint_every": 0, "train.evaluate_every": 0, "train.log_every": 1, "data.batch_size": 1024,
                           "model.encoder_hidden": [512], "model.decoder_hidden": [512] } }]),
    );
    let mut child = start(folder.path());
    let out = folder.path().join("out");
    let begun = |seed: u64| out.join(format!("seed-{seed}/metrics.csv")).exists();
    wait_until(folder.path(), |_| begun(1) && begun(2));
    // Runs count the signals of a sweep's process group from their second second on.
    std::thread::sleep(Duration::from_millis(1500));
    signal("INT", &format!("-{}", child.id()));
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    for seed in [1, 2] {
        let run = out.join(format!("seed-{seed}"));
        let summary: Value =
            serde_json::from_slice(&fs::read(run.join("summary.json")).expect("a summary")).expect("JSON");
        assert_eq!(summary["status"], "interrupted");
        assert!(run.join(summary["last_checkpoint"].as_str().expect("a checkpoint")).exists());
    }
}

/// A sweep that is killed alone cannot tell its runs; they notice, save and end. A sweep that is started meanwhile waits for them, and two
/// sweeps share their members: each runs once.
#[test]
fn the_runs_of_a_killed_sweep_end_and_two_sweeps_share_their_members() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 3000);
    grid(folder.path(), &json!([{ "product": { "seed": [1, 2, 3, 4] }, "set": { "train.evaluate_every": 0 } }]));
    let mut child = start(folder.path());
    wait_until(folder.path(), |members| with_standing(members, "running") == 2);
    let line = refusal(&mut sweep(folder.path(), &["--index", "0"]), 1);
    assert_eq!(line, "seed-1: is being run by another process");
    std::thread::sleep(Duration::from_millis(1500));
    signal("KILL", &child.id().to_string());
    child.wait().expect("an end");
    let mut both = [start(folder.path()), start(folder.path())];
    for child in &mut both {
        assert!(child.wait().expect("an end").success());
    }
    assert!(listed(folder.path()).iter().all(|(_, standing)| standing == "finished"));
    assert_eq!(logged(folder.path(), "step 3000/3000"), 4, "each member reaches its end once");
    assert_eq!(logged(folder.path(), "interrupted after step"), 2, "the two that ran when the sweep was killed saved");
    assert_eq!(logged(folder.path(), "resumed after step"), 2, "and went on there");
}

/// `TensorBoard`'s own reader finds in the collected page what the JSON says: a row for each group, mean and spread of every scalar, and
/// what `evaluate` found where it has been run on every member; under the name that the runs' own rows have.
#[test]
fn collected_tables_and_the_hparams_page_agree() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 20);
    grid(folder.path(), &json!([{ "product": { "method.tc_weight": [1, 4], "seed": [1, 2] } }]));
    sweep(folder.path(), &["--run", "--jobs", "2"]).assert().success();
    let out = folder.path().join("out");
    let scores = [("tc_weight-1_seed-1", 0.25), ("tc_weight-1_seed-2", 0.75)];
    for (name, score) in scores {
        let evaluation = json!({ "step": 20, "images": 100, "mig_histogram": { "value": score, "low": 0.1, "high": 0.9 },
            "elbo": -3.5, "exact": { "total_correlation": { "value": 0.5, "standard_error": 0.01 } } });
        fs::create_dir(out.join(name).join("evaluation")).expect("a folder");
        fs::write(out.join(name).join("evaluation/evaluation.json"), evaluation.to_string()).expect("written");
    }
    // Of another step: another model, and so not in the table.
    fs::create_dir(out.join("tc_weight-4_seed-1/evaluation")).expect("a folder");
    fs::write(out.join("tc_weight-4_seed-1/evaluation/evaluation.json"), r#"{ "step": 10, "elbo": -9.0 }"#)
        .expect("written");
    let object = collected(folder.path());
    let group = &object["groups"][0]["scalars"];
    // (0.25 + 0.75)/2, and sqrt(2 · 0.25²/(2 − 1)).
    assert_eq!(group["evaluation/score/mig_histogram"]["mean"], 0.5);
    let deviation = group["evaluation/score/mig_histogram"]["standard_deviation"].as_f64().expect("a number");
    assert!((deviation - 0.125_f64.sqrt()).abs() < 1e-12);
    assert_eq!(group["evaluation/exact/total_correlation"]["mean"], 0.5);
    assert_eq!(group["evaluation/elbo"]["runs"], 2);
    assert!(group.get("evaluation/images").is_none() && group.get("evaluation/mig_histogram").is_none());
    assert!(object["groups"][1]["scalars"].get("evaluation/elbo").is_none(), "an evaluation of another step");

    let Some(page) = events(&out.join("sweep/hparams/tc_weight-1")) else { return };
    let run = events(&out.join("tc_weight-1_seed-2")).expect("the same reader");
    let start = |found: &Value| found["hparams"]["session_start"].clone();
    assert_eq!(start(&page)["group_name"], start(&run)["group_name"]);
    assert_eq!(start(&page)["hparams"], start(&run)["hparams"]);
    assert_eq!(page["hparams"]["session_end"]["status"], "STATUS_SUCCESS");
    for (tag, entry) in group.as_object().expect("scalars") {
        for field in ["mean", "standard_deviation"] {
            let point = &page["scalars"][format!("{field}/{tag}")][0];
            let (found, expected) = (point[1].as_f64().expect("a number"), entry[field].as_f64().expect("a number"));
            // TensorBoard keeps float32.
            assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{field}/{tag}: {found}, {expected}");
            assert_eq!(point[0], 20);
        }
    }
    // Collecting again replaces the page.
    collected(folder.path());
    assert_eq!(fs::read_dir(out.join("sweep/hparams/tc_weight-1")).expect("a folder").count(), 1);
}

/// What `TensorBoard`'s reader finds in a folder, where `make setup` has installed it.
fn events(folder: &Path) -> Option<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let python = root.join(".venv/bin/python");
    if !python.exists() {
        println!("skipped: no .venv with TensorBoard (make setup)");
        return None;
    }
    let output = Command::new(python).arg(root.join("scripts/read_events.py")).arg(folder).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

/// A grid that is edited after its members ran does not pass old results off as its own.
#[test]
fn a_finished_run_of_another_configuration_is_no_member() {
    let folder = tempfile::tempdir().expect("a folder");
    base(folder.path(), 20);
    let grids = |batch: u64| json!([{ "product": { "seed": [1] }, "set": { "data.batch_size": batch } }]);
    grid(folder.path(), &grids(16));
    sweep(folder.path(), &["--run"]).assert().success();
    assert_eq!(with_standing(&listed(folder.path()), "finished"), 1);
    grid(folder.path(), &grids(32));
    assert_eq!(with_standing(&listed(folder.path()), "failed"), 1);
    let line = refusal(&mut sweep(folder.path(), &["--index", "0"]), 1);
    assert!(line.contains("is of another configuration (data is ") && line.contains("move it away"), "{line}");
    refusal(&mut sweep(folder.path(), &["--collect"]), 2);
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
    assert!(
        text.contains("was not finite") && text.contains("1 finished, 1 failed, 0 running, 0 begun, 0 waiting"),
        "{text}"
    );
    let log = folder.path().join("out/sweep/logs/learning_rate-1e30.log");
    let first = fs::read_to_string(&log).expect("a log");
    refusal(&mut sweep(folder.path(), &["--run"]), 1);
    assert_eq!(fs::read_to_string(&log).expect("a log"), first, "a failed member is left alone");
    let output = sweep(folder.path(), &["--collect"]).output().expect("started");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("1 of 2 members are finished") && text.contains("failed: learning_rate-1e30: "), "{text}");
    refusal(&mut sweep(folder.path(), &["--run", "--retry"]), 1);
    let both = fs::read_to_string(&log).expect("a log");
    assert!(both.starts_with(&first) && both.len() > first.len(), "and is run again on request, its log kept");
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
    let shared = |share: usize, grids: Value| {
        let whole = json!({ "name": "study", "base": "base.json", "share_gpu": share, "grids": grids });
        fs::write(folder.path().join("grid.json"), whole.to_string()).expect("written");
        let line = refusal(&mut sweep(folder.path(), &["--list"]), 2);
        line.split_once("grid.json: ").expect("the file's name").1.to_owned()
    };
    let seeds = json!([{ "product": { "seed": [1, 2] } }]);
    assert_eq!(shared(0, seeds), "share_gpu: expected a whole number from 1 to 32, got 0");
    assert_eq!(
        shared(2, json!([{ "product": { "precision": ["float32", "tf32"] } }])),
        "share_gpu: expected members of one precision and one device, but precision-float32 and precision-tf32 differ in them"
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
