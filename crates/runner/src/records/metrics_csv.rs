//! `metrics.csv`: every logged scalar, one row each.
//!
//! ```text
//! step,tag,value
//! 100,train/elbo,-95.21875
//! ```
//!
//! Long rather than wide, because tags differ from step to step (exact terms are rarer than losses). Values are printed so that
//! the same `f64` is read back, with `NaN`, `inf` and `-inf`. With pandas:
//!
//! ```python
//! curves = pd.read_csv("metrics.csv").pivot(index="step", columns="tag", values="value")
//! ```

use std::fs;
use std::io;
use std::path::Path;

use super::RecordError;
use crate::files::{AppendFile, FileError, write_atomically};

const HEADER: &str = "step,tag,value\n";

/// One row of `metrics.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Step of the point.
    pub step: u64,
    /// Tag of the curve.
    pub tag: String,
    /// Value of the point.
    pub value: f64,
}

/// Writes `metrics.csv`.
///
/// The rows of one step reach the file together. What an earlier process left torn is removed by [`MetricsCsv::resume`].
#[derive(Debug)]
pub struct MetricsCsv {
    file: AppendFile,
}

impl MetricsCsv {
    /// A new file with its header, in place of one that a start without a checkpoint left.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn start(path: &Path) -> Result<Self, RecordError> {
        write_atomically(path, HEADER.as_bytes())?;
        Ok(Self { file: AppendFile::open(path)? })
    }

    /// Continues `path` after `step`: later rows are removed, and lines that are no rows, such as one a killed process left
    /// torn. A file that is not there is begun.
    ///
    /// # Errors
    /// When the file is something else than a `metrics.csv`, or cannot be read or written.
    pub fn resume(path: &Path, step: u64) -> Result<Self, RecordError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::start(path),
            Err(error) => return Err(FileError::at(path, "cannot be read")(error).into()),
        };
        let kept = rows_until(path, &bytes, step)?;
        if kept != bytes {
            write_atomically(path, &kept)?;
        }
        Ok(Self { file: AppendFile::open(path)? })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Writes the points of one step.
    ///
    /// # Errors
    /// When the disk refuses; the rows then wait for the next time.
    pub fn log(&mut self, step: u64, scalars: &[(String, f64)]) -> Result<(), RecordError> {
        for (tag, value) in scalars {
            self.file.push(row(step, tag, *value).as_bytes());
        }
        Ok(self.file.commit()?)
    }

    /// Waits until the disk has all rows. Before every checkpoint.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<(), RecordError> {
        Ok(self.file.sync()?)
    }
}

/// All rows of `path`; lines that are no rows are passed over.
///
/// # Errors
/// When the file is something else than a `metrics.csv`, or cannot be read.
pub fn read(path: &Path) -> Result<Vec<Metric>, RecordError> {
    let bytes = fs::read(path).map_err(FileError::at(path, "cannot be read"))?;
    Ok(lines(path, &bytes)?.filter_map(parse).collect())
}

/// `{:?}` of a number is the shortest text that is read back as the same number.
fn row(step: u64, tag: &str, value: f64) -> String {
    format!("{step},{},{value:?}\n", quoted(tag))
}

/// A tag as a CSV field. Line ends become blanks: a row is a line, also for a reader that looks for a torn one.
fn quoted(tag: &str) -> String {
    let tag = tag.replace(['\n', '\r'], " ");
    if tag.contains([',', '"']) { format!("\"{}\"", tag.replace('"', "\"\"")) } else { tag }
}

fn rows_until(path: &Path, bytes: &[u8], step: u64) -> Result<Vec<u8>, RecordError> {
    let mut kept = HEADER.as_bytes().to_vec();
    for line in lines(path, bytes)? {
        if parse(line).is_some_and(|metric| metric.step <= step) {
            kept.extend_from_slice(line);
        }
    }
    Ok(kept)
}

/// The lines after the header, with their line ends. A file cut within its header has none.
fn lines<'a>(path: &Path, bytes: &'a [u8]) -> Result<impl Iterator<Item = &'a [u8]>, RecordError> {
    let rows = match bytes.strip_prefix(HEADER.as_bytes()) {
        Some(rows) => rows,
        None if HEADER.as_bytes().starts_with(bytes) => &[],
        None => {
            let problem = format!("expected the first line {}; move the file away to go on", HEADER.trim_end());
            return Err(RecordError::content(path, problem));
        }
    };
    Ok(rows.split_inclusive(|&byte| byte == b'\n'))
}

/// The row that a line holds, if it is whole.
fn parse(line: &[u8]) -> Option<Metric> {
    let line = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (step, rest) = line.split_once(',')?;
    let (tag, value) = rest.rsplit_once(',')?;
    let tag = match tag.strip_prefix('"') {
        Some(tag) => tag.strip_suffix('"')?.replace("\"\"", "\""),
        None => tag.to_string(),
    };
    Some(Metric { step: step.parse().ok()?, tag, value: value.parse().ok()? })
}
