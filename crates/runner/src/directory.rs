//! A run's directory: made once, locked while in use, never overwritten.

use crate::InputError;
use serde_json::Value;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

const CONFIG: &str = "config.json";
const LOCK: &str = ".lock";

/// `runs/<name>`, locked for this process as long as the value lives.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Holds the lock; the system lets go of it however the process ends.
    _lock: File,
}

/// What is at a path where a run should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or an empty directory.
    Nothing,
    /// A run: its `config.json` is there.
    Run,
    /// A directory of a run that ended before its `config.json` was written.
    Unfinished,
}

impl RunDirectory {
    /// Looks, and changes nothing.
    ///
    /// # Errors
    /// When the path is no directory, or holds something else than a run.
    pub fn look(path: &Path) -> Result<Found, InputError> {
        let name = path.display();
        if path.join(CONFIG).is_file() {
            return Ok(Found::Run);
        }
        match fs::read_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) => Err(InputError::new(format!("{name}: cannot be used as a run directory: {error}"))),
            Ok(entries) => {
                let mut found = Found::Nothing;
                for entry in entries {
                    let entry = entry.map_err(|error| InputError::new(format!("{name}: cannot be read: {error}")))?;
                    let entry = entry.file_name();
                    let ours = entry == LOCK || entry.to_string_lossy().starts_with(&format!(".{CONFIG}"));
                    if !ours {
                        // Another process may have begun a run here since the look above: its config.json comes before all of these.
                        if path.join(CONFIG).is_file() {
                            return Ok(Found::Run);
                        }
                        let message = "expected a new or empty directory, or a run's; found other files";
                        return Err(InputError::new(format!("{name}: {message}")));
                    }
                    found = Found::Unfinished;
                }
                Ok(found)
            }
        }
    }

    /// Makes the directory where it is missing, and locks it.
    ///
    /// # Errors
    /// When another process uses it, or it cannot be made or written.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let name = path.display();
        fs::create_dir_all(path).map_err(|error| InputError::new(format!("{name}: cannot be made: {error}")))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join(LOCK))
            .map_err(|error| InputError::new(format!("{name}: cannot be written: {error}")))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(in_use(path)),
            Err(TryLockError::Error(error)) => {
                Err(InputError::new(format!("{name}: cannot be locked (does its file system have locks?): {error}")))
            }
        }
    }

    /// Refuses a directory that another process uses, and changes nothing.
    ///
    /// # Errors
    /// When it is in use.
    pub fn refuse_locked(path: &Path) -> Result<(), InputError> {
        let Ok(lock) = File::open(path.join(LOCK)) else { return Ok(()) };
        match lock.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Err(in_use(path)),
            _ => Ok(()),
        }
    }

    /// Refuses a path below which nothing can be written, and leaves nothing behind.
    ///
    /// # Errors
    /// When it cannot be written; the line names the nearest directory that exists.
    pub fn probe(path: &Path) -> Result<(), InputError> {
        let existing = path.ancestors().find(|place| place.exists()).unwrap_or(Path::new(""));
        let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        let probe = existing.join(format!(".elbo-probe-{}", std::process::id()));
        let made = File::options().write(true).create_new(true).open(&probe);
        made.and_then(|_| fs::remove_file(&probe)).map_err(|error| {
            InputError::new(format!("{}: cannot be written: {}: {error}", path.display(), existing.display()))
        })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.json`.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// `checkpoints/`.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// `images/`.
    pub fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    /// `summary.json`.
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// `metrics.csv`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.csv")
    }

    /// `divergence.json`.
    pub fn divergence(&self) -> PathBuf {
        self.path.join("divergence.json")
    }
}

fn in_use(path: &Path) -> InputError {
    InputError::new(format!(
        "{}: is in use by another process; wait for it, or give this run another --run-dir",
        path.display()
    ))
}

/// The configuration that a run was started with: the object `config` of its `config.json`.
///
/// # Errors
/// When there is no run, or its file is damaged.
pub fn stored_config(run: &Path) -> Result<Value, InputError> {
    let file = run.join(CONFIG);
    if !file.exists() {
        return Err(InputError::new(format!("{}: expected a run's directory, with its {CONFIG}", run.display())));
    }
    match crate::config::read_json(&file)? {
        Value::Object(mut object) => {
            object.shift_remove("config").ok_or_else(|| InputError::new(format!("{}: config: missing", file.display())))
        }
        _ => Err(InputError::new(format!("{}: expected an object with the field config", file.display()))),
    }
}
