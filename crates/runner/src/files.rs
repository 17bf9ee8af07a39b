//! Files that a killed process, a full disk or a second reader cannot leave half-written.
//!
//! Two ways cover everything a run writes: [`write_atomically`] for a file that is replaced as a whole (`summary.json`, a
//! checkpoint, a picture), and [`AppendFile`] for one that only grows (`metrics.csv`, event files). Every error names the file.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file or folder that could not be read or written, and why.
///
/// The message is one line, `PATH: what failed: why`; the cause is in it, so it is not repeated as [`std::error::Error::source`].
#[derive(Debug, thiserror::Error)]
#[error("{}: {action}: {reason}", path.display())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// What failed, such as `cannot be written`.
    pub action: &'static str,
    /// What the operating system said.
    pub reason: io::Error,
}

impl FileError {
    /// An error about `path`, to be used with `map_err`.
    pub fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |reason| Self { path: path.to_path_buf(), action, reason }
    }
}

/// Replaces `path` by `bytes`: readers see the old file or the new one, also after a crash, never a part.
///
/// # Errors
/// When the folder or the disk refuses; the old file is then untouched and nothing is left beside it.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomically_with(path, |file| file.write_all(bytes))
}

/// As [`write_atomically`], the content written by `content` through a buffer.
///
/// The content goes to a hidden file beside `path`, reaches the disk, and takes its name; then the folder reaches the disk.
///
/// # Errors
/// Those of `content` and of the file system, under the name of `path`.
pub fn write_atomically_with(
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let failed = || FileError::at(path, "cannot be written");
    let temporary = Temporary::beside(path).map_err(failed())?;
    temporary.fill(content).map_err(failed())?;
    temporary.rename_to(path).map_err(failed())
}

/// Removes what processes that are gone (or this one, earlier) left of their [`write_atomically`] in `directory`; returns how many.
///
/// To be called by whoever owns the folder alone, as a run does while it holds its lock.
///
/// # Errors
/// When the folder cannot be listed or a leftover cannot be removed.
pub fn remove_leftovers(directory: &Path) -> Result<usize, FileError> {
    let mut removed = 0;
    for entry in fs::read_dir(directory).map_err(FileError::at(directory, "cannot be listed"))? {
        let entry = entry.map_err(FileError::at(directory, "cannot be listed"))?;
        let Some(owner) = owner_of_temporary(&entry.file_name()) else { continue };
        if owner != process::id() && is_running(owner) {
            continue;
        }
        let path = entry.path();
        fs::remove_file(&path).map_err(FileError::at(&path, "left by an earlier run, cannot be removed"))?;
        removed += 1;
    }
    Ok(removed)
}

/// The process that made the temporary file `name` = `.<file>.tmp-<process>-<n>`, if it is one.
fn owner_of_temporary(name: &OsStr) -> Option<u32> {
    let (file, marks) = name.to_str()?.strip_prefix('.')?.rsplit_once(".tmp-")?;
    let (owner, number) = marks.split_once('-')?;
    number.parse::<u64>().ok()?;
    if file.is_empty() { None } else { owner.parse().ok() }
}

fn is_running(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// A hidden file beside the one it will become; removed unless it became it.
struct Temporary {
    path: PathBuf,
    renamed: bool,
}

impl Temporary {
    fn beside(path: &Path) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = path
            .file_name()
            .and_then(OsStr::to_str)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name that is text"))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = path.with_file_name(format!(".{name}.tmp-{}-{number}", process::id()));
        Ok(Self { path, renamed: false })
    }

    fn fill(&self, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = BufWriter::new(File::create(&self.path)?);
        content(&mut buffer)?;
        buffer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }

    fn rename_to(mut self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)?;
        self.renamed = true;
        sync_directory_of(path);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.renamed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a new name last through a power cut where the file system can. Not every one allows it on a folder, and the name is
/// there already, so a refusal is not an error.
fn sync_directory_of(path: &Path) {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

/// A file that grows by whole pieces.
///
/// What is written waits in memory until [`AppendFile::commit`]. If that fails (a full disk), the file is cut back to its last
/// whole piece and the bytes go on waiting, so a later commit continues without a gap or a torn piece.
#[derive(Debug)]
pub struct AppendFile {
    path: PathBuf,
    file: File,
    pending: Vec<u8>,
    length: u64,
}

impl AppendFile {
    /// A new file.
    ///
    /// # Errors
    /// When it exists already (`reason` is of kind `AlreadyExists`) or cannot be made.
    pub fn create_new(path: &Path) -> Result<Self, FileError> {
        let file = Self::open_with(path, OpenOptions::new().write(true).create_new(true))?;
        sync_directory_of(path);
        Ok(file)
    }

    /// The file `path`, made if it is not there, to be continued at its end.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, OpenOptions::new().write(true).create(true).truncate(false))
    }

    fn open_with(path: &Path, options: &OpenOptions) -> Result<Self, FileError> {
        let file = options.open(path).map_err(FileError::at(path, "cannot be opened for writing"))?;
        let length = file.metadata().map_err(FileError::at(path, "cannot be opened for writing"))?.len();
        Ok(Self { path: path.to_path_buf(), file, pending: Vec::new(), length })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds `bytes` to what the next [`AppendFile::commit`] writes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Bytes that wait for [`AppendFile::commit`].
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// Writes what waits: all of it or, with an error, nothing.
    ///
    /// # Errors
    /// When the disk refuses. The bytes go on waiting.
    pub fn commit(&mut self) -> Result<(), FileError> {
        match self.file.write_all_at(&self.pending, self.length) {
            Ok(()) => {
                self.length += self.pending.len() as u64;
                self.pending.clear();
                Ok(())
            }
            Err(reason) => {
                let _ = self.file.set_len(self.length);
                Err(FileError { path: self.path.clone(), action: "cannot be written", reason })
            }
        }
    }

    /// [`AppendFile::commit`], and waits until the disk has it.
    ///
    /// # Errors
    /// As [`AppendFile::commit`].
    pub fn sync(&mut self) -> Result<(), FileError> {
        self.commit()?;
        self.file.sync_data().map_err(FileError::at(&self.path, "cannot be written"))
    }
}

/// Writing is [`AppendFile::push`], flushing is [`AppendFile::commit`].
impl Write for AppendFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.commit().map_err(|error| error.reason)
    }
}

impl Drop for AppendFile {
    fn drop(&mut self) {
        let _ = self.commit();
    }
}

#[cfg(test)]
mod tests;
