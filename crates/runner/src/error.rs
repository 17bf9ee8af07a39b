//! Why a run could not start or go on.

use elbo_core::FieldError;
use std::path::PathBuf;

/// Something that the user can put right: one line that names the file or field and what was expected. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InputError(String);

impl InputError {
    /// An error with its whole line.
    pub fn new(line: impl Into<String>) -> Self {
        Self(one_line(&line.into()))
    }

    /// `origin: field: message`.
    pub fn in_field(origin: &str, error: &FieldError) -> Self {
        Self::new(format!("{origin}: {}: {}", error.field, error.message))
    }
}

/// What a file says may hold any character: those that would break the line, or steer a terminal, are written as escapes.
pub(crate) fn one_line(text: &str) -> String {
    let escaped = |character: char| {
        if character.is_control() { character.escape_debug().to_string() } else { character.to_string() }
    };
    text.chars().map(escaped).collect()
}

/// What was to be checked does not hold: one line that says what. Exit code 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CheckFailed(pub String);

/// The loss or a gradient was not finite. Exit code 3.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the loss or a gradient of step {step} was not finite; its terms are in {}", report.display())]
pub struct Diverged {
    /// The step whose update was skipped, counted from 1.
    pub step: u64,
    /// `divergence.json`.
    pub report: PathBuf,
}

/// Another process of the run is gone, or kept this one waiting for too long: the line names it. Exit code 4.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RankLost(pub String);

/// A signal ended work that leaves nothing half done. Exit code 130.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;
