//! Whether chains have mixed, and what their draws are worth: Vehtari, Gelman, Simpson, Carpenter & Bürkner 2021.

use serde::Serialize;
use tch::{Kind, Tensor};

/// What is known of one quantity along several chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Diagnosis {
    /// The rank-normalised split R̂, of the values or of their distances from the median, whichever is larger. 1 where chains cannot be
    /// told apart; below 1.01 is asked for.
    pub r_hat: f64,
    /// Independent draws of the same worth for the middle of the distribution (bulk).
    pub effective_samples: f64,
}

impl Diagnosis {
    /// Of `series` `[draws, chains]`, at least 8 draws; float64.
    pub fn of(series: &Tensor) -> Self {
        let split = split(series);
        let normal = rank_normalised(&split);
        let folded = rank_normalised(&(&split - split.median()).abs());
        Self { r_hat: r_hat(&normal).max(r_hat(&folded)), effective_samples: effective_samples(&normal) }
    }
}

/// Every chain as two: `[draws, chains]` → `[draws / 2, 2 chains]`; of an odd number of draws the last is left out.
pub fn split(series: &Tensor) -> Tensor {
    let size = series.size();
    assert!(
        size.len() == 2 && size[0] >= 8 && size[1] >= 1,
        "a series is [draws, chains], 8 draws at least, got {size:?}"
    );
    let half = size[0] / 2;
    Tensor::cat(&[series.narrow(0, 0, half), series.narrow(0, half, half)], 1)
}

/// Φ⁻¹((rank − 3/8) / (S + 1/4)) of every value among all S of them.
pub fn rank_normalised(series: &Tensor) -> Tensor {
    let ranks = series.reshape(-1).argsort(0, false).argsort(0, false).to_kind(Kind::Double) + 1.0;
    let share = (ranks - 0.375) / (series.numel() as f64 + 0.25);
    share.special_ndtri().reshape(series.size())
}

/// `√(var⁺ / W)`: what the variance would shrink by if chains were longer. 1 where all values are equal.
pub fn r_hat(series: &Tensor) -> f64 {
    let (within, plus) = variances(series);
    if within == 0.0 && plus == 0.0 { 1.0 } else { (plus / within).sqrt() }
}

/// Draws over the autocorrelation time, whose sum ends where pairs of autocorrelations stop being positive and decreasing (Geyer 1992).
pub fn effective_samples(series: &Tensor) -> f64 {
    let (draws, chains) = (series.size()[0], series.size()[1]);
    let (within, plus) = variances(series);
    let centred = series - series.mean_dim(0, true, None);
    let autocorrelation = |lag: i64| {
        let products = centred.narrow(0, lag, draws - lag) * centred.narrow(0, 0, draws - lag);
        let covariance = products.sum(None).double_value(&[]) / (draws * chains) as f64;
        1.0 - (within - covariance) / plus
    };
    let mut last = f64::INFINITY;
    let mut sum = 0.0;
    for lag in (0..draws - 1).step_by(2) {
        let first = if lag == 0 { 1.0 } else { autocorrelation(lag) };
        let pair = first + autocorrelation(lag + 1);
        if pair <= 0.0 {
            break;
        }
        last = pair.min(last);
        sum += last;
    }
    let total = (draws * chains) as f64;
    // Antithetic chains may be worth more than their number, but not without bound.
    total / (2.0 * sum - 1.0).max(total.log10().recip())
}

/// W, the mean variance within a chain, and var⁺, the estimate of the variance from all of them.
fn variances(series: &Tensor) -> (f64, f64) {
    let draws = series.size()[0] as f64;
    let within = series.var_dim(0, true, false).mean(None).double_value(&[]);
    let means = series.mean_dim(0, false, None);
    let between = if means.numel() > 1 { means.var(true).double_value(&[]) } else { 0.0 };
    (within, within * (draws - 1.0) / draws + between)
}
