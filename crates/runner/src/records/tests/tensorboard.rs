//! `TensorBoard` itself reads what is written: its own reader and the back ends of its tabs, in Python.
//!
//! They need the Python of `make setup` (or one named by `ELBO_PYTHON`) with `TensorBoard` in it; where there is none, the
//! tests say so and pass.

use super::*;
use crate::records::histogram::Histogram;
use crate::records::hparams::HParams;
use crate::records::layout::Layout;
use crate::records::summary::Status;
use serde_json::{Value, json};
use std::env;
use std::process::Command;
use tempfile::tempdir;

/// A Python that has `TensorBoard`.
fn python() -> Option<PathBuf> {
    let in_workspace = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    let python = env::var_os("ELBO_PYTHON").map_or_else(in_workspace, PathBuf::from);
    let works = Command::new(&python).args(["-c", "import tensorboard"]).output().is_ok_and(|out| out.status.success());
    if !works {
        println!("skipped: {} has no TensorBoard (make setup installs it)", python.display());
    }
    works.then_some(python)
}

/// What `TensorBoard` reads under `directory`.
fn read_back(python: &Path, directory: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/records/tests/read_back.py");
    let output = Command::new(python).arg(script).arg(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("orphan") && !stderr.contains("out of order"), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn config(seed: u64, tc_weight: f64) -> Value {
    json!({
        "seed": seed,
        "data": { "source": "sprites", "batch_size": 64 },
        "method": { "name": "beta-tcvae", "tc_weight": tc_weight, "balanced": true },
    })
}

fn elbo(value: f64) -> Vec<(String, f64)> {
    vec![("train/elbo".to_string(), value)]
}

#[test]
fn tensorboard_reads_every_kind_of_event_where_present() {
    let Some(python) = python() else { return };
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(&directory.path().join("first")).unwrap();
    events.layout(&Layout::of_a_run()).unwrap();
    events.text("config", 0, "# Title\n|a|b|\n|-|-|\n|1|2|").unwrap();
    let points = [(1, -0.1), (2, f64::NAN), (3, f64::INFINITY), (4, f64::NEG_INFINITY)];
    for (step, value) in points {
        events.scalars(step, &[elbo(value), vec![("train/kl_per_dimension/0".to_string(), 0.5)]].concat()).unwrap();
    }
    events.image("pictures/samples", 2, &png(20, 8)).unwrap();
    events.histogram("posterior/mean", 2, &Histogram::of(&[0.0, 0.25, 0.25, 3.0])).unwrap();
    events.histogram("posterior/mean", 4, &Histogram::of(&[1.0; 9])).unwrap();
    events.histogram("posterior/mean", 6, &Histogram::of(&[f64::NAN])).unwrap();
    events.flush().unwrap();

    let read = read_back(&python, directory.path());
    let values = ["-0.10000000149011612", "nan", "inf", "-inf"]; // the f32 nearest to -0.1
    let expected: Vec<Value> = points.iter().zip(values).map(|((step, _), value)| json!([step, value])).collect();
    assert_eq!(read["scalars"]["first"]["train/elbo"], json!(expected));
    assert_eq!(read["scalars"]["first"]["train/kl_per_dimension/0"].as_array().unwrap().len(), 4);
    assert_eq!(read["texts"]["first"]["config"], json!([[0, "# Title\n|a|b|\n|-|-|\n|1|2|"]]));
    assert_eq!(read["images"]["first"]["pictures/samples"], json!([[2, 20, 8, 20, 8]]));
    let histograms = read["histograms"]["first"]["posterior/mean"].as_array().unwrap();
    let bins = histograms[0][1].as_array().unwrap();
    let total: f64 = bins.iter().map(|bin| bin[2].as_f64().unwrap()).sum();
    assert_eq!((bins.len(), total), (60, 4.0));
    assert_eq!((&bins[0][0], &bins[59][1], &bins[5][2]), (&json!(0.0), &json!(3.0), &json!(2.0)));
    assert_eq!(histograms[1], json!([4, [[1.0, 1.0, 9.0]]]));
    assert_eq!(histograms[2], json!([6, []]));
    let titles: Vec<_> =
        read["layout"]["category"].as_array().unwrap().iter().map(|category| &category["title"]).collect();
    assert_eq!(titles, ["ELBO", "KL per dimension", "Estimates and exact terms", "Adversaries", "Disentanglement"]);
}

/// Three runs, two of them alike but for the seed: two rows, the first with the mean of the two last values.
#[test]
fn tensorboard_shows_hyperparameters_with_final_metrics_and_averages_seeds_where_present() {
    let Some(python) = python() else { return };
    let directory = tempdir().unwrap();
    let runs = [
        ("a", 1, 6.0, -40.0, Some(Status::Finished)),
        ("b", 2, 6.0, -42.0, Some(Status::Diverged)),
        ("c", 1, 8.0, -50.0, None),
    ];
    for (name, seed, tc_weight, last, status) in runs {
        let mut events = EventWriter::start(&directory.path().join(name)).unwrap();
        events.hparams_start(&HParams::from_config(&config(seed, tc_weight))).unwrap();
        events.scalars(100, &elbo(-90.0)).unwrap();
        events.scalars(200, &elbo(last)).unwrap();
        if let Some(status) = status {
            events.hparams_end(200, status).unwrap();
        }
    }
    let read = read_back(&python, directory.path());
    let columns = json!({
        "data.source": false, "data.batch_size": false,
        "method.name": false, "method.tc_weight": true, "method.balanced": false,
    });
    assert_eq!(read["columns"], columns);
    assert_eq!(read["metrics"], json!(["train/elbo"]));
    let groups = read["groups"].as_object().unwrap();
    assert_eq!(groups.len(), 2);
    let group = |tc_weight| &groups[&HParams::from_config(&config(1, tc_weight)).group];
    let (two, one) = (group(6.0), group(8.0));
    assert_eq!(two["metrics"], json!({"train/elbo": "-41.0"}));
    assert_eq!(two["sessions"], json!({"a": "STATUS_SUCCESS", "b": "STATUS_FAILURE"}));
    assert_eq!(one["metrics"], json!({"train/elbo": "-50.0"}));
    assert_eq!(one["sessions"], json!({"c": "STATUS_UNKNOWN"}));
    let expected = json!({
        "data.source": "sprites", "data.batch_size": 64.0,
        "method.name": "beta-tcvae", "method.tc_weight": 8.0, "method.balanced": true,
    });
    assert_eq!(one["hparams"], expected);
}

/// Killed at step 7 within a record, resumed at 4, ended, and resumed again with another weight.
#[test]
fn tensorboard_reads_a_resumed_run_as_one_that_never_stopped_where_present() {
    let Some(python) = python() else { return };
    let directory = tempdir().unwrap();
    let run = directory.path().join("run");
    let mut events = EventWriter::start(&run).unwrap();
    events.hparams_start(&HParams::from_config(&config(1, 6.0))).unwrap();
    write_points(&mut events, 1..=7);
    drop(events);
    let (path, bytes) = contents(&run).remove(0);
    fs::write(path, &bytes[..bytes.len() - 5]).unwrap();
    let mut events = EventWriter::resume(&run, 4).unwrap();
    write_points(&mut events, 5..=9);
    events.hparams_end(9, Status::Interrupted).unwrap();
    drop(events);
    let mut events = EventWriter::resume(&run, 9).unwrap();
    events.hparams_start(&HParams::from_config(&config(1, 7.0))).unwrap();
    write_points(&mut events, 10..=12);
    events.hparams_end(12, Status::Finished).unwrap();
    drop(events);

    let read = read_back(&python, directory.path());
    let expected: Vec<Value> = (1..=12).map(|step| json!([step, format!("{step}.0")])).collect();
    assert_eq!(read["scalars"]["run"]["train/elbo"], json!(expected));
    let group = &read["groups"][HParams::from_config(&config(1, 7.0)).group];
    assert_eq!(group["sessions"], json!({"run": "STATUS_SUCCESS"}));
    assert_eq!(group["metrics"]["train/elbo"], json!("12.0"));
}

/// A `TensorBoard` that read the orphaned points before they were purged is told to forget them: here nothing is purged, and
/// the session start alone does it.
#[test]
fn the_session_start_of_a_resumed_run_hides_later_points_where_present() {
    let Some(python) = python() else { return };
    let directory = tempdir().unwrap();
    let run = directory.path().join("run");
    let mut events = EventWriter::start(&run).unwrap();
    write_points(&mut events, 1..=7);
    drop(events);
    let (path, bytes) = contents(&run).remove(0);
    let mut events = EventWriter::resume(&run, 4).unwrap();
    write_points(&mut events, 5..=6);
    drop(events);
    fs::write(path, bytes).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/records/tests/read_back.py");
    let output = Command::new(&python).arg(script).arg(directory.path()).output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected: Vec<Value> = (1..=6).map(|step| json!([step, format!("{step}.0")])).collect();
    assert_eq!(read["scalars"]["run"]["train/elbo"], json!(expected));
}
