//! A histogram as `TensorBoard`'s HISTOGRAMS and DISTRIBUTIONS tabs draw it.

use tensorboard_proto::summary::HistogramProto;

/// Bins between the smallest and the largest value. `TensorBoard` redraws every histogram with 30 bins of its own; twice as many
/// keep its redrawing and its percentiles smooth.
const BINS: usize = 60;

/// Counts of values in bins of equal width, with the moments of the values themselves.
///
/// ```
/// use elbo_runner::records::histogram::Histogram;
/// let histogram = Histogram::of(&[0.0_f32, 0.5, 1.0, f32::NAN]);
/// assert_eq!((histogram.count(), histogram.non_finite()), (3, 1));
/// assert_eq!((histogram.min(), histogram.max()), (0.0, 1.0));
/// ```
///
/// Values that are not finite have no bin; they are counted beside. Equal values give one bin of no width.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    min: f64,
    max: f64,
    count: u64,
    non_finite: u64,
    sum: f64,
    sum_squares: f64,
    limits: Vec<f64>,
    counts: Vec<f64>,
}

impl Histogram {
    /// The histogram of `values`, in any order; `f32` and `f64` alike.
    pub fn of<T: Copy + Into<f64>>(values: &[T]) -> Self {
        let finite = || values.iter().map(|&value| value.into()).filter(|value| value.is_finite());
        let mut histogram = Self {
            min: finite().fold(f64::INFINITY, f64::min),
            max: finite().fold(f64::NEG_INFINITY, f64::max),
            count: finite().count() as u64,
            non_finite: 0,
            sum: finite().sum(),
            sum_squares: finite().map(|value| value * value).sum(),
            limits: Vec::new(),
            counts: Vec::new(),
        };
        histogram.non_finite = values.len() as u64 - histogram.count;
        histogram.fill(finite());
        histogram
    }

    fn fill(&mut self, values: impl Iterator<Item = f64>) {
        if self.count == 0 {
            (self.min, self.max) = (0.0, 0.0);
            return;
        }
        // Each end by itself: the difference of two huge values would be infinite.
        let width = self.max / BINS as f64 - self.min / BINS as f64;
        if width <= 0.0 {
            self.limits = vec![self.max];
            self.counts = vec![self.count as f64];
            return;
        }
        self.limits = (1..BINS).map(|edge| self.min + width * edge as f64).chain([self.max]).collect();
        self.counts = vec![0.0; BINS];
        for value in values {
            let bin = (value / width - self.min / width) as usize;
            self.counts[bin.min(BINS - 1)] += 1.0;
        }
    }

    /// Smallest finite value; 0 where there is none.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest finite value; 0 where there is none.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Number of finite values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of values that are infinite or not a number.
    pub fn non_finite(&self) -> u64 {
        self.non_finite
    }

    /// The bins in order: upper limit and count.
    pub fn bins(&self) -> impl Iterator<Item = (f64, f64)> {
        self.limits.iter().copied().zip(self.counts.iter().copied())
    }

    pub(super) fn to_message(&self) -> HistogramProto {
        let mut message = HistogramProto::new();
        message.set_min(self.min);
        message.set_max(self.max);
        message.set_num(self.count as f64);
        message.set_sum(self.sum);
        message.set_sum_squares(self.sum_squares);
        message.set_bucket_limit(self.limits.clone());
        message.set_bucket(self.counts.clone());
        message
    }
}
