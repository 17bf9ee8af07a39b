//! How the error grows: with D, with 1/σ, with small batches and with small networks.

use super::critics::CriticName;
use super::encoders::{KnownEncoder, LinearGaussian};
use super::measure::{Contrast, Measurement, Problem};
use super::study::{Settings, train};
use anyhow::Result;
use serde::Serialize;
use tch::Device;

/// Values of D.
const DIMENSIONS: [i64; 4] = [1, 2, 4, 8];
/// Values of 1/σ.
const INVERSE_SIGMAS: [f64; 5] = [1.25, 2.0, 4.0, 8.0, 16.0];
/// Values of B, at the same number of pairs.
const BATCH_SIZES: [i64; 5] = [64, 256, 1024, 4096, 16384];
/// Values of the network's width.
const WIDTHS: [i64; 5] = [4, 8, 16, 32, 64];

/// One curve's points at one value.
#[derive(Debug, Clone, Serialize)]
pub struct SweepPoint {
    /// What is varied: `dimension`, `inverse_sigma`, `batch_size` or `width`; all else is as in the settings.
    pub varied: &'static str,
    /// Its value.
    pub value: f64,
    /// The critic.
    pub critic: &'static str,
    /// How near T is to T* at the end.
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// The four quantities that are varied, in the order of panels.
pub const VARIED: [&str; 4] = ["dimension", "inverse_sigma", "batch_size", "width"];

/// Trains critics around the case D = `dimension`, σ = `sigma` of the linear-Gaussian encoder; `progress` hears what is being done,
/// then how many of all trainings.
///
/// # Errors
/// `progress`'s own, and when libtorch does.
pub fn sweep(
    (dimension, sigma): (i64, f64),
    settings: &Settings,
    device: Device,
    progress: &mut dyn FnMut(&str, usize, usize) -> Result<()>,
) -> Result<Vec<SweepPoint>> {
    use CriticName::{Mlp, Quadratic, QuadraticAdam};
    let usual = (dimension, sigma, *settings);
    let mut cases = Vec::new();
    for critic in [Quadratic, Mlp] {
        cases.extend(DIMENSIONS.map(|value| ("dimension", value as f64, critic, (value, usual.1, usual.2))));
        cases.extend(INVERSE_SIGMAS.map(|value| ("inverse_sigma", value, critic, (usual.0, value.recip(), usual.2))));
    }
    let pairs = settings.steps * settings.batch_size as u64;
    for critic in [QuadraticAdam, Mlp] {
        cases.extend(BATCH_SIZES.map(|value| {
            let steps = (pairs / value as u64).max(1);
            ("batch_size", value as f64, critic, (usual.0, usual.1, Settings { batch_size: value, steps, ..*settings }))
        }));
    }
    cases.extend(WIDTHS.map(|value| {
        let mut settings = *settings;
        settings.capacity.width = value;
        ("width", value as f64, Mlp, (usual.0, usual.1, settings))
    }));
    let total = cases.len();
    let mut found: Vec<SweepPoint> = Vec::new();
    for (index, (varied, value, critic, (dimension, sigma, settings))) in cases.into_iter().enumerate() {
        let what = format!("{critic} at {varied} {value}");
        let encoder = LinearGaussian::new(dimension, sigma);
        let encoder: &dyn KnownEncoder = &encoder;
        let problem = Problem { encoder, contrast: Contrast::Prior };
        let outcome = train(critic, &problem, &settings, device, false, &mut |_, _| progress(&what, index, total))?;
        found.push(SweepPoint { varied, value, critic: critic.name(), measurement: outcome.last });
    }
    found.sort_by_key(|point| VARIED.iter().position(|varied| *varied == point.varied));
    Ok(found)
}
