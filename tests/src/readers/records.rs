//! What a run reads of its own records when it goes on: event files and `metrics.csv`.

use super::meter::{Bound, file, in_folder, within};
use super::one_line;
use elbo_runner::records::events::EventWriter;
use elbo_runner::records::metrics_csv::{self, Metric, MetricsCsv};
use elbo_runner::records::purge::{Purged, RecordedEvent, purge_after, read_events};
use std::fs;
use tensorboard_rs::record_writer::RecordWriter;

/// The step that the run goes on from.
const STEP: u64 = 100;

/// An event file: the input's first byte says whether the rest is one as it is, or records (two bytes for the length of each, and its
/// bytes) that are given sound checksums.
pub fn events(bytes: &[u8]) {
    let Some((&kind, rest)) = bytes.split_first() else { return };
    let content = if kind == 0 { rest.to_vec() } else { framed(rest) };
    in_folder(|folder| {
        fs::write(folder.join("events.out.tfevents.0000000001.some"), &content).expect("a file");
        let read = || read_events(folder).expect("a file that can be read");
        let before = within(Bound::Text, content.len(), read);
        within(Bound::Text, content.len(), || purge_after(folder, STEP)).expect("a folder that can be written");
        let after = read();
        let early = |event: &&RecordedEvent| event.step <= STEP as i64;
        // What ended a session is taken back, too.
        let ended = |event: &&RecordedEvent| event.values.iter().any(|(tag, _)| tag == "_hparams_/session_end_info");
        let expected: Vec<&RecordedEvent> = before.iter().filter(early).filter(|event| !ended(event)).collect();
        assert!(same(&after.iter().collect::<Vec<_>>(), &expected), "{after:?} is not {expected:?}");
        // A file of which the first purge left the version alone may go.
        let Purged { events, damaged, .. } = purge_after(folder, STEP).expect("a folder");
        assert_eq!((events, damaged), (0, 0), "a second purge finds something");
        EventWriter::resume(folder, STEP).expect("a folder that can be written");
    });
}

/// Equal to the bit, NaN too.
fn same(one: &[&RecordedEvent], other: &[&RecordedEvent]) -> bool {
    let text = |events: &[&RecordedEvent]| {
        let bits = |event: &&RecordedEvent| {
            let values: Vec<_> =
                event.values.iter().map(|(tag, value)| (tag.clone(), value.map(f32::to_bits))).collect();
            (event.step, values)
        };
        events.iter().map(bits).collect::<Vec<_>>()
    };
    text(one) == text(other)
}

fn framed(mut rest: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut writer = RecordWriter::new(&mut content);
    while let Some((&[low, high], after)) = rest.split_first_chunk::<2>() {
        let (record, after) = after.split_at(after.len().min(usize::from(u16::from_le_bytes([low, high]))));
        writer.write(record).expect("memory");
        rest = after;
    }
    content
}

/// A `metrics.csv`.
pub fn metrics(bytes: &[u8]) {
    let path = file("metrics.csv", bytes);
    let before = match within(Bound::Text, bytes.len(), || metrics_csv::read(&path)) {
        Ok(rows) => rows,
        Err(error) => return one_line(&error),
    };
    let mut file = within(Bound::Text, bytes.len(), || MetricsCsv::resume(&path, STEP)).expect("the same table");
    let kept: Vec<&Metric> = before.iter().filter(|row| row.step <= STEP).collect();
    let again: Vec<(String, f64)> = kept.iter().map(|row| (row.tag.clone(), row.value)).collect();
    file.log(STEP, &again).expect("a file that can be written");
    drop(file);
    // The rows that stay, and after them the same ones once more, as they were written now.
    let after = metrics_csv::read(&path).expect("the same table");
    assert_eq!(after.len(), 2 * kept.len());
    for (row, expected) in after.iter().zip(&kept) {
        assert_eq!((row.step, &row.tag, row.value.to_bits()), (expected.step, &expected.tag, expected.value.to_bits()));
    }
    for (row, expected) in after[kept.len()..].iter().zip(&kept) {
        // Line ends become blanks; the bits of a NaN are not kept.
        assert_eq!(row.tag, expected.tag.replace(['\n', '\r'], " "));
        assert!(row.value.to_bits() == expected.value.to_bits() || row.value.is_nan() && expected.value.is_nan());
    }
}
