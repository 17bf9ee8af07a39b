//! Codes whose scores are known, and the figures of `metrics.json`.

use elbo_evaluation::scores::{Score, Table};
use fastrand::Rng;
use serde_json::Value;

/// All combinations of levels of three factors, so often that there are about `rows` rows: the factors do not correlate at all.
pub(crate) fn grid(sizes: [usize; 3], rows: usize) -> Vec<Vec<usize>> {
    let combinations: usize = sizes.iter().product();
    (0..rows.div_ceil(combinations) * combinations)
        .map(|row| vec![row % sizes[0], row / sizes[0] % sizes[1], row / (sizes[0] * sizes[1]) % sizes[2]])
        .collect()
}

/// A level as a number of mean 0 and variance 1 over all levels.
pub(crate) fn standardised(level: usize, size: usize) -> f64 {
    (level as f64 - (size as f64 - 1.0) / 2.0) / ((size * size - 1) as f64 / 12.0).sqrt()
}

/// What codes are made of the standardised factors.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    /// The factors.
    Identity,
    /// The factors in another order, the sign of one turned round.
    Permuted,
    /// The factors, twice.
    Duplicated,
    /// The first two factors rotated by 45°, and the third.
    Rotated,
    /// Four times the same number.
    Constant,
    /// Four numbers that have nothing to do with the factors.
    Noise,
    /// The first factor alone.
    First,
}

/// Codes of rows with these levels.
pub(crate) fn table(levels: &[Vec<usize>], sizes: [usize; 3], code: Code) -> Table {
    let mut rng = Rng::with_seed(levels.len() as u64);
    let of = |row: &Vec<usize>| {
        let [a, b, c] = [0, 1, 2].map(|k| standardised(row[k], sizes[k]));
        let half = 0.5_f64.sqrt();
        match code {
            Code::Identity => vec![a, b, c],
            Code::Permuted => vec![c, -a, b],
            Code::Duplicated => vec![a, b, c, a, b, c],
            Code::Rotated => vec![half * (a + b), half * (a - b), c],
            Code::Constant => vec![0.3; 4],
            Code::Noise => (0..4).map(|_| 2.0 * rng.f64() - 1.0).collect(),
            Code::First => vec![a],
        }
    };
    Table::from_rows(&levels.iter().map(of).collect::<Vec<_>>(), levels)
}

/// Rows to learn from and half as many to test on, both over all combinations.
pub(crate) fn pair(sizes: [usize; 3], code: Code) -> (Table, Table) {
    let of = |rows| table(&grid(sizes, rows), sizes, code);
    (of(600), of(300))
}

/// A table of one factor that has one level in the first and two in the second: what nothing can be learned of.
pub(crate) fn single_level() -> (Table, Table) {
    let codes: Vec<Vec<f64>> = (0..12).map(|row| vec![f64::from(row)]).collect();
    let train = Table::from_rows(&codes, &vec![vec![0]; 12]);
    let test = Table::from_rows(&codes, &(0..12).map(|row| vec![row % 2]).collect::<Vec<_>>());
    (train, test)
}

/// The case of `metrics.json`.
pub(crate) fn case() -> Value {
    let all: Value = serde_json::from_str(include_str!("../metrics.json")).expect("figures");
    all["case"].clone()
}

/// A matrix of it.
pub(crate) fn matrix(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).expect("a matrix")
}

/// A list of it.
pub(crate) fn list(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).expect("a list")
}

/// Its 400 rows of six codes and four factors.
pub(crate) fn golden() -> Table {
    let case = case();
    let (codes, levels) = (matrix(&case["codes"]), matrix(&case["factors"]));
    let column = |columns: &[Vec<f64>], row: usize| columns.iter().map(|column| column[row]).collect::<Vec<_>>();
    let codes: Vec<Vec<f64>> = (0..400).map(|row| column(&codes, row)).collect();
    let levels = |row| column(&levels, row).into_iter().map(|level| level as usize).collect();
    Table::from_rows(&codes, &(0..400).map(levels).collect::<Vec<_>>())
}

/// Its rows to learn from and to test on.
pub(crate) fn golden_split() -> (Table, Table) {
    let table = golden();
    (table.select(&(0..300).collect::<Vec<_>>()), table.select(&(300..400).collect::<Vec<_>>()))
}

pub(crate) fn assert_near(values: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() <= tolerance, "{values:?} for {expected:?}");
    }
}

/// A score between its bounds, which are numbers.
pub(crate) fn assert_sound(score: &Score) {
    let Score { value, low, high } = *score;
    assert!(low <= value && value <= high && (0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high), "{score:?}");
}

/// The same work on one thread, and twice on three.
pub(crate) fn assert_same_on_any_threads<T: Send + PartialEq + std::fmt::Debug>(work: impl Fn() -> T + Sync) {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
        pool.install(&work)
    };
    assert_eq!(on(1), on(3));
    assert_eq!(on(3), on(3));
}
