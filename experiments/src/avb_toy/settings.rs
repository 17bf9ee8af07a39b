//! The settings of an experiment, one JSON object.

use anyhow::Result;
use elbo_adversarial::Avb;
use elbo_core::{FieldError, ModelConfig, OptimizerConfig, config};
use elbo_runner::InputError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything that the figures depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seed of parameters, data and noise.
    pub seed: u64,
    /// The variational autoencoder.
    pub vae: VaeSettings,
    /// Adversarial variational Bayes.
    pub avb: AvbSettings,
    /// How both are measured.
    pub measurement: Measurement,
}

/// Training with a Gaussian posterior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeSettings {
    /// Encoder and decoder.
    pub model: ModelConfig,
    /// Points of a batch, each drawn uniformly from the four.
    #[serde(deserialize_with = "config::count")]
    pub batch_size: i64,
    /// Updates.
    #[serde(deserialize_with = "config::count")]
    pub steps: u64,
    /// Seeds that are tried, `seed` and those after it; the one with the highest ELBO is kept.
    #[serde(deserialize_with = "config::count")]
    pub starts: u64,
    /// The rule of updating.
    pub optimizer: OptimizerConfig,
}

/// Training with an implicit posterior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvbSettings {
    /// Encoder and decoder.
    pub model: ModelConfig,
    /// Points of a batch.
    #[serde(deserialize_with = "config::count")]
    pub batch_size: i64,
    /// Updates of the model.
    #[serde(deserialize_with = "config::count")]
    pub steps: u64,
    /// The rule of updating the model.
    pub optimizer: OptimizerConfig,
    /// The game.
    pub method: Avb,
}

/// How the figures are taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The plane is summed over from −extent to extent in both coordinates.
    pub extent: f64,
    /// Distance between two points of the grid.
    pub grid_step: f64,
    /// Samples of the implicit posterior, a quarter for each point.
    #[serde(deserialize_with = "config::count")]
    pub samples: i64,
    /// Width of the finer histogram's bins; the coarser one's are twice as wide.
    pub bin_width: f64,
    /// Samples of the estimate by nearest neighbours, a quarter for each point.
    #[serde(deserialize_with = "config::count")]
    pub neighbour_samples: i64,
}

/// The names of the shipped settings.
pub const NAMES: [&str; 2] = ["quick", "published"];

impl Settings {
    /// Shipped settings by their name, or those of a JSON file.
    ///
    /// # Errors
    /// One line that names the file and the field.
    pub fn read(name: &str) -> Result<Self> {
        let shipped = |text: &str| serde_json::from_str(text).expect("the shipped settings are JSON");
        let value = match name {
            "quick" => shipped(include_str!("../../configs/avb_toy/quick.json")),
            "published" => shipped(include_str!("../../configs/avb_toy/published.json")),
            file if Path::new(file).exists() => elbo_runner::config::read_json(Path::new(file))?,
            other => {
                let expected = format!("expected {}, or a JSON file that exists, got {other}", NAMES.join(", "));
                return Err(InputError::new(format!("--settings: {expected}")).into());
            }
        };
        let settings: Self = elbo_runner::config::from_value(value, name)?;
        settings.check().map_err(|error| InputError::in_field(name, &error))?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), FieldError> {
        for (name, model) in [("vae", &self.vae.model), ("avb", &self.avb.model)] {
            model.check(super::training::IMAGE).map_err(|error| error.under("model").under(name))?;
            if model.latent != 2 {
                let field = format!("{name}.model.latent");
                return Err(FieldError::expected(field, "2, for everything is measured in a plane", model.latent));
            }
        }
        if self.vae.model.posterior.is_some() {
            return Err(FieldError::new("vae.model.posterior", "expected none, for the VAE's posterior is Gaussian"));
        }
        if self.avb.model.posterior.is_none() {
            return Err(FieldError::new("avb.model.posterior", "expected an implicit posterior, got none"));
        }
        let Measurement { extent, grid_step, bin_width, samples, neighbour_samples } = self.measurement;
        for (field, value, largest) in
            [("extent", extent, 100.0), ("grid_step", grid_step, 0.5), ("bin_width", bin_width, 1.0)]
        {
            if !(value > 0.0 && value <= largest) {
                return Err(FieldError::expected(
                    format!("measurement.{field}"),
                    &format!("a number > 0 and ≤ {largest}"),
                    value,
                ));
            }
        }
        for (field, value, least) in [("samples", samples, 4 * BLOCK), ("neighbour_samples", neighbour_samples, 1000)] {
            if value < least {
                return Err(FieldError::expected(
                    format!("measurement.{field}"),
                    &format!("an integer ≥ {least}"),
                    value,
                ));
            }
        }
        Ok(())
    }
}

/// Samples that are drawn at once, for one point.
pub(super) const BLOCK: i64 = 10_000;
