//! Reading event files back, and taking back what was logged after the checkpoint that a run resumes from.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::Path;

use protobuf::Message;
use tensorboard_proto::event::Event;
use tensorboard_rs::record_writer::RecordWriter;

use super::events::event_files;
use super::frames::{Frame, Frames};
use super::{RecordError, messages};
use crate::files::{FileError, write_atomically_with};

/// The session log's message in event files of this crate: only files that bear it are ever removed.
pub(super) const MARK: &str = "elbo";

/// What [`purge_after`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Event files that were rewritten or, with nothing left to keep, removed.
    pub files: usize,
    /// Events taken back.
    pub events: usize,
    /// Damaged places left out: records whose checksum or content is wrong, torn ends.
    pub damaged: usize,
}

/// An event of a run, as read back from disk.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedEvent {
    /// Step of the event.
    pub step: i64,
    /// Scalars of the event, tag and value; other kinds of values by tag only, with `None`.
    pub values: Vec<(String, Option<f32>)>,
}

/// All events with values in `directory`, in the order in which `TensorBoard` reads them.
///
/// Damaged records are passed over, and a file is read up to its torn end.
///
/// # Errors
/// When the folder or a file cannot be read.
pub fn read_events(directory: &Path) -> Result<Vec<RecordedEvent>, RecordError> {
    let mut events = Vec::new();
    for path in event_files(directory)? {
        for (_, event) in Contents::read(&path)?.events {
            if event.has_summary() {
                let values = event.get_summary().get_value().iter();
                let values = values.map(|value| {
                    (value.get_tag().to_string(), value.has_simple_value().then(|| value.get_simple_value()))
                });
                events.push(RecordedEvent { step: event.get_step(), values: values.collect() });
            }
        }
    }
    Ok(events)
}

/// Removes from the event files in `directory` every event of a later step than `step`, how the session ended, and whatever
/// is damaged. What stays, stays byte for byte.
///
/// A file that changes is written beside and renamed, so this may be interrupted at any moment and repeated. A file of this
/// crate that keeps no values is removed.
///
/// # Errors
/// When the folder or a file cannot be read or written.
pub fn purge_after(directory: &Path, step: u64) -> Result<Purged, RecordError> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let mut purged = Purged::default();
    for path in event_files(directory)? {
        let contents = Contents::read(&path)?;
        let stays = |event: &Event| event.get_step() <= step && !ends_session(event);
        let kept: Vec<&[u8]> =
            contents.events.iter().filter(|(_, event)| stays(event)).map(|(bytes, _)| bytes.as_slice()).collect();
        let removed = contents.events.len() - kept.len();
        let has_values = contents.events.iter().any(|(_, event)| stays(event) && event.has_summary());
        let remove = !has_values && contents.is_ours();
        if remove {
            fs::remove_file(&path).map_err(FileError::at(&path, "cannot be removed"))?;
        } else if removed + contents.damaged > 0 {
            rewrite(&path, &kept)?;
        }
        purged.files += usize::from(remove || removed + contents.damaged > 0);
        purged.events += removed;
        purged.damaged += contents.damaged;
    }
    Ok(purged)
}

/// Removes the event files of this crate in `directory`, as a run does that starts over because it never reached a checkpoint.
/// Event files of other programs stay.
///
/// # Errors
/// When the folder cannot be listed or a file cannot be removed.
pub fn purge_all(directory: &Path) -> Result<usize, RecordError> {
    let mut removed = 0;
    if !directory.exists() {
        return Ok(removed);
    }
    for path in event_files(directory)? {
        if Contents::read(&path)?.is_ours() {
            fs::remove_file(&path).map_err(FileError::at(&path, "cannot be removed"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn ends_session(event: &Event) -> bool {
    event.has_summary()
        && event.get_summary().get_value().iter().any(|value| value.get_tag() == messages::SESSION_END_TAG)
}

fn rewrite(path: &Path, records: &[&[u8]]) -> Result<(), FileError> {
    write_atomically_with(path, |file: &mut dyn Write| {
        let mut file = RecordWriter::new(file);
        records.iter().try_for_each(|record| file.write(record))
    })
}

/// The sound part of an event file.
struct Contents {
    /// Bytes of every whole record, and what they say.
    events: Vec<(Vec<u8>, Event)>,
    damaged: usize,
}

impl Contents {
    fn read(path: &Path) -> Result<Self, RecordError> {
        let failed = || FileError::at(path, "cannot be read");
        let file = File::open(path).map_err(failed())?;
        let length = file.metadata().map_err(failed())?.len();
        let mut frames = Frames::new(BufReader::new(file), length);
        let mut contents = Self { events: Vec::new(), damaged: 0 };
        loop {
            match frames.next().map_err(failed())? {
                Frame::Record(bytes) => match Event::parse_from_bytes(&bytes) {
                    Ok(event) => contents.events.push((bytes, event)),
                    Err(_) => contents.damaged += 1,
                },
                Frame::Altered | Frame::Torn => contents.damaged += 1,
                Frame::End => return Ok(contents),
            }
        }
    }

    /// Whether this crate wrote the file: it bears our mark, or nothing at all.
    fn is_ours(&self) -> bool {
        let marked = |event: &Event| event.has_session_log() && event.get_session_log().get_msg() == MARK;
        self.events.iter().any(|(_, event)| marked(event))
            || self.events.iter().all(|(_, event)| event.has_file_version())
    }
}
