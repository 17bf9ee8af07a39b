//! Event files that were cut, flipped or made up.

use super::*;
use crate::records::frames::{Frame, Frames};
use crate::records::purge::purge_after;
use proptest::prelude::*;
use tempfile::tempdir;
use tensorboard_rs::record_writer::RecordWriter;

/// Records of several lengths, one empty, and where each ends in the file.
fn framed(records: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for record in records {
        RecordWriter::new(&mut bytes).write(record).unwrap();
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn frames(bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Frames::new(bytes, bytes.len() as u64);
    let mut read = Vec::new();
    loop {
        match frames.next().unwrap() {
            Frame::End => return read,
            frame => read.push(frame),
        }
    }
}

fn records() -> Vec<Vec<u8>> {
    [0, 1, 12, 300, 5].map(|length| (0..length).map(|byte| byte as u8).collect()).to_vec()
}

#[test]
fn a_file_cut_anywhere_gives_all_records_before_the_cut() {
    let (bytes, ends) = framed(&records());
    for cut in 0..=bytes.len() {
        let mut expected: Vec<_> =
            records().into_iter().zip(&ends).filter(|(_, end)| **end <= cut).map(|(r, _)| r).collect();
        let whole = cut == 0 || ends.contains(&cut);
        let mut read = frames(&bytes[..cut]);
        if !whole {
            assert_eq!(read.pop(), Some(Frame::Torn), "cut at {cut}");
        }
        assert_eq!(read, expected.drain(..).map(Frame::Record).collect::<Vec<_>>(), "cut at {cut}");
    }
}

/// A flipped length ends the reading; a flipped byte or checksum costs its record alone.
#[test]
fn every_flipped_bit_is_noticed_and_costs_no_more_than_it_must() {
    let (bytes, ends) = framed(&records());
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let hit = ends.iter().position(|end| bit / 8 < *end).unwrap();
        let start = if hit == 0 { 0 } else { ends[hit - 1] };
        let mut expected: Vec<_> = records().into_iter().map(Frame::Record).collect();
        if bit / 8 < start + 12 {
            expected.truncate(hit);
            expected.push(Frame::Torn);
        } else {
            expected[hit] = Frame::Altered;
        }
        assert_eq!(frames(&flipped), expected, "bit {bit}");
    }
}

/// The length is sound by its checksum and claims 2^60 bytes, or a little more than there is.
#[test]
fn a_record_is_not_believed_to_be_longer_than_its_file() {
    let checksum = |length: u64| tensorboard_rs::masked_crc32c::masked_crc32c(&length.to_le_bytes()).to_le_bytes();
    for length in [1 << 60, u64::MAX, 1 << 28, 17] {
        let bytes = [length.to_le_bytes().as_slice(), &checksum(length), &[0; 20]].concat();
        assert_eq!(frames(&bytes), [Frame::Torn]);
    }
}

#[test]
fn a_torn_end_is_purged_and_what_was_whole_stays() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    write_points(&mut events, 1..=8);
    drop(events);
    let (path, bytes) = contents(directory.path()).remove(0);
    let whole = read_events(directory.path()).unwrap();
    // Every seventh byte: each cut costs two waits for the disk.
    for cut in (0..bytes.len()).rev().step_by(7) {
        fs::write(&path, &bytes[..cut]).unwrap();
        let before = read_events(directory.path()).unwrap();
        assert_eq!(before, whole[..before.len()]);
        purge_after(directory.path(), 5).unwrap();
        let expected: Vec<_> = before.into_iter().filter(|event| event.step <= 5).collect();
        assert_eq!(read_events(directory.path()).unwrap(), expected, "cut at {cut}");
        if let Some((_, after)) = contents(directory.path()).first() {
            assert!(frames(after).iter().all(|frame| matches!(frame, Frame::Record(_))));
            assert!(bytes.starts_with(after), "what stays, stays byte for byte");
        }
    }
}

#[test]
fn a_resume_over_a_torn_file_equals_a_run_that_never_stopped() {
    let (whole, torn) = (tempdir().unwrap(), tempdir().unwrap());
    let mut events = EventWriter::start(whole.path()).unwrap();
    write_points(&mut events, 1..=8);
    drop(events);
    let mut events = EventWriter::start(torn.path()).unwrap();
    write_points(&mut events, 1..=4);
    events.sync().unwrap(); // the checkpoint of step 4
    let synced = fs::metadata(events.path()).unwrap().len() as usize;
    write_points(&mut events, 5..=7);
    drop(events);
    let (path, bytes) = contents(torn.path()).remove(0);
    for cut in (synced..bytes.len()).step_by(9) {
        for (path, _) in contents(torn.path()) {
            fs::remove_file(path).unwrap();
        }
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut events = EventWriter::resume(torn.path(), 4).unwrap();
        write_points(&mut events, 5..=8);
        drop(events);
        assert_eq!(read_events(torn.path()).unwrap(), read_events(whole.path()).unwrap(), "cut at {cut}");
    }
}

/// Checksums are right and the bytes are not an event: left out, and what follows is kept.
#[test]
fn a_record_that_is_no_event_is_left_out() {
    let directory = tempdir().unwrap();
    let mut events = EventWriter::start(directory.path()).unwrap();
    write_points(&mut events, 1..=2);
    drop(events);
    let (path, bytes) = contents(directory.path()).remove(0);
    let (nonsense, _) = framed(&[vec![0xff; 40]]);
    fs::write(&path, [nonsense.as_slice(), &bytes].concat()).unwrap();
    assert_eq!(curve(directory.path(), "train/elbo").len(), 2);
    assert_eq!(purge_after(directory.path(), 9).unwrap().damaged, 1);
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_reading_or_purging_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), step in any::<u64>()) {
        let directory = tempdir().unwrap();
        fs::write(directory.path().join("events.out.tfevents.0000000001.host.1.0"), bytes).unwrap();
        read_events(directory.path()).unwrap();
        purge_after(directory.path(), step).unwrap();
        prop_assert_eq!(read_events(directory.path()).unwrap(), vec![]);
    }

    #[test]
    fn damage_to_a_real_file_never_invents_an_event(
        at in any::<prop::sample::Index>(), put in prop::collection::vec(any::<u8>(), 1..40), step in 0_u64..10,
    ) {
        let directory = tempdir().unwrap();
        let mut events = EventWriter::start(directory.path()).unwrap();
        write_points(&mut events, 1..=8);
        drop(events);
        let whole = read_events(directory.path()).unwrap();
        let (path, mut bytes) = contents(directory.path()).remove(0);
        let at = at.index(bytes.len());
        let end = bytes.len().min(at + put.len());
        bytes[at..end].copy_from_slice(&put[..end - at]);
        fs::write(&path, bytes).unwrap();
        purge_after(directory.path(), step).unwrap();
        for event in read_events(directory.path()).unwrap() {
            prop_assert!(whole.contains(&event) && event.step <= step as i64);
        }
    }
}
