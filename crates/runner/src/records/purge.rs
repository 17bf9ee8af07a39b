//! Reading event files back, and taking back what was logged after the checkpoint that a run resumes from.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use tensorboard_rs::record_writer::RecordWriter;

use super::events::event_files;
use super::frames::{Frame, Frames};
use super::reading::{Content, Seen};
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
        for_each_event(&path, |_, event| {
            if let Some(values) = event.values() {
                events.push(RecordedEvent { step: event.step, values: values.to_vec() });
            }
            Ok(())
        })?;
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
        let of_file = keep(&path, |event| event.step <= step && !event.bears(messages::SESSION_END_TAG))?;
        purged.files += of_file.files;
        purged.events += of_file.events;
        purged.damaged += of_file.damaged;
    }
    Ok(purged)
}

/// Removes the values of `tag` from every event file in `directory` but `current`.
pub(super) fn purge_tag(directory: &Path, tag: &str, current: &Path) -> Result<(), RecordError> {
    for path in event_files(directory)?.iter().filter(|path| *path != current) {
        keep(path, |event| !event.bears(tag))?;
    }
    Ok(())
}

/// Removes the event files of this crate in `directory`, as a run does that starts over because it never reached a checkpoint;
/// returns how many. Event files of other programs stay.
///
/// # Errors
/// When the folder cannot be listed or a file cannot be removed.
pub fn purge_all(directory: &Path) -> Result<usize, RecordError> {
    let mut removed = 0;
    if !directory.exists() {
        return Ok(removed);
    }
    for path in event_files(directory)? {
        if survey(&path, |_| true)?.is_ours() {
            remove(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Rewrites the event file `path` without what does not stay, if there is any.
fn keep(path: &Path, stays: impl Fn(&Seen) -> bool) -> Result<Purged, RecordError> {
    let survey = survey(path, &stays)?;
    if survey.values == 0 && survey.is_ours() {
        remove(path)?;
    } else if survey.leaves + survey.damaged > 0 {
        write_atomically_with(path, |copy| {
            let mut copy = RecordWriter::new(copy);
            for_each_event(path, |bytes, event| if stays(event) { copy.write(bytes) } else { Ok(()) })
                .map(|_| ())
                .map_err(|error| error.reason)
        })?;
    } else {
        return Ok(Purged::default());
    }
    Ok(Purged { files: 1, events: survey.leaves, damaged: survey.damaged })
}

fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(FileError::at(path, "cannot be removed"))
}

/// What an event file holds.
#[derive(Debug, Default)]
struct Survey {
    /// Events with values that stay, and events of any kind that do not.
    values: usize,
    leaves: usize,
    damaged: usize,
    /// Whether the file bears our mark, and whether it holds anything but its version.
    marked: bool,
    anything: bool,
}

impl Survey {
    /// Whether this crate wrote the file: it bears the mark, or is one that was cut before the mark.
    fn is_ours(&self) -> bool {
        self.marked || !self.anything
    }
}

fn survey(path: &Path, stays: impl Fn(&Seen) -> bool) -> Result<Survey, FileError> {
    let mut survey = Survey::default();
    survey.damaged = for_each_event(path, |_, event| {
        survey.values += usize::from(event.values().is_some() && stays(event));
        survey.leaves += usize::from(!stays(event));
        survey.marked |= matches!(&event.content, Content::Session(message) if message == MARK);
        survey.anything |= event.content != Content::Version;
        Ok(())
    })?;
    Ok(survey)
}

/// Calls `found` with every sound record of an event file, as bytes and as a message; returns the number of damaged places.
fn for_each_event(path: &Path, mut found: impl FnMut(&[u8], &Seen) -> io::Result<()>) -> Result<usize, FileError> {
    let mut damaged = 0;
    let mut read = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut frames = Frames::new(BufReader::new(file), length);
        loop {
            match frames.next()? {
                Frame::Record(bytes) => match Seen::read(&bytes) {
                    Some(event) => found(&bytes, &event)?,
                    None => damaged += 1,
                },
                Frame::Altered | Frame::Torn => damaged += 1,
                Frame::End => return Ok(()),
            }
        }
    };
    read().map_err(FileError::at(path, "cannot be read"))?;
    Ok(damaged)
}
