//! Codes with known scores, over a full grid of three factors with 4, 5 and 6 levels.

use elbo_evaluation::scores::Table;

pub(crate) const SIZES: [usize; 3] = [4, 5, 6];

/// The levels of every image: the grid `copies` times over.
pub(crate) fn grid(copies: usize) -> Vec<Vec<usize>> {
    let once = (0..SIZES[0]).flat_map(|a| (0..SIZES[1]).flat_map(move |b| (0..SIZES[2]).map(move |c| vec![a, b, c])));
    let once: Vec<Vec<usize>> = once.collect();
    (0..copies).flat_map(|_| once.clone()).collect()
}

/// A table whose codes are a function of the levels, scaled to `[-1, 1]` each, and of noise.
pub(crate) fn table(copies: usize, code: impl Fn(&[f64], &mut fastrand::Rng) -> Vec<f64>) -> Table {
    let levels = grid(copies);
    let mut rng = fastrand::Rng::with_seed(5);
    let scaled = |row: &[usize]| -> Vec<f64> {
        row.iter().zip(SIZES).map(|(&level, size)| 2.0 * level as f64 / (size - 1) as f64 - 1.0).collect()
    };
    let codes: Vec<Vec<f64>> = levels.iter().map(|row| code(&scaled(row), &mut rng)).collect();
    Table::from_rows(&codes, &levels)
}

/// Each dimension is a factor.
pub(crate) fn identity() -> Table {
    table(20, |v, _| v.to_vec())
}

/// The factors in another order, with signs and scales of their own.
pub(crate) fn permuted() -> Table {
    table(20, |v, _| vec![-3.0 * v[2], 0.5 * v[0], 2.0 * v[1] + 1.0])
}

/// Every factor twice.
pub(crate) fn duplicated() -> Table {
    table(20, |v, _| [v, v].concat())
}

/// Two dimensions that both mix the first two factors alike.
pub(crate) fn rotated() -> Table {
    table(20, |v, _| vec![v[0] + v[1], v[0] - v[1], v[2]])
}

/// Nothing.
pub(crate) fn constant() -> Table {
    table(20, |_, _| vec![0.25; 3])
}

/// Nothing but noise.
pub(crate) fn noise() -> Table {
    table(20, |_, rng| (0..3).map(|_| 2.0 * rng.f64() - 1.0).collect())
}
