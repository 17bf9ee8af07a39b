//! Writing, reading back, resuming.

use super::*;
use crate::files::AppendFile;
use crate::records::histogram::Histogram;
use crate::records::hparams::{HParam, HParams};
use crate::records::layout::Layout;
use crate::records::purge::{Purged, purge_after, purge_all};
use crate::records::summary::Status;
use tempfile::tempdir;

fn hparams(tc_weight: f64) -> HParams {
    HParams { group: "g".to_string(), values: vec![("method.tc_weight".to_string(), HParam::Number(tc_weight))] }
}

#[test]
fn scalars_of_a_step_are_one_event_and_come_back_as_they_are() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    let values = [("a", 1.5), ("b/0", f64::INFINITY), ("b/1", f64::NEG_INFINITY), ("c", -0.0), ("ü, \"x\"", 1e-40)];
    events.scalars(7, &values.map(|(tag, value)| (tag.to_string(), value))).unwrap();
    events.scalars(8, &[("nan".to_string(), f64::NAN)]).unwrap();
    events.flush().unwrap();
    let read = read_events(directory.path()).unwrap();
    let expected = values.map(|(tag, value)| (tag.to_string(), Some(value as f32)));
    assert_eq!(read[0], RecordedEvent { step: 7, values: expected.to_vec() });
    assert!(read[1].values[0].1.unwrap().is_nan());
    assert_eq!(read.len(), 2);
}

#[test]
fn nothing_reaches_the_file_before_it_is_asked_to_and_everything_does_after() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    write_points(&mut events, [1]);
    assert_eq!(curve(directory.path(), "train/elbo"), []);
    events.flush().unwrap();
    assert_eq!(curve(directory.path(), "train/elbo"), [(1, 1.0)]);
    write_points(&mut events, [2]);
    drop(events);
    assert_eq!(curve(directory.path(), "train/elbo"), [(1, 1.0), (2, 2.0)]);
}

#[test]
fn writers_of_one_folder_have_files_of_their_own_and_later_ones_sort_behind() {
    let directory = tempdir().unwrap();
    let writers: Vec<_> = (0..5).map(|_| EventWriter::append(directory.path()).unwrap()).collect();
    let in_order: Vec<_> = writers.iter().map(|writer| writer.path().to_path_buf()).collect();
    assert_eq!(files(directory.path()), in_order);
}

/// Readers take files in the order of their names, so a name with an earlier time would put a resumed run first.
#[test]
fn a_clock_that_was_set_back_does_not_reorder_a_run() {
    let directory = tempdir().unwrap();
    let ahead = directory.path().join("events.out.tfevents.9000000000.host.1.0");
    fs::write(&ahead, "").unwrap();
    let events = EventWriter::append(directory.path()).unwrap();
    assert!(events.path() > ahead.as_path(), "{}", events.path().display());
}

#[test]
fn a_run_that_was_killed_and_resumed_has_the_events_of_one_that_was_not() {
    let (whole, broken) = (tempdir().unwrap(), tempdir().unwrap());
    let mut events = EventWriter::start(whole.path()).unwrap();
    write_points(&mut events, 0..=40);
    drop(events);
    let mut events = EventWriter::start(broken.path()).unwrap();
    write_points(&mut events, 0..=17); // killed at 17, its checkpoint at 10
    drop(events);
    let mut events = EventWriter::resume(broken.path(), 10).unwrap();
    write_points(&mut events, 11..=33); // killed at 33, its checkpoint at 30
    drop(events);
    let mut events = EventWriter::resume(broken.path(), 30).unwrap();
    drop(std::mem::replace(&mut events, EventWriter::resume(broken.path(), 30).unwrap())); // killed before it logged
    write_points(&mut events, 31..=40);
    drop(events);
    assert_eq!(read_events(broken.path()).unwrap(), read_events(whole.path()).unwrap());
    assert_eq!(files(broken.path()).len(), 3, "a file without values is removed");
}

#[test]
fn a_run_that_starts_over_leaves_no_earlier_event() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    write_points(&mut events, 0..5);
    drop(events);
    drop(EventWriter::start(directory.path()).unwrap());
    assert_eq!(read_events(directory.path()).unwrap(), []);
    assert_eq!(files(directory.path()).len(), 1);
}

#[test]
fn event_files_of_other_programs_are_never_removed() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::append(directory.path()).unwrap(); // bears no session start of ours
    write_points(&mut events, 5..10);
    drop(events);
    assert_eq!(purge_all(directory.path()).unwrap(), 0);
    assert_eq!(purge_after(directory.path(), 3).unwrap(), Purged { files: 1, events: 5, damaged: 0 });
    assert_eq!(files(directory.path()).len(), 1);
    fs::write(directory.path().join("notes.txt"), "kept").unwrap();
    assert_eq!(purge_all(&directory.path().join("missing")).unwrap(), 0);
}

#[test]
fn a_purge_with_nothing_to_take_back_touches_no_file() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    write_points(&mut events, 0..5);
    drop(events);
    let before = fs::metadata(&files(directory.path())[0]).unwrap().modified().unwrap();
    assert_eq!(purge_after(directory.path(), 4).unwrap(), Purged::default());
    assert_eq!(fs::metadata(&files(directory.path())[0]).unwrap().modified().unwrap(), before);
}

