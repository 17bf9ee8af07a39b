//! `metrics.csv` and `summary.json`.

use super::*;
use crate::records::metrics_csv::{self, Metric, MetricsCsv};
use crate::records::summary::{Status, Summary};
use proptest::prelude::*;
use tempfile::tempdir;

fn scalars(step: u64) -> Vec<(String, f64)> {
    vec![("train/elbo".to_string(), -1.0 / step as f64), ("train/kl".to_string(), step as f64 * 0.1)]
}

#[test]
fn metrics_read_as_a_long_table() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("metrics.csv");
    let mut metrics = MetricsCsv::start(&path).unwrap();
    let values = [("train/elbo", -95.5), ("a,\"b\"\nc", f64::NAN), ("x", f64::INFINITY), ("x", 1e300), ("x", 3.0)];
    metrics.log(100, &values.map(|(tag, value)| (tag.to_string(), value))).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let expected =
        "step,tag,value\n100,train/elbo,-95.5\n100,\"a,\"\"b\"\" c\",NaN\n100,x,inf\n100,x,1e300\n100,x,3.0\n";
    assert_eq!(text, expected);
    let read = metrics_csv::read(&path).unwrap();
    assert_eq!(read[1].tag, "a,\"b\" c");
    assert_eq!(read[3], Metric { step: 100, tag: "x".to_string(), value: 1e300 });
}

/// Killed at every byte behind the checkpoint of step 3, resumed, and equal to a run that was not.
#[test]
fn a_run_killed_within_a_row_and_resumed_has_the_bytes_of_one_that_was_not() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("metrics.csv");
    let mut metrics = MetricsCsv::start(&path).unwrap();
    let mut synced = 0;
    for step in 1..=6 {
        metrics.log(step, &scalars(step)).unwrap();
        if step == 3 {
            metrics.sync().unwrap();
            synced = fs::metadata(&path).unwrap().len() as usize;
        }
    }
    let whole = fs::read(&path).unwrap();
    for cut in synced..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let mut metrics = MetricsCsv::resume(&path, 3).unwrap();
        for step in 4..=6 {
            metrics.log(step, &scalars(step)).unwrap();
        }
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn a_missing_or_headless_table_is_begun_and_another_file_is_refused() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("metrics.csv");
    for content in [None, Some(""), Some("step,t"), Some("step,tag,value\n")] {
        let _ = fs::remove_file(&path);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        MetricsCsv::resume(&path, 3).unwrap().log(4, &scalars(4)).unwrap();
        assert_eq!(metrics_csv::read(&path).unwrap().len(), 2);
    }
    fs::write(&path, "epoch;loss\n1;2\n").unwrap();
    let message = MetricsCsv::resume(&path, 3).unwrap_err().to_string();
    let expected = "expected the first line step,tag,value; move the file away to go on";
    assert_eq!(message, format!("{}: {expected}", path.display()));
    assert_eq!(fs::read(&path).unwrap(), b"epoch;loss\n1;2\n");
    let unwritable = directory.path().join("missing/metrics.csv");
    assert!(MetricsCsv::start(&unwritable).unwrap_err().to_string().starts_with(&unwritable.display().to_string()));
}

/// As a power cut leaves it: zeros where rows were.
#[test]
fn lines_that_are_no_rows_are_left_out() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("metrics.csv");
    fs::write(&path, b"step,tag,value\n1,a,0.5\n\0\0\0\0\n2,a\n-1,a,3\n2,\"a,4\n3,a,0.25\n4,b,\xff\n9,a,1").unwrap();
    MetricsCsv::resume(&path, 8).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"step,tag,value\n1,a,0.5\n3,a,0.25\n");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_and_tag_comes_back(bits in any::<u64>(), step in any::<u64>(), tag in "[^\r\n]*") {
        let directory = tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        let value = f64::from_bits(bits);
        MetricsCsv::start(&path).unwrap().log(step, &[(tag.clone(), value)]).unwrap();
        let read = metrics_csv::read(&path).unwrap();
        prop_assert_eq!(read.len(), 1);
        prop_assert_eq!((read[0].step, &read[0].tag), (step, &tag));
        prop_assert!(read[0].value.to_bits() == bits || (value.is_nan() && read[0].value.is_nan()));
    }

    #[test]
    fn no_bytes_make_a_resume_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), step in any::<u64>()) {
        let directory = tempdir().unwrap();
        let path = directory.path().join("metrics.csv");
        fs::write(&path, [b"step,tag,value\n".as_slice(), &bytes].concat()).unwrap();
        MetricsCsv::resume(&path, step).unwrap();
        prop_assert!(metrics_csv::read(&path).unwrap().iter().all(|metric| metric.step <= step));
    }
}

fn summary() -> Summary {
    Summary {
        elbo_version: "0.1.0".to_string(),
        name: "first".to_string(),
        status: Status::Finished,
        steps: 2000,
        epochs: 0.173,
        images_seen: 128_000,
        wall_seconds: 171.25,
        steps_per_second: 11.7,
        last_checkpoint: Some("checkpoints/step-2000.safetensors".into()),
        scalars: vec![("train/elbo".to_string(), -41.25), ("train/kl".to_string(), f64::INFINITY)],
        results: serde_json::Map::new(),
    }
}

#[test]
fn a_summary_is_one_object_in_which_what_is_not_finite_is_null() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("summary.json");
    summary().write(&path).unwrap();
    let expected = r#"{
  "elbo_version": "0.1.0",
  "name": "first",
  "status": "finished",
  "steps": 2000,
  "epochs": 0.173,
  "images_seen": 128000,
  "wall_seconds": 171.25,
  "steps_per_second": 11.7,
  "last_checkpoint": "checkpoints/step-2000.safetensors",
  "scalars": {
    "train/elbo": -41.25,
    "train/kl": null
  }
}
"#;
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    let read = Summary::read(&path).unwrap();
    assert!(read.scalars[1].1.is_nan());
    assert_eq!((read.scalars[0].1, read.status), (-41.25, Status::Finished));
}

#[test]
fn a_summary_that_is_none_is_an_error_that_names_file_and_field() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("summary.json");
    let mut object = summary().to_json();
    object["scalars"]["train/kl"] = "far".into();
    fs::write(&path, object.to_string()).unwrap();
    let message = Summary::read(&path).unwrap_err().to_string();
    let expected = format!("{}: scalars.train/kl: expected a number or null, got \"far\"", path.display());
    assert!(message.starts_with(&expected), "{message}");
    assert!(Summary::read(&directory.path().join("none")).unwrap_err().to_string().contains("none: cannot be read"));
}
