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
    /// | [`Exact`](Self::Exact), B = N | 1/N | 1/N | 1/N |
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
        /// The mixture itself: for a batch that is the whole data set, and refused for any other.
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
    /// A part of the data set, for [`Estimator::Exact`].
    #[error(
        "expected a batch of all the {dataset_len} examples of the data set, which the exact estimator sums over; got {batch}"
    )]
    Part {
        /// Rows B.
        batch: i64,
        /// Examples N.
        dataset_len: i64,
    },
}

impl Estimator {
    /// Those that take a part of the data set as a batch.
    pub const MINIBATCH: [Self; 4] = [Self::Mws, Self::Uniform, Self::Mss, Self::Balanced];

    /// Whether q(z) can be estimated from `batch` of `dataset_len` examples.
    ///
    /// # Errors
    /// For a batch of one, for a batch that is larger than the data set, and for Exact for a batch that is smaller.
    pub fn check(self, batch: i64, dataset_len: i64) -> Result<(), BatchError> {
        if batch < 2 {
            return Err(BatchError::TooSmall(batch));
        }
        if batch > dataset_len {
            return Err(BatchError::LargerThanData { batch, dataset_len });
        }
        if self == Self::Exact && batch < dataset_len {
            return Err(BatchError::Part { batch, dataset_len });
        }
        Ok(())
    }

    /// `log w_ij` for the rows i of `rows` and all j: `[rows, B]`, built on `device`.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    pub fn log_weights(self, rows: Range<i64>, batch: i64, dataset_len: i64, (kind, device): (Kind, Device)) -> Tensor {
        let own = Tensor::arange_start(rows.start, rows.end, (Kind::Int64, device));
        self.log_weights_of(&own, 0..batch, (batch, dataset_len), kind)
    }

    /// `log w_ij` for points drawn from the rows `own` (Int64 `[R]`) of a batch, and its rows j of `columns`: `[R, columns]`, on the device
    /// of `own`.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    pub(super) fn log_weights_of(
        self,
        own: &Tensor,
        columns: Range<i64>,
        (batch, dataset_len): (i64, i64),
        kind: Kind,
    ) -> Tensor {
        let [of_own, next, other] = self.log_weight_values(batch, dataset_len);
        let device = own.device();
        let size = [own.size()[0], columns.end - columns.start];
        let same = Tensor::full([1, 1], other, (kind, device)).expand(size, false);
        if self.is_constant() {
            return same;
        }
        let column = Tensor::arange_start(columns.start, columns.end, (Kind::Int64, device));
        let distance = (column - own.unsqueeze(1)).remainder(batch);
        // With two rows the next one is the only other.
        same.masked_fill(&distance.eq(1), next).masked_fill(&distance.eq(0), of_own)
    }

    /// Whether all weights are one number.
    pub(super) fn is_constant(self) -> bool {
        matches!(self, Self::Mws | Self::Uniform | Self::Exact)
    }

    /// Log-weights of the own row, of the next one, and of any other.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    pub(super) fn log_weight_values(self, batch: i64, dataset_len: i64) -> [f64; 3] {
        if let Err(error) = self.check(batch, dataset_len) {
            panic!("{error}");
        }
        self.weights(batch, dataset_len).map(f64::ln)
    }

    /// Weights of the own row, of the next one, and of any other.
    fn weights(self, batch: i64, dataset_len: i64) -> [f64; 3] {
        let (n, b) = (dataset_len as f64, batch as f64);
        let m = b - 1.0;
        match self {
            Self::Mws => [1.0 / (n * b); 3],
            Self::Uniform => [1.0 / b; 3],
            Self::Mss => [1.0 / n, (n - m) / (n * m), 1.0 / m],
            Self::Balanced => [1.0 / n, (n - 1.0) / (n * m), (n - 1.0) / (n * m)],
            Self::Exact => [1.0 / n; 3],
        }
    }
}
