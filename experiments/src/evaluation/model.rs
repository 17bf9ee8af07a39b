//! Which model a program looks at: a run of ours, or weights from elsewhere.
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the text of --help")]

use anyhow::Result;
use elbo_runner::TrainedRun;
use elbo_runner::config::DeviceChoice;
use elbo_runner::weights::{Head, Weights};
use std::path::PathBuf;

/// A run, or weights beside a configuration.
#[derive(Debug, Clone, clap::Args)]
pub struct ModelArguments {
    /// Directory of the run
    #[arg(required_unless_present = "weights", conflicts_with = "weights")]
    run: Option<PathBuf>,
    /// A safetensors file of weights, with the names of our checkpoints (encoder.conv1.weight, ...)
    #[arg(long, value_name = "FILE", requires = "config")]
    weights: Option<PathBuf>,
    /// The configuration that describes the model and data of --weights
    #[arg(long, value_name = "CONFIG", requires = "weights")]
    config: Option<PathBuf>,
    /// How mean and log_var share the encoder's last layer in --weights: halves or interleaved
    #[arg(long, value_name = "LAYOUT", default_value = "halves", requires = "weights")]
    head: Head,
    /// A JSON object {"their name": "our name"} for --weights; ours may end in :mean or :log_var
    #[arg(long, value_name = "MAP.json", requires = "weights")]
    names: Option<PathBuf>,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX [default: where the run was trained]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
}

impl ModelArguments {
    /// Opens the model with its data; `progress` is told what takes time.
    ///
    /// # Errors
    /// When there is no such run, or the weights do not fit.
    pub fn open(&self, progress: &mut dyn FnMut(&str)) -> Result<TrainedRun> {
        match (&self.run, &self.weights, &self.config) {
            (Some(run), _, _) => TrainedRun::open(run, self.device, progress),
            (None, Some(file), Some(config)) => {
                let weights = Weights { file: file.clone(), names: self.names.clone(), head: self.head };
                TrainedRun::with_weights(config, &weights, self.device, progress)
            }
            _ => unreachable!("the command line asks for a run, or for weights and a configuration"),
        }
    }

    /// The run's directory; `None` for weights.
    pub fn run(&self) -> Option<&PathBuf> {
        self.run.as_ref()
    }
}
