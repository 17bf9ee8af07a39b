//! `TensorBoard`'s event files, written on the caller's thread, with errors instead of panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use protobuf::Message;
use tensorboard_proto::api::Status as SessionStatus;
use tensorboard_proto::event::{Event, SessionLog, SessionLog_SessionStatus};
use tensorboard_proto::plugin_hparams::{HParamsPluginData, SessionEndInfo, SessionStartInfo};
use tensorboard_proto::summary::Summary_Value;
use tensorboard_rs::record_writer::RecordWriter;

use super::histogram::Histogram;
use super::hparams::HParams;
use super::layout::Layout;
use super::summary::Status;
use super::{RecordError, messages, purge};
use crate::files::{AppendFile, FileError};

/// What the name of every event file begins with.
pub(super) const PREFIX: &str = "events.out.tfevents.";
/// Bytes after which records are written out without being asked to.
const BUFFERED: usize = 1 << 20;

/// Writes one event file of a run.
///
/// Events wait in memory until [`EventWriter::flush`] (or a megabyte of them); a failing disk is an error that names the file,
/// after which a later flush goes on where the last one ended. `TensorBoard` keeps scalars as `f32`; `NaN` and infinities are
/// written as they are. A process killed within a write leaves a torn last record, at which every reader stops; the file is
/// not written to again, because every writer opens its own.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// use elbo_runner::records::events::EventWriter;
/// let mut events = EventWriter::start(directory)?;
/// events.scalars(100, &[("train/elbo".to_string(), -95.2), ("train/kl".to_string(), 17.1)])?;
/// events.sync()?; // before the checkpoint of step 100
/// # drop(events);
/// let mut events = EventWriter::resume(directory, 100)?;
/// events.scalars(200, &[("train/elbo".to_string(), -71.0), ("train/kl".to_string(), 18.4)])?;
/// events.flush()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct EventWriter {
    file: AppendFile,
}

