//! What a study is made with: one JSON object.

use super::avb::AvbSettings;
use super::gaussians::GaussianSettings;
use super::hmc::HmcSettings;
use anyhow::Result;
use elbo_core::config::count;
use elbo_runner::InputError;
use elbo_runner::config::{Override, read_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

const QUICK: &str = include_str!("../../configs/eight_schools/quick.json");
const PUBLISHED: &str = include_str!("../../configs/eight_schools/published.json");

/// Everything but the seed and the device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The reference.
    pub hmc: HmcSettings,
    /// The two Gaussians.
    pub gaussians: GaussianSettings,
    /// The one estimator that all approximations are read with.
    pub estimator: EstimatorSettings,
    /// Contrast with the prior.
    pub avb: AvbSettings,
    /// Contrast with a Gaussian of the batch's moments.
    pub avb_adaptive_contrast: AvbSettings,
}

/// Nearest neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EstimatorSettings {
    /// k.
    #[serde(deserialize_with = "count")]
    pub neighbours: usize,
    /// Samples of each distribution.
    #[serde(deserialize_with = "count")]
    pub samples: i64,
}

impl Settings {
    /// `quick`, `published`, or a file; then the changes.
    ///
    /// # Errors
    /// One line that names the file and the field.
    pub fn read(name: &str, changes: &[Override]) -> Result<Self> {
        let mut value: Value = match name {
            "quick" => serde_json::from_str(QUICK)?,
            "published" => serde_json::from_str(PUBLISHED)?,
            file if Path::new(file).exists() => read_json(Path::new(file))?,
            other => {
                let line = format!("--settings: expected quick, published or a file, got {other:?}");
                return Err(InputError::new(line).into());
            }
        };
        for change in changes {
            change.apply(&mut value).map_err(|problem| InputError::new(format!("--set {change}: {problem}")))?;
        }
        let settings: Self = serde_path_to_error::deserialize(value).map_err(|error| {
            let (path, problem) = (error.path().to_string(), error.into_inner());
            InputError::new(format!("{name}: {path}: {problem}"))
        })?;
        settings.check(name)?;
        Ok(settings)
    }

    /// What serde cannot see: fields that have to fit each other.
    fn check(&self, name: &str) -> Result<()> {
        let refuse = |line: String| Err(InputError::new(format!("{name}: {line}")).into());
        let Self { hmc, estimator, .. } = self;
        if hmc.chains < 2 || hmc.chains % 2 != 0 {
            return refuse(format!(
                "hmc.chains: expected an even number, half of them on either side, got {}",
                hmc.chains
            ));
        }
        if hmc.draws < 16 {
            return refuse(format!("hmc.draws: expected an integer ≥ 16, got {}", hmc.draws));
        }
        if !(0.1..1.0).contains(&hmc.target_acceptance) {
            return refuse(format!(
                "hmc.target_acceptance: expected a number from 0.1 to 1, got {}",
                hmc.target_acceptance
            ));
        }
        // A quarter of the samples is read as well, and the error bar takes sixteen parts of it.
        let least = 64 * (estimator.neighbours as i64 + 1);
        let most = hmc.chains * hmc.draws / 2;
        if !(least..=most).contains(&estimator.samples) {
            return refuse(format!(
                "estimator.samples: expected from {least} (64 (neighbours + 1)) to {most} (half of the chains' draws), got {}",
                estimator.samples
            ));
        }
        for (field, avb) in [("avb", &self.avb), ("avb_adaptive_contrast", &self.avb_adaptive_contrast)] {
            if avb.adaptive_contrast != (field == "avb_adaptive_contrast") {
                return refuse(format!("{field}.adaptive_contrast: expected {}", !avb.adaptive_contrast));
            }
            if avb.batch_size < 2 {
                return refuse(format!("{field}.batch_size: expected an integer ≥ 2, got {}", avb.batch_size));
            }
        }
        Ok(())
    }
}
