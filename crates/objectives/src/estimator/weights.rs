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
}

impl Estimator {
    /// Whether q(z) can be estimated from `batch` of `dataset_len` examples.
    ///
    /// # Errors
    /// For a batch of one, and for a batch that is larger than the data set.
    pub fn check(self, batch: i64, dataset_len: i64) -> Result<(), BatchError> {
        if batch < 2 {
            return Err(BatchError::TooSmall(batch));
        }
        if batch > dataset_len {
            return Err(BatchError::LargerThanData { batch, dataset_len });
        }
        Ok(())
    }

    /// `log w_ij` for the rows i of `rows` and all j: `[rows, B]`, built on `device`.
    ///
    /// # Panics
    /// For a batch that [`Estimator::check`] refuses.
    pub fn log_weights(self, rows: Range<i64>, batch: i64, dataset_len: i64, (kind, device): (Kind, Device)) -> Tensor {
        if let Err(error) = self.check(batch, dataset_len) {
            panic!("{error}");
        }
        let [own, next, other] = self.weights(batch, dataset_len).map(f64::ln);
        let size = [rows.end - rows.start, batch];
        let same = Tensor::full([1, 1], other, (kind, device)).expand(size, false);
        if matches!(self, Self::Mws | Self::Uniform) {
            return same;
        }
        let row = Tensor::arange_start(rows.start, rows.end, (Kind::Int64, device)).unsqueeze(1);
        let distance = (Tensor::arange(batch, (Kind::Int64, device)) - row).remainder(batch);
        // With two rows the next one is the only other.
        same.masked_fill(&distance.eq(1), next).masked_fill(&distance.eq(0), own)
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
        }
    }
}
