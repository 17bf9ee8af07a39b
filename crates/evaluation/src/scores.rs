//! Disentanglement scores, each under the name of its protocol, because published definitions differ (docs/mathematics.md §11).
//!
//! All of them look at a [`Table`]: codes of n images and the levels of their generative factors. They compute in float64 on the CPU, spread
//! over rayon's threads; whatever they draw comes from the seed that the caller passes, so that two calls agree to the last bit, whatever
//! the number of threads.

pub mod beta_vae;
pub mod dci;
pub mod explicitness;
pub mod sap;
pub mod table;

pub use table::Table;

use serde::Serialize;

/// A score with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// The score.
    pub value: f64,
    /// Lower end of the 95% interval over resamples.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Score {
    /// The normal interval: 1.96 standard deviations of the score over `resamples` on either side of `value`, within `[0, 1]`.
    ///
    /// Not the percentiles of the resamples: a plug-in estimate of information is biased upwards, and a resample, which repeats some points
    /// and misses others, is biased once more, so that percentiles would leave the score itself out.
    pub fn with_resamples(value: f64, resamples: &[f64]) -> Self {
        let count = resamples.len() as f64;
        assert!(count >= 2.0, "an interval needs at least two resamples, got {count}");
        let mean = resamples.iter().sum::<f64>() / count;
        let variance = resamples.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let reach = 1.96 * variance.sqrt();
        Self { value, low: (value - reach).max(0.0), high: (value + reach).min(1.0) }
    }
}

/// Seed of one of many tasks that run in any order: as good as independent of its neighbours' (splitmix64).
pub fn seed_of(seed: u64, task: u64) -> u64 {
    let mut mixed = seed.wrapping_add(task.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
