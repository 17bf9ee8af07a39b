//! Memory that a reader takes, and a folder for the files that it reads.

use peak_alloc::PeakAlloc;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tempfile::TempDir;

/// Memory that a reader may take whatever the input: buffers, tables of its libraries, threads.
const FLOOR: usize = 8 << 20;
/// Deflate's largest growth.
const DEFLATE: usize = 1032;
/// Bytes of memory for a byte of text: a cell of a table or a value of a JSON list is one to two bytes there and up to a hundred here.
const TEXT: usize = 200;
/// Bytes of memory for a byte of an array: an `u8` becomes an `i64` in a vector that doubles as it grows.
const NUMBERS: usize = 32;

/// How much memory an input may cost.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// Plain numbers.
    Numbers,
    /// Deflated numbers.
    Deflated,
    /// Text.
    Text,
    /// So many bytes, for what describes more than it holds.
    Bytes(usize),
}

/// Calls `read` on an input of `input` bytes.
///
/// The numbers are those of the global allocator, which the program has to set: see `tests/tests/readers.rs`. libtorch's own
/// memory is not among them; every tensor of a reader is a copy of bytes that are.
///
/// # Panics
/// When `read` takes more memory at a time than the input may cost.
pub fn within<T>(bound: Bound, input: usize, read: impl FnOnce() -> T) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let factor = match bound {
        Bound::Numbers => NUMBERS,
        Bound::Deflated => NUMBERS * DEFLATE,
        Bound::Text => TEXT,
        Bound::Bytes(_) => 0,
    };
    let most = if let Bound::Bytes(most) = bound { most } else { FLOOR + factor * input };
    let before = PeakAlloc.current_usage();
    PeakAlloc.reset_peak_usage();
    let value = read();
    let taken = PeakAlloc.peak_usage().saturating_sub(before);
    assert!(taken <= most, "{taken} bytes of memory for an input of {input}, more than {most}");
    value
}

thread_local! {
    static FOLDER: TempDir = {
        // Where one is asked to, else in memory where there is such a folder: some of what is tested waits for the disk.
        let asked = std::env::var_os("TMPDIR").map(PathBuf::from);
        let places = [asked.unwrap_or_else(|| PathBuf::from("/dev/shm")), std::env::temp_dir()];
        let place = places.iter().find_map(|place| TempDir::new_in(place).ok());
        place.expect("a temporary folder")
    };
}

/// A fresh folder of the thread's own, removed afterwards.
pub fn in_folder<T>(act: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|folder| {
        let fresh = folder.path().join("here");
        fs::create_dir(&fresh).expect("a folder");
        let value = act(&fresh);
        fs::remove_dir_all(&fresh).expect("a folder that can be removed");
        value
    })
}

/// A file of the thread's own, written anew.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        path
    })
}
