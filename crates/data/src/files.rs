//! Files written whole or not at all, and memory that grows with what was really read.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::DataError;

/// Deflate cannot grow its input by more than this factor: a compressed file that promises more is lying.
pub(crate) const DEFLATE_LIMIT: u64 = 1032;

/// Writes `path` through a file beside it that is renamed once it is complete and on disk, so that nobody ever sees half
/// of it. Whatever file `path` was before stays until then; a link stays a link, to a new file.
///
/// # Errors
/// [`DataError::Write`], or what `content` returns; the file beside is removed.
pub fn write_beside<T>(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<T, DataError>,
) -> Result<T, DataError> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let no_file = |what: &str| DataError::write(path, io::Error::new(io::ErrorKind::InvalidInput, what));
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if target.exists() && !target.is_file() {
        // A rename would take the place of a device just as well.
        return Err(no_file("expected a file or a free name, got a folder or a device"));
    }
    let name = target.file_name().ok_or_else(|| no_file("expected a path that ends in a file name"))?;
    let mut beside_name = std::ffi::OsString::from(".");
    beside_name.push(name);
    beside_name.push(format!(".{}-{}.partial", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
    let beside = target.with_file_name(beside_name);

    let written = write_new(&beside, path, content).and_then(|value| {
        fs::rename(&beside, &target).map_err(|cause| DataError::write(path, cause))?;
        Ok(value)
    });
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_new<T>(
    beside: &Path,
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let wrap = |cause| DataError::write(path, cause);
    let file = File::options().write(true).create_new(true).open(beside).map_err(wrap)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let value = content(&mut writer)?;
    writer.flush().map_err(wrap)?;
    writer.get_ref().sync_all().map_err(wrap)?;
    Ok(value)
}

/// The folder for what can be made again: `$ELBO_CACHE`, else `$XDG_CACHE_HOME/elbo`, else `~/.cache/elbo`.
/// `None` when `ELBO_CACHE` is set to nothing, or when there is no home.
pub fn cache_folder() -> Option<PathBuf> {
    if std::env::var_os("ELBO_CACHE").is_some() {
        return chosen_cache_folder();
    }
    variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache"))).map(|folder| folder.join("elbo"))
}

/// `$ELBO_CACHE` alone, for what is hardly worth its place on a disk.
pub(crate) fn chosen_cache_folder() -> Option<PathBuf> {
    variable("ELBO_CACHE")
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{byte:02x}"));
    }
    text
}

/// Grows `bytes` by `extra` bytes of room, or says that there is no memory, instead of ending the process.
pub(crate) fn reserve(bytes: &mut Vec<u8>, extra: usize) -> Result<(), DataError> {
    let total = (bytes.len() as u64).saturating_add(extra as u64);
    bytes.try_reserve(extra).map_err(|cause| DataError::Memory { bytes: total, detail: cause.to_string() })
}

/// A vector of `len` zeros, or the error that there is no memory.
pub(crate) fn zeros(len: usize) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|cause| DataError::Memory { bytes: len as u64, detail: cause.to_string() })?;
    bytes.resize(len, 0);
    Ok(bytes)
}
