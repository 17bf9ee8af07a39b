//! Named tensors, and errors that name a configuration field.

use tch::Tensor;

/// Tensors with their names, in a fixed order. The name is the checkpoint's key (`encoder.conv1.weight`); the tensors are live:
/// handles to what the owner computes with, restored with `copy_` so that addresses stay.
pub type NamedTensors = Vec<(String, Tensor)>;

/// The same tensors under `prefix.`: `prefixed("encoder", …)` turns `conv1.weight` into `encoder.conv1.weight`.
pub fn prefixed(prefix: &str, tensors: NamedTensors) -> NamedTensors {
    tensors.into_iter().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)).collect()
}

/// A configuration value that parses but does not fit, with the field that has to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// Path of the field below the object that was checked, for example `hidden` (the caller knows that this is `model.hidden`).
    pub field: String,
    /// What was expected and what was found.
    pub message: String,
}

impl FieldError {
    /// An error about `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same error as seen from the object that holds the checked one: `hidden` becomes `model.hidden`.
    pub fn under(self, parent: &str) -> Self {
        Self { field: format!("{parent}.{}", self.field), ..self }
    }

    /// `expected <expected>, got <got>`.
    pub fn expected(field: impl Into<String>, expected: &str, got: impl std::fmt::Display) -> Self {
        Self::new(field, format!("expected {expected}, got {got}"))
    }
}