/// A run that was finished and goes on has not ended; and its row says what the last session was asked to do.
#[test]
fn a_resumed_run_takes_back_its_end_and_replaces_its_row_of_hyperparameters() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    events.hparams_start(&hparams(6.0)).unwrap();
    write_points(&mut events, [1]);
    events.hparams_end(1, Status::Finished).unwrap();
    drop(events);
    let tags = || -> Vec<String> {
        let events = read_events(directory.path()).unwrap().into_iter();
        events.flat_map(|event| event.values).map(|(tag, _)| tag).filter(|tag| tag.starts_with('_')).collect()
    };
    assert_eq!(tags(), ["_hparams_/session_start_info", "_hparams_/session_end_info"]);
    let mut events = EventWriter::resume(directory.path(), 1).unwrap();
    assert_eq!(tags(), ["_hparams_/session_start_info"]);
    events.hparams_start(&hparams(7.0)).unwrap();
    events.flush().unwrap();
    assert_eq!(tags(), ["_hparams_/session_start_info"]);
    assert_eq!(curve(directory.path(), "train/elbo"), [(1, 1.0)]);
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let mut events = EventWriter::onto(AppendFile::open(Path::new("/dev/full")).unwrap());
    write_points(&mut events, 0..3);
    for error in [events.flush().unwrap_err(), events.sync().unwrap_err()] {
        assert!(error.to_string().starts_with("/dev/full: cannot be written: No space left"), "{error}");
    }
    let error = events.image("pictures/x", 1, b"GIF89a").unwrap_err();
    assert_eq!(error.to_string(), "/dev/full: the picture pictures/x is not a PNG");
}

#[test]
fn an_unwritable_folder_is_an_error_that_names_it() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "").unwrap();
    for result in [EventWriter::start(&path), EventWriter::resume(&path, 1), EventWriter::append(&path)] {
        assert!(result.unwrap_err().to_string().starts_with(&path.display().to_string()));
    }
}

#[test]
fn every_kind_of_event_is_written() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    events.hparams_start(&hparams(6.0)).unwrap();
    events.layout(&Layout::of_a_run()).unwrap();
    events.text("config", 0, "# words").unwrap();
    events.image("pictures/samples", 2, &png(20, 8)).unwrap();
    events.histogram("posterior/mean", 2, &Histogram::of(&[0.0, 1.0])).unwrap();
    drop(events);
    let read = read_events(directory.path()).unwrap().into_iter();
    let tags: Vec<_> = read.map(|event| (event.step, event.values[0].0.clone())).collect();
    let expected = [
        (0, "_hparams_/session_start_info"),
        (0, "custom_scalars__config__"),
        (0, "config"),
        (2, "pictures/samples"),
        (2, "posterior/mean"),
    ];
    assert_eq!(tags, expected.map(|(step, tag)| (step, tag.to_string())));
}

/// Sums and squares by hand: values 0, 1, …, 119 fill 60 bins with two each.
#[test]
fn a_histogram_counts_every_finite_value_once() {
    let values: Vec<f32> = (0..120).map(|value| value as f32).chain([f32::NAN, f32::INFINITY]).collect();
    let histogram = Histogram::of(&values);
    assert_eq!((histogram.min(), histogram.max()), (0.0, 119.0));
    assert_eq!((histogram.count(), histogram.non_finite()), (120, 2));
    assert_eq!(histogram.bins().map(|(_, count)| count).collect::<Vec<_>>(), [2.0; 60]);
    assert_eq!(histogram.bins().last(), Some((119.0, 2.0)));
    let message = histogram.to_message();
    assert_eq!((message.get_sum(), message.get_sum_squares()), (7140.0, 568_820.0));
}

#[test]
fn a_histogram_of_equal_no_or_huge_values_is_sound() {
    let equal = Histogram::of(&[2.5; 7]);
    assert_eq!(equal.bins().collect::<Vec<_>>(), [(2.5, 7.0)]);
    let none = Histogram::of(&[f64::NAN]);
    assert_eq!((none.bins().count(), none.min(), none.max(), none.non_finite()), (0, 0.0, 0.0, 1));
    let huge = Histogram::of(&[f64::MIN, 0.11 * f64::MAX, f64::MAX]);
    let filled: Vec<_> = huge.bins().map(|(_, count)| count).enumerate().filter(|(_, count)| *count > 0.0).collect();
    assert_eq!(filled, [(0, 1.0), (33, 1.0), (59, 1.0)]);
}

#[test]
fn the_group_of_hyperparameters_depends_on_all_but_seed_and_housekeeping() {
    let config = |seed: u64, log_every: u64, tc_weight: f64| {
        HParams::from_config(&serde_json::json!({
            "name": format!("run-{seed}"), "seed": seed, "device": "cpu",
            "data": { "source": "sprites", "path": null, "subset": [1, 2] },
            "method": { "name": "beta-tcvae", "tc_weight": tc_weight },
            "train": { "steps": 10, "log_every": log_every }
        }))
    };
    let hparams = config(1, 100, 6.0);
    let names: Vec<_> = hparams.values.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["data.source", "data.subset", "method.name", "method.tc_weight", "train.steps"]);
    assert_eq!(hparams.values[1].1, HParam::Text("[1,2]".to_string()));
    assert_eq!(hparams.group, config(2, 50, 6.0).group);
    assert_ne!(hparams.group, config(1, 100, 5.0).group);
}
