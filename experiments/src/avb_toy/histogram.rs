//! Information and divergence from counts of samples in square bins.
//!
//! Within bins both KL(q(z) ‖ p(z)) and I(x; z) are those of coarser variables, so not above the truth, and the coarser the lower; from N
//! samples in m bins the plug-in value is above its limit by about (m − 1)/2N, which is taken off (Miller 1955). Two widths, the coarser
//! bins being four of the finer, show what the width does.

use super::report::Measured;
use tch::{Device, Kind, Tensor};

/// Counts of samples: one row for each of the four points, and the last column for those that are in no bin.
#[derive(Debug)]
pub struct Counts {
    /// `[4, side · side + 1]`, float64, on the CPU.
    tally: Tensor,
    side: i64,
    width: f64,
}

impl Counts {
    /// No samples yet; the bins cover −`extent` to `extent`.
    pub fn new(extent: f64, width: f64) -> Self {
        // A multiple of four: coarser bins have the origin at a corner too.
        let side = ((2.0 * extent / width).ceil() as i64 + 3) / 4 * 4;
        Self { tally: Tensor::zeros([4, side * side + 1], (Kind::Double, Device::Cpu)), side, width }
    }

    /// Adds samples `[n, 2]` of q(z|x) for the point of this number.
    pub fn add(&mut self, point: i64, z: &Tensor) {
        let bins = self.side * self.side;
        let cell = (z / self.width + self.side as f64 / 2.0).floor();
        let inside = cell.ge(0.0).logical_and(&cell.lt(self.side as f64)).all_dim(1, false);
        let index = cell.select(1, 0) * self.side as f64 + cell.select(1, 1);
        // What is not a number is in no bin either.
        let index = index.where_scalarother(&inside, bins as f64).to_kind(Kind::Int64);
        let more = index.to_device(Device::Cpu).bincount::<Tensor>(None, bins + 1).to_kind(Kind::Double);
        let mut row = self.tally.select(0, point);
        row += more;
    }

    /// The same samples in bins of twice the width.
    pub fn coarser(&self) -> Self {
        let half = self.side / 2;
        let bins = self.tally.narrow(1, 0, self.side * self.side).reshape([4, half, 2, half, 2]);
        let bins = bins.sum_dim_intlist([2_i64, 4].as_slice(), false, None).reshape([4, half * half]);
        let outside = self.tally.narrow(1, self.side * self.side, 1);
        Self { tally: Tensor::cat(&[bins, outside], 1), side: half, width: 2.0 * self.width }
    }

    /// KL(q(z) ‖ p(z)), the four points alike.
    pub fn kl_to_prior(&self) -> Measured {
        let shares = self.shares().mean_dim(0, false, None);
        let total = self.tally.sum(None).double_value(&[]);
        let log_ratio = shares.log() - self.prior().log();
        let value = expectation(&shares, &log_ratio);
        let variance = expectation(&shares, &(log_ratio - value).square());
        Measured::with_error(value - (occupied(&shares) - 1.0) / (2.0 * total), (variance / total).sqrt())
    }

    /// I(x; z), at most ln 4.
    pub fn mutual_information(&self) -> Measured {
        let shares = self.shares();
        let aggregate = shares.mean_dim(0, true, None);
        let total = self.tally.sum(None).double_value(&[]);
        let log_ratio = shares.log() - aggregate.log();
        let value = expectation(&shares, &log_ratio) / 4.0;
        // Of the samples of each point about that point's own mean: as many of each are drawn.
        let own = shares.where_self(&shares.gt(0.0), &shares.zeros_like()) * finite(&log_ratio);
        let centred = finite(&log_ratio) - own.sum_dim_intlist(1, true, None);
        let variance = expectation(&shares, &centred.square()) / 4.0;
        let bias = (occupied(&shares) - 4.0 - (occupied(&aggregate) - 1.0)) / (2.0 * total);
        Measured::with_error(value - bias, (variance / total).sqrt())
    }

    /// Samples in no bin.
    pub fn outside(&self) -> i64 {
        self.tally.narrow(1, self.side * self.side, 1).sum(Kind::Int64).int64_value(&[])
    }

    /// The share of each bin among the samples of each point.
    fn shares(&self) -> Tensor {
        &self.tally / self.tally.sum_dim_intlist(1, true, None)
    }

    /// The prior's mass of every bin, and outside.
    fn prior(&self) -> Tensor {
        let edges = (Tensor::arange(self.side + 1, (Kind::Double, Device::Cpu)) - self.side as f64 / 2.0) * self.width;
        let below = (edges / std::f64::consts::SQRT_2).erf() * 0.5 + 0.5;
        let strip = below.narrow(0, 1, self.side) - below.narrow(0, 0, self.side);
        let bins = strip.outer(&strip).reshape(-1);
        let outside = (-bins.sum(None) + 1.0).clamp_min(f64::MIN_POSITIVE).reshape([1]);
        Tensor::cat(&[bins, outside], 0)
    }
}

/// Σ shares · values, where 0 times anything is 0.
fn expectation(shares: &Tensor, values: &Tensor) -> f64 {
    (shares * finite(values)).sum(None).double_value(&[])
}

/// 0 for what is not finite: the logarithms of empty bins.
fn finite(values: &Tensor) -> Tensor {
    values.nan_to_num(0.0, 0.0, 0.0)
}

fn occupied(shares: &Tensor) -> f64 {
    shares.gt(0.0).sum(Kind::Double).double_value(&[])
}
