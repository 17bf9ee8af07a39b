//! The weights `w_ij` that tell the estimators apart.

use std::ops::Range;
use tch::{Device, Kind, Tensor};

elbo_core::choices! {
    /// How the rows of a batch stand in for the whole data set in the mixture q(z).
    ///
    /// Row i holds z_i ~ q(z|x_i). The batch is B different examples of N, drawn uniformly without replacement; M = B − 1.
    ///
    /// | | own row (j = i) | next row (j = i + 1 mod B) | any other |
    /// |---|---|---|---|
    /// | [`Mws`](Self::Mws) | 1/(N B) | 1/(N B) | 1/(N B) |
    /// | [`Uniform`](Self::Uniform) | 1/B | 1/B | 1/B |
    /// | [`Mss`](Self::Mss) | 1/N | (N − M)/(N M) | 1/M |
    /// | [`Balanced`](Self::Balanced) | 1/N | (N − 1)/(N M) | (N − 1)/(N M) |
    /// | [`Exact`](Self::Exact), B = N only | 1/N | 1/N | 1/N |
    ///
    /// Given z_i and its own example, MSS and Balanced are unbiased for the density `q(z_i)` and for each marginal `q(z_id)`; nothing is
    /// unbiased for a logarithm. MWS and Uniform have the same gradient.
    pub enum Estimator {
        /// Minibatch-weighted sampling (Chen et al. 2018, Eq. 4): useful gradients, values off by multiples of ln N.
        Mws = "mws",
        /// Plain mean over the batch: MWS without its constants.
        Uniform = "uniform",
        /// Minibatch-stratified sampling (Chen et al. 2018, App. C.2), with the own weight on the diagonal.
        Mss = "mss",
        /// MSS averaged over the choice of its stratified row. With B = N it is exact.
        Balanced = "balanced",
        /// q(z) itself: the batch is the data set, and anything else is refused.
        Exact = "exact",
    }
}

/// A batch from which q(z) cannot be estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// A batch of one.
    #[error("expected a batch of at least 2, because q(z) is estimated from the other rows of the batch; got {0}")]
    TooSmall(i64),
    /// More rows than examples.
    #[error(
        "expected a batch of at most the {dataset_len} examples of the data set, because a batch is drawn without replacement; \
         got {batch}"
    )]
    LargerThanData {
        /// Rows B.
        batch: i64,
        /// Examples N.
        dataset_len: i64,
    },
    /// The exact q(z) of a part of the data.
    #[error(
        "expected a batch of all the {dataset_len} examples of the data set, because the exact q(z) is the mixture of every encoding; \
         got {batch} (an estimator such as \"mws\" makes do with a part)"
    )]
    NotTheDataSet {
        /// Rows B.
        batch: i64,
        /// Examples N.
        dataset_len: i64,
    },
}

impl Estimator {
    /// Those that make do with a part of the data: all but [`Estimator::Exact`].
    pub const MINIBATCH: [Self; 4] = [Self::Mws, Self::Uniform, Self::Mss, Self::Balanced];

    /// Whether q(z) can be estimated from `batch` of `dataset_len` examples.
    ///
    /// # Errors
    /// For a batch of one, for a batch that is larger than the data set, and for [`Estimator::Exact`] where it is smaller.
    pub fn check(self, batch: i64, dataset_len: i64) -> Result<(), BatchError> {
        if batch < 2 {
            return Err(BatchError::TooSmall(batch));
        }
        if batch > dataset_len {
            return Err(BatchError::LargerThanData { batch, dataset_len });
        }
        if self == Self::Exact && batch < dataset_len {
            return Err(BatchError::NotTheDataSet { batch, dataset_len });
        }
        Ok(())
    }

    /// `log w_ij` for the rows i of `rows` and all j: `[rows, B]`, built on `device`.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    pub fn log_weights(self, rows: Range<i64>, batch: i64, dataset_len: i64, (kind, device): (Kind, Device)) -> Tensor {
        let own = Tensor::arange_start(rows.start, rows.end, (Kind::Int64, device));
        self.log_weights_of(&own, batch, dataset_len, kind)
    }

    /// `log w_ij` for points whose own examples stand in the rows `own` (Int64 `[R]`) of the batch: `[R, B]`, on the device of `own`. The
    /// next row is the one after the own row.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    pub fn log_weights_of(self, own: &Tensor, batch: i64, dataset_len: i64, kind: Kind) -> Tensor {
        let [own_weight, next, other] = self.checked_weights(batch, dataset_len).map(f64::ln);
        let device = own.device();
        let same = Tensor::full([1, 1], other, (kind, device)).expand([own.size()[0], batch], false);
        if own_weight == other && next == other {
            return same;
        }
        let distance = (Tensor::arange(batch, (Kind::Int64, device)) - own.unsqueeze(1)).remainder(batch);
        // With two rows the next one is the only other.
        same.masked_fill(&distance.eq(1), next).masked_fill(&distance.eq(0), own_weight)
    }

    /// Weights of the own row, of the next one, and of any other.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    fn checked_weights(self, batch: i64, dataset_len: i64) -> [f64; 3] {
        if let Err(error) = self.check(batch, dataset_len) {
            panic!("{error}");
        }
        self.weights(batch, dataset_len)
    }

    /// Weights of the own row, of the next one, and of any other.
    fn weights(self, batch: i64, dataset_len: i64) -> [f64; 3] {
        let (n, b) = (dataset_len as f64, batch as f64);
        let m = b - 1.0;
        match self {
            Self::Mws => [1.0 / (n * b); 3],
            Self::Uniform | Self::Exact => [1.0 / b; 3],
            Self::Mss => [1.0 / n, (n - m) / (n * m), 1.0 / m],
            Self::Balanced => [1.0 / n, (n - 1.0) / (n * m), (n - 1.0) / (n * m)],
        }
    }
}
