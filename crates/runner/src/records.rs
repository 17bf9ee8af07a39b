//! What a run leaves behind for people and tools, beside checkpoints and config.
//!
//! | file | writer | for |
//! |---|---|---|
//! | `events.out.tfevents.*` | [`events::EventWriter`] | `TensorBoard` |
//! | `metrics.csv` | [`metrics_csv::MetricsCsv`] | pandas, R, a spreadsheet |
//! | `summary.json` | [`summary::Summary`] | scripts |
//!
//! **Resume equals never having stopped.** Before a checkpoint of step `N` is written, the curves must be on disk
//! ([`events::EventWriter::sync`], [`metrics_csv::MetricsCsv::sync`]); a run that resumes from it opens both files with their
//! `resume` constructors, which remove everything logged after step `N`. So no point is missing and none is doubled, whatever
//! moment the process was killed at.

pub mod events;
pub mod histogram;
pub mod hparams;
pub mod layout;
pub mod metrics_csv;
pub mod purge;
pub mod summary;

mod frames;
mod messages;
mod reading;

use std::path::{Path, PathBuf};

use crate::files::FileError;

/// Why a record of a run could not be written or read back. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file system refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content is not what the file's kind asks for.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, as a sentence without a full stop.
        problem: String,
    },
}

impl RecordError {
    fn content(path: &Path, problem: impl Into<String>) -> Self {
        Self::Content { path: path.to_path_buf(), problem: problem.into() }
    }
}

#[cfg(test)]
mod tests;
