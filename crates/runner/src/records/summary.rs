//! `summary.json`: a run in one object, for scripts.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RecordError;
use crate::files::{FileError, write_atomically};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All steps are done.
    Finished,
    /// Stopped by a signal; it can be resumed.
    Interrupted,
    /// Stopped because the loss was no longer finite; `divergence.json` says where.
    Diverged,
}

/// What `summary.json` holds.
///
/// ```json
/// { "elbo_version": "0.1.0", "name": "first", "status": "finished",
///   "steps": 2000, "epochs": 0.17, "images_seen": 128000,
///   "wall_seconds": 171.3, "steps_per_second": 11.9,
///   "last_checkpoint": "checkpoints/step-2000.safetensors",
///   "scalars": { "train/elbo": -41.2, "train/kl": 17.3 } }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Version of elbo that wrote it.
    pub elbo_version: String,
    /// Name of the run.
    pub name: String,
    /// How the run stands.
    pub status: Status,
    /// Updates done.
    pub steps: u64,
    /// Passes through the training data, fractions included.
    pub epochs: f64,
    /// Training images seen, repetitions included.
    pub images_seen: u64,
    /// Seconds spent in all sessions of the run together.
    pub wall_seconds: f64,
    /// Updates per second, over the last session.
    pub steps_per_second: f64,
    /// The checkpoint that a resume would start from, relative to the run's folder.
    pub last_checkpoint: Option<PathBuf>,
    /// The last value of every curve, by tag, in the order in which they were logged. A value that is not finite is `null`.
    #[serde(with = "scalars_as_object")]
    pub scalars: Vec<(String, f64)>,
    /// Results beyond curves, such as exact terms with their standard errors.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub results: Map<String, Value>,
}

impl Summary {
    /// The object as it is printed and stored.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("a summary has text keys only")
    }

    /// Replaces `path` by this summary.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RecordError> {
        Ok(write_atomically(path, format!("{:#}\n", self.to_json()).as_bytes())?)
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// When the file cannot be read or is not a summary.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let bytes = fs::read(path).map_err(FileError::at(path, "cannot be read"))?;
        serde_json::from_slice(&bytes).map_err(|error| RecordError::content(path, error.to_string()))
    }
}

/// JSON has no `NaN`: it is `null` there.
mod scalars_as_object {
    use serde::ser::SerializeMap;
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::{Map, Value};

    pub(super) fn serialize<S: Serializer>(scalars: &[(String, f64)], serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(scalars.len()))?;
        for (tag, value) in scalars {
            object.serialize_entry(tag, &value.is_finite().then_some(value))?;
        }
        object.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, f64)>, D::Error> {
        Map::<String, Value>::deserialize(deserializer)?
            .into_iter()
            .map(|(tag, value)| match (&value, value.as_f64()) {
                (Value::Null, _) => Ok((tag, f64::NAN)),
                (_, Some(number)) => Ok((tag, number)),
                _ => Err(serde::de::Error::custom(format!("scalars.{tag}: expected a number or null, got {value}"))),
            })
            .collect()
    }
}
