//! Whether samples can carry a value that lives in the tail of a ratio.

use super::FDivergence::{
    self, Alpha, Kl, Neyman, Pearson, ReverseKl, TotalVariation, TwiceJensenShannon, TwiceSquaredHellinger,
};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// What the weights behind a value look like: powers of t, whose means over few samples miss what they are made of.
///
/// ```text
/// bound: means of t^α over Q and of t^(α−1) over P, α = 1 for KL(P‖Q), 0 KL(Q‖P), 2 Pearson, −1 Neyman;
///        bounded for 0 < α < 1, Jensen–Shannon and total variation
/// plug-in over Q: means of f(t), which grows like t at least (KL(Q‖P): like log t), also where the divergence is bounded; over P of f(t)/t
/// ```
/// A plug-in value gets the verdict on the bound too: a critic has learnt its T from the same tails. The worst of all weights is the one
/// that counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Tail {
    /// `(Σ w)²/Σ w²`: equal weights that would be worth as much.
    pub effective_sample_size: f64,
    /// Hill's estimate of the index k of the tail, P(w > y) ~ y^(−1/k), from the largest weights: the variance is finite below ½, the mean
    /// below 1.
    pub index: f64,
    /// Whether the index is below min(1 − 1/log₁₀ n, 0.7), the limit of Vehtari et al. 2024 for a mean of n weights, and at least 100
    /// samples are effective. A verdict of `false` says that the value is not to be read, however small its standard error looks.
    pub reliable: bool,
}

impl Tail {
    /// Samples that are worth their number.
    fn bounded(samples: i64) -> Self {
        Self { effective_sample_size: samples as f64, index: 0.0, reliable: true }
    }

    /// Of the weights whose logarithms are given, `[n]`. The host reads them.
    pub fn of(log_weights: &Tensor) -> Self {
        const EFFECTIVE: f64 = 100.0;
        assert_eq!(log_weights.dim(), 1, "logarithms of weights must be [n], got {:?}", log_weights.size());
        let samples = log_weights.size()[0];
        let log_weights = log_weights.detach().to_device(Device::Cpu).to_kind(Kind::Double);
        let size = log_weights.logsumexp(0, false) * 2.0 - (&log_weights * 2.0).logsumexp(0, false);
        let effective_sample_size = size.exp().double_value(&[]);
        let count = samples as f64;
        // As many of the largest as Vehtari et al. 2024 take.
        let largest = (count / 5.0).min(3.0 * count.sqrt()).floor() as i64;
        if largest < 5 {
            return Self { effective_sample_size, index: f64::INFINITY, reliable: false };
        }
        let top = log_weights.topk(largest + 1, 0, true, true).0;
        let index = (top.narrow(0, 0, largest).mean(None) - top.get(largest)).double_value(&[]);
        let limit = (1.0 - count.log10().recip()).min(0.7);
        let reliable = index < limit && effective_sample_size >= EFFECTIVE;
        Self { effective_sample_size, index, reliable }
    }

    /// The worst of these powers of t; a power of 0 is no weight.
    fn of_powers(log_ratio: &Tensor, powers: &[f64]) -> Self {
        let weights = powers.iter().filter(|power| **power != 0.0);
        weights.fold(Self::bounded(log_ratio.size()[0]), |worst, power| worst.worse(Self::of(&(log_ratio * *power))))
    }

    pub(super) fn worse(self, other: Self) -> Self {
        Self {
            effective_sample_size: self.effective_sample_size.min(other.effective_sample_size),
            index: self.index.max(other.index),
            reliable: self.reliable && other.reliable,
        }
    }
}

impl FDivergence {
    /// Of [`FDivergence::bound`], for T on samples of P (`[n]`) and of Q (`[m]`).
    pub(super) fn tail_of_bound(self, on_numerator: &Tensor, on_denominator: &Tensor) -> Tail {
        let alpha = match self {
            TwiceJensenShannon | TotalVariation | TwiceSquaredHellinger => 0.5,
            Kl => 1.0,
            ReverseKl => 0.0,
            Pearson => 2.0,
            Neyman => -1.0,
            Alpha(order) => order.get(),
        };
        let bounded = Tail::bounded(on_numerator.size()[0].min(on_denominator.size()[0]));
        if alpha > 0.0 && alpha < 1.0 {
            return bounded;
        }
        bounded.worse(Tail::of_powers(on_numerator, &[alpha - 1.0])).worse(Tail::of_powers(on_denominator, &[alpha]))
    }

    /// Of [`FDivergence::plug_in`], as far as it is not that of the bound: f(t) grows like t at least, but −log t does not.
    pub(super) fn tail_of_plug_in(self, on_denominator: &Tensor) -> Tail {
        Tail::of_powers(on_denominator, &[if self == ReverseKl { 0.0 } else { 1.0 }])
    }
}
