//! What a run is: one JSON file, typed, unknown fields refused.

use crate::InputError;
use elbo_core::{FieldError, ModelConfig, OptimizerConfig};
use elbo_data::{DataConfig, DataError};
use elbo_evaluation::scores::ScoreName;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

mod choices;
mod reading;

pub use choices::{Capture, DeviceChoice, Precision};
pub use reading::{Override, from_value, read_json};
pub(crate) use reading::{at, nested};

/// A whole run. `M` is the method: an enum of them (see [`crate::methods!`]), or [`Value`] where the method does not matter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig<M> {
    /// Name of the run, and of its directory below `runs/`.
    pub name: String,
    /// One seed for the model, the data's order and the noise.
    pub seed: u64,
    /// Where to compute: `auto`, `cpu`, `cuda`, `cuda:1`, …
    pub device: DeviceChoice,
    /// Arithmetic of matrix products and convolutions.
    pub precision: Precision,
    /// The data set and the batch size.
    pub data: DataConfig,
    /// The networks and the likelihood.
    pub model: ModelConfig,
    /// The objective, or the adversarial method.
    pub method: M,
    /// How parameters are updated.
    pub optimizer: OptimizerConfig,
    /// Length of the run, and how often it reports.
    pub train: TrainConfig,
}

/// Length of a run, and how often it reports; all in optimiser steps. `0` turns a report off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Steps whose mean becomes one point of each `train/` curve.
    pub log_every: u64,
    /// Steps between pictures.
    pub images_every: u64,
    /// Steps between evaluations: the exact terms, ELBO on held-out data, histograms.
    pub evaluate_every: u64,
    /// Steps between disentanglement scores, for data whose factors are known.
    #[serde(default)]
    pub score_every: u64,
    /// Which scores, over the examples of `evaluate_subset`.
    #[serde(default = "usual_scores")]
    pub scores: Vec<ScoreName>,
    /// Steps between checkpoints. The last step always writes one.
    pub checkpoint_every: u64,
    /// Checkpoints kept; older ones are removed.
    #[serde(default = "three")]
    pub keep_checkpoints: u64,
    /// Examples whose codes make q(z) in the exact terms, the same at every evaluation; 0 for the whole data set. The tag says it.
    #[serde(default = "ten_thousand")]
    pub evaluate_subset: u64,
    /// Samples of q(z) over which the exact terms are averaged.
    #[serde(default = "two_thousand")]
    pub evaluate_samples: u64,
    /// Whether a CUDA step is captured as a graph.
    pub capture: Capture,
}

/// What is due after a step.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "any of them may be due together")]
pub(crate) struct Due {
    pub(crate) log: bool,
    pub(crate) evaluate: bool,
    pub(crate) score: bool,
    pub(crate) draw: bool,
    pub(crate) save: bool,
    /// There is no step after this one.
    pub(crate) last: bool,
}

impl TrainConfig {
    /// What is due after `step` updates; the last step's reports are always due, but for those that are turned off.
    pub(crate) fn due(&self, step: u64) -> Due {
        let last = step == self.steps;
        let due = |every: u64| every > 0 && (step.is_multiple_of(every) || last);
        Due {
            log: due(self.log_every),
            evaluate: due(self.evaluate_every),
            score: due(self.score_every),
            draw: due(self.images_every),
            save: last || due(self.checkpoint_every),
            last,
        }
    }
}

fn three() -> u64 {
    3
}

fn ten_thousand() -> u64 {
    10_000
}

fn two_thousand() -> u64 {
    2_000
}

/// Those that take seconds.
fn usual_scores() -> Vec<ScoreName> {
    use ScoreName::{ActiveUnits, FactorVae, MigChen, MigHistogram, Modularity, Sap};
    vec![MigChen, MigHistogram, FactorVae, Sap, Modularity, ActiveUnits]
}

impl<M: DeserializeOwned> RunConfig<M> {
    /// Reads a configuration file and applies `--set` overrides to it before it is typed.
    ///
    /// # Errors
    /// [`InputError`] with the file, the field's path, what was expected and what was found.
    pub fn read(file: &Path, overrides: &[Override]) -> Result<Self, InputError> {
        let mut value = read_json(file)?;
        for change in overrides {
            change.apply(&mut value).map_err(|message| InputError::new(format!("--set {change}: {message}")))?;
        }
        Self::from_value(value, &file.display().to_string())
    }

    /// Types a JSON value; `origin` is what errors call it.
    ///
    /// # Errors
    /// As [`RunConfig::read`].
    pub fn from_value(value: Value, origin: &str) -> Result<Self, InputError> {
        let config: Self = reading::typed(value).map_err(|error| error.within(origin))?;
        config.check().map_err(|error| InputError::in_field(origin, &error))?;
        Ok(config)
    }
}

impl<M> RunConfig<M> {
    /// What can be checked without the data.
    fn check(&self) -> Result<(), FieldError> {
        check_name(&self.name)?;
        self.train.check().map_err(|error| below("train", error))?;
        self.optimizer.check().map_err(|error| below("optimizer", error))?;
        self.data.check().map_err(|error| match error {
            DataError::Field { field, message } => FieldError::new(format!("data.{field}"), message),
            other => FieldError::new("data", other.to_string()),
        })
    }
}

/// A run's name is a directory's name.
fn check_name(name: &str) -> Result<(), FieldError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        let message = format!("expected letters, digits, '.', '_' and '-', not starting with '.', got \"{name}\"");
        return Err(FieldError::new("name", message));
    }
    Ok(())
}

/// Puts an object's name in front of a field's.
pub(crate) fn below(object: &str, error: FieldError) -> FieldError {
    FieldError::new(format!("{object}.{}", error.field), error.message)
}

impl TrainConfig {
    fn check(&self) -> Result<(), FieldError> {
        let positive = [
            ("steps", self.steps),
            ("log_every", self.log_every),
            ("keep_checkpoints", self.keep_checkpoints),
            ("evaluate_samples", self.evaluate_samples),
        ];
        for (field, value) in positive {
            if value == 0 {
                return Err(FieldError::new(field, "expected a whole number ≥ 1, got 0"));
            }
        }
        if self.evaluate_samples < 2 {
            return Err(FieldError::new(
                "evaluate_samples",
                "expected a whole number ≥ 2, for a standard error, got 1",
            ));
        }
        if self.score_every > 0 && self.scores.is_empty() {
            return Err(FieldError::new("scores", "expected at least one score, because score_every is not 0"));
        }
        Ok(())
    }
}
