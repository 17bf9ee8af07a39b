//! Disentanglement scores, each under the name of its protocol, because published definitions differ (docs/mathematics.md §11).
//!
//! All of them look at a [`Table`]: codes of n images and the levels of their generative factors. They compute in float64 on the CPU, spread
//! over rayon's threads; whatever they draw comes from the seed that the caller passes, so that two calls agree to the last bit, whatever
//! the number of threads.

pub mod beta_vae;
pub mod dci;
pub mod explicitness;
pub mod factor_vae;
pub mod information;
pub mod irs;
pub mod mig_chen;
pub mod moments;
pub mod sap;
pub mod suite;
pub mod table;
pub mod udr;

pub use beta_vae::beta_vae;
pub use dci::dci;
pub use explicitness::explicitness;
pub use factor_vae::factor_vae;
pub use information::{mig_histogram, modularity};
pub use irs::irs;
pub use mig_chen::mig_chen;
pub use moments::{active_units, gaussian_total_correlation};
pub use sap::{sap, sap_continuous};
pub use suite::ScoreName;
pub use table::Table;
pub use udr::udr;

use rayon::prelude::*;
use serde::Serialize;
use std::ops::RangeInclusive;

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
    /// The normal interval: 1.96 standard deviations of the score over `resamples` on either side of `value`, within `[0, 1]`; without
    /// resamples no interval but the value.
    ///
    /// Not the percentiles of the resamples: a plug-in estimate of information is biased upwards, and a resample, which repeats some points
    /// and misses others, is biased once more, so that percentiles would leave the score itself out.
    pub fn with_resamples(value: f64, resamples: &[f64]) -> Self {
        Self::within(0.0..=1.0, value, resamples)
    }

    /// The same for a score with another range.
    pub fn within(range: RangeInclusive<f64>, value: f64, resamples: &[f64]) -> Self {
        // Zero has one sign.
        let value = value + 0.0;
        if resamples.is_empty() {
            return Self { value, low: value, high: value };
        }
        let count = resamples.len() as f64;
        assert!(count >= 2.0, "an interval needs at least two resamples, got one");
        let mean = resamples.iter().sum::<f64>() / count;
        let variance = resamples.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let reach = 1.96 * variance.sqrt();
        Self { value, low: (value - reach).max(*range.start()), high: (value + reach).min(*range.end()) }
    }
}

/// `score` of `count` draws of `rows` rows with replacement, in parallel.
pub(crate) fn bootstrap(rows: usize, count: usize, seed: u64, score: impl Fn(&[usize]) -> f64 + Sync) -> Vec<f64> {
    let resample = |task: usize| {
        let mut rng = fastrand::Rng::with_seed(seed_of(seed, task as u64));
        let drawn: Vec<usize> = (0..rows).map(|_| rng.usize(..rows)).collect();
        score(&drawn)
    };
    (0..count).into_par_iter().map(resample).collect()
}

/// The largest value and the largest of the others (0 where there is none): what gap scores are made of.
pub(crate) fn top_two(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold(
        (0.0, 0.0),
        |(first, second), value| if value > first { (value, first) } else { (first, value.max(second)) },
    )
}

/// Seed of one of many tasks that run in any order: as good as independent of its neighbours' (splitmix64).
pub fn seed_of(seed: u64, task: u64) -> u64 {
    let mut mixed = seed.wrapping_add(task.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