impl EventWriter {
    /// The first event file of a run that starts at step 0. Event files of a start that never reached a checkpoint are removed.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn start(directory: &Path) -> Result<Self, RecordError> {
        purge::purge_all(directory)?;
        let mut events = Self::open(directory)?;
        events.session_start(0)?;
        Ok(events)
    }

    /// The next event file of a run that resumes from its checkpoint of `step`.
    ///
    /// Later events are first removed from the earlier files ([`purge::purge_after`]), and a session start tells a `TensorBoard`
    /// that has read them already to forget them.
    ///
    /// # Errors
    /// When the folder or an earlier file cannot be read or written.
    pub fn resume(directory: &Path, step: u64) -> Result<Self, RecordError> {
        purge::purge_after(directory, step)?;
        let mut events = Self::open(directory)?;
        // TensorBoard forgets what is at this step or later; the point of `step` itself stays.
        events.session_start(step.saturating_add(1))?;
        Ok(events)
    }

    /// One more event file beside those of a run, which stay as they are: for what is measured after training.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn append(directory: &Path) -> Result<Self, RecordError> {
        let mut events = Self::open(directory)?;
        events.flush()?;
        Ok(events)
    }

    fn open(directory: &Path) -> Result<Self, RecordError> {
        fs::create_dir_all(directory).map_err(FileError::at(directory, "cannot be made"))?;
        let mut events = Self::onto(AppendFile::create_new(&new_path(directory)?)?);
        let mut version = Event::new();
        version.set_file_version("brain.Event:2".to_string());
        events.write(version, 0)?;
        Ok(events)
    }

    pub(super) fn onto(file: AppendFile) -> Self {
        Self { file }
    }

    fn session_start(&mut self, step: u64) -> Result<(), RecordError> {
        let mut session = SessionLog::new();
        session.set_status(SessionLog_SessionStatus::START);
        session.set_msg(purge::MARK.to_string());
        let mut event = Event::new();
        event.set_session_log(session);
        self.write(event, step)?;
        self.flush()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Several curves' points of one step, as one event.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn scalars(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<(), RecordError> {
        self.values(step, scalars.iter().map(|(tag, value)| messages::scalar(tag, *value)).collect())
    }

    /// A histogram, for the HISTOGRAMS and DISTRIBUTIONS tabs.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<(), RecordError> {
        self.values(step, vec![messages::histogram(tag, histogram)])
    }

    /// A picture. Its size and colours are read from the PNG itself.
    ///
    /// # Errors
    /// When `png` is not a PNG, or the disk refuses.
    pub fn image(&mut self, tag: &str, step: u64, png: &[u8]) -> Result<(), RecordError> {
        let Some((width, height, channels)) = png_header(png) else {
            return Err(RecordError::content(self.path(), format!("the picture {tag} is not a PNG")));
        };
        self.values(step, vec![messages::image(tag, width, height, channels, png)])
    }

    /// Markdown, for the TEXT tab.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn text(&mut self, tag: &str, step: u64, markdown: &str) -> Result<(), RecordError> {
        self.values(step, vec![messages::text(tag, markdown)])
    }

    /// The run's row in the HPARAMS table, in place of the one that an earlier session wrote: `TensorBoard` would believe the
    /// earlier.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn hparams_start(&mut self, hparams: &HParams) -> Result<(), RecordError> {
        if let Some(directory) = self.path().parent() {
            purge::purge_tag(directory, messages::SESSION_START_TAG, self.path())?;
        }
        let mut start = SessionStartInfo::new();
        start.set_group_name(hparams.group.clone());
        start.set_hparams(hparams.values.iter().map(|(name, value)| (name.clone(), value.to_message())).collect());
        start.set_start_time_secs(now());
        let mut data = HParamsPluginData::new();
        data.set_session_start_info(start);
        self.hparams(messages::SESSION_START_TAG, 0, &data)
    }

    /// How the run ended, in the HPARAMS table. Taken back by [`EventWriter::resume`].
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn hparams_end(&mut self, step: u64, status: Status) -> Result<(), RecordError> {
        let mut end = SessionEndInfo::new();
        end.set_status(match status {
            Status::Finished => SessionStatus::STATUS_SUCCESS,
            Status::Diverged => SessionStatus::STATUS_FAILURE,
            Status::Interrupted => SessionStatus::STATUS_UNKNOWN,
        });
        end.set_end_time_secs(now());
        let mut data = HParamsPluginData::new();
        data.set_session_end_info(end);
        self.hparams(messages::SESSION_END_TAG, step, &data)
    }

    /// The charts of the CUSTOM SCALARS tab.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn layout(&mut self, layout: &Layout) -> Result<(), RecordError> {
        let value = messages::layout(&layout.to_message()).map_err(|error| self.unencodable(&error))?;
        self.values(0, vec![value])
    }

    /// Hands everything to the operating system.
    ///
    /// # Errors
    /// When the disk refuses. What could not be written waits for the next time.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        Ok(self.file.commit()?)
    }

    /// [`EventWriter::flush`], and waits until the disk has it. Before every checkpoint.
    ///
    /// # Errors
    /// As [`EventWriter::flush`].
    pub fn sync(&mut self) -> Result<(), RecordError> {
        Ok(self.file.sync()?)
    }

    fn hparams(&mut self, tag: &str, step: u64, data: &HParamsPluginData) -> Result<(), RecordError> {
        let value = messages::hparams(tag, data).map_err(|error| self.unencodable(&error))?;
        self.values(step, vec![value])
    }

    fn values(&mut self, step: u64, values: Vec<Summary_Value>) -> Result<(), RecordError> {
        let mut event = Event::new();
        event.set_summary(messages::summary(values));
        self.write(event, step)
    }

    fn write(&mut self, mut event: Event, step: u64) -> Result<(), RecordError> {
        event.set_wall_time(now());
        event.set_step(i64::try_from(step).unwrap_or(i64::MAX));
        let bytes = event.write_to_bytes().map_err(|error| self.unencodable(&error))?;
        RecordWriter::new(&mut self.file)
            .write(&bytes)
            .map_err(FileError::at(self.file.path(), "cannot be written"))?;
        if self.file.pending() > BUFFERED { self.flush() } else { Ok(()) }
    }

    fn unencodable(&self, error: &protobuf::ProtobufError) -> RecordError {
        RecordError::content(self.path(), format!("an event cannot be encoded: {error}"))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// A name that no file has and that sorts behind all others: readers take event files in the order of their names, and a clock
/// that was set back must not put a resumed run's before those it continues.
fn new_path(directory: &Path) -> Result<PathBuf, RecordError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let latest = event_files(directory)?.iter().filter_map(|path| seconds_of(path)).max();
    let seconds = (now() as u64).max(latest.map_or(0, |latest| latest.saturating_add(1)));
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Ok(directory.join(format!("{PREFIX}{seconds:010}.{}.{}.{number}", host(), process::id())))
}

fn seconds_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
    let digits = name.split('.').next()?;
    if digits.len() == 10 { digits.parse().ok() } else { None }
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.trim().chars().take(64).map(plain).collect();
    if name.is_empty() { "localhost".to_string() } else { name }
}

/// The event files of a run, in the order in which readers take them.
pub(super) fn event_files(directory: &Path) -> Result<Vec<PathBuf>, RecordError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(FileError::at(directory, "cannot be listed"))? {
        let entry = entry.map_err(FileError::at(directory, "cannot be listed"))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Width, height and channels of a PNG.
fn png_header(png: &[u8]) -> Option<(i32, i32, i32)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR")?;
    let (width, rest) = header.split_first_chunk::<4>()?;
    let (height, rest) = rest.split_first_chunk::<4>()?;
    let channels = match rest.get(1)? {
        0 => 1,
        2 | 3 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let size = |bytes: &[u8; 4]| i32::try_from(u32::from_be_bytes(*bytes)).ok().filter(|&size| size > 0);
    Some((size(width)?, size(height)?, channels))
}
