//! SAP, separated attribute predictability: how much better the best code predicts a factor than the second best.
//!
//! ```text
//! SAP = mean over factors k of (S_dk of the best code d) − (S_dk of the second best)         docs/mathematics.md §11;
//!                                                                                           Kumar et al. 2018, §3
//! sap              S_dk = accuracy on test rows of a linear SVM that learns factor k from code d alone
//! sap_continuous   S_dk = squared correlation of code d and the level of factor k
//! ```
//!
//! [`sap`] follows `disentanglement_lib` (Locatello et al. 2019): `LinearSVC(C=0.01, class_weight="balanced")` (see
//! [`linear_svm`](crate::learners::linear_svm)), mean codes, 10 000 rows to learn from and 5000 to test on. [`sap_continuous`] is the
//! paper's for continuous factors; it takes the levels as numbers, which means nothing for a factor like shape, and sees only what is
//! linear. Other code bases use one for some factors and the other for the rest.
//!
//! Both are 0 for codes that say nothing, or all the same, and where two codes hold a factor equally. For codes that are the factors,
//! `sap_continuous` is 1, as far as the sampled factors do not correlate; `sap` is not: one line a level ranks only outer levels well, so
//! that with many levels even a perfect code is right on few, and chance is taken off. Compare it between models, not with 1.
//!
//! A code that is the only one is compared with 0. A factor that has one level in the training rows is left out of the mean.

use super::{Score, Table, seed_of};
use crate::learners::linear_svm::LinearSvm;
use crate::learners::{bootstrap, share};
use rayon::prelude::*;

/// C of the support vector machine.
const COST: f64 = 0.01;

/// Gap of the accuracies of linear support vector machines; the interval is over `resamples` draws of test rows with replacement.
pub fn sap(train: &Table, test: &Table, resamples: usize, seed: u64) -> Score {
    let right = right(train, test);
    let varying = varying(train);
    let gap = |counts: &[u32]| {
        let accuracies: Vec<Vec<f64>> =
            right.iter().map(|row| row.iter().map(|right| share(right, counts)).collect()).collect();
        mean_gap(&accuracies, &varying)
    };
    let draws = (0..resamples as u64).into_par_iter();
    let resamples: Vec<f64> = draws.map(|draw| gap(&bootstrap(test.rows(), seed_of(seed, draw)))).collect();
    Score::with_resamples(gap(&vec![1; test.rows()]), &resamples)
}

/// Gap of squared correlations; the interval is over `resamples` draws of rows with replacement.
pub fn sap_continuous(table: &Table, resamples: usize, seed: u64) -> Score {
    let varying = varying(table);
    let gap = |counts: &[u32]| mean_gap(&correlations(table, counts), &varying);
    let draws = (0..resamples as u64).into_par_iter();
    let resamples: Vec<f64> = draws.map(|draw| gap(&bootstrap(table.rows(), seed_of(seed, draw)))).collect();
    Score::with_resamples(gap(&vec![1; table.rows()]), &resamples)
}

/// Accuracy `[D][K]` on `test` of a linear support vector machine that learns a factor from one code on `train`.
pub fn accuracies(train: &Table, test: &Table) -> Vec<Vec<f64>> {
    let counts = vec![1; test.rows()];
    right(train, test).iter().map(|row| row.iter().map(|right| share(right, &counts)).collect()).collect()
}

/// Squared correlation `[D][K]` of codes and levels; 0 where one of them does not vary.
pub fn squared_correlations(table: &Table) -> Vec<Vec<f64>> {
    correlations(table, &vec![1; table.rows()])
}

/// Whether the prediction of factor k from code d is right for each test row, `[D][K][n]`.
fn right(train: &Table, test: &Table) -> Vec<Vec<Vec<bool>>> {
    assert_eq!((train.dimensions(), train.factors()), (test.dimensions(), test.factors()), "test must be as train");
    assert!(test.rows() > 0, "an accuracy needs rows to test on");
    let factors: Vec<(Vec<usize>, Vec<usize>)> =
        (0..train.factors()).map(|k| (train.factor(k), test.factor(k))).collect();
    let of = |d: usize| {
        let (x, test) = (train.dimension(d), test.dimension(d));
        let predicted = |(levels, truth): &(Vec<usize>, Vec<usize>)| {
            let machine = LinearSvm::fit(&x, levels, COST);
            test.iter().zip(truth).map(|(&x, &level)| machine.predict(x) == level).collect()
        };
        factors.par_iter().map(predicted).collect()
    };
    (0..train.dimensions()).into_par_iter().map(of).collect()
}

/// The factors that have more than one level in the table.
fn varying(table: &Table) -> Vec<usize> {
    let varies = |&k: &usize| (1..table.rows()).any(|row| table.levels(row)[k] != table.levels(0)[k]);
    (0..table.factors()).filter(varies).collect()
}

/// Mean over `factors` of the largest entry of their column less the second; 0 for no factor.
fn mean_gap(matrix: &[Vec<f64>], factors: &[usize]) -> f64 {
    let gap = |&k: &usize| {
        let (mut first, mut second) = (0.0, 0.0);
        for value in matrix.iter().map(|row| row[k]) {
            if value > first {
                (first, second) = (value, first);
            } else if value > second {
                second = value;
            }
        }
        first - second
    };
    factors.iter().map(gap).sum::<f64>() / factors.len().max(1) as f64
}

/// Squared correlations, each row counted as often as `counts` says.
fn correlations(table: &Table, counts: &[u32]) -> Vec<Vec<f64>> {
    let levels = |row: usize| table.levels(row).iter().map(|&level| level as f64);
    let rows: f64 = counts.iter().map(|&count| f64::from(count)).sum();
    let (dimensions, factors) = (table.dimensions(), table.factors());
    // Codes, then levels.
    let mut means = vec![0.0; dimensions + factors];
    for (row, &count) in counts.iter().enumerate() {
        let values = table.code(row).iter().copied().chain(levels(row));
        means.iter_mut().zip(values).for_each(|(mean, value)| *mean += f64::from(count) * value / rows);
    }
    let (mut products, mut squares) = (vec![0.0; dimensions * factors], vec![0.0; dimensions + factors]);
    let mut centred = vec![0.0; dimensions + factors];
    for (row, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let values = table.code(row).iter().copied().chain(levels(row));
        centred.iter_mut().zip(values).zip(&means).for_each(|((centred, value), mean)| *centred = value - mean);
        squares.iter_mut().zip(&centred).for_each(|(sum, value)| *sum += f64::from(count) * value * value);
        let (codes, levels) = centred.split_at(dimensions);
        for (&code, products) in codes.iter().zip(products.chunks_exact_mut(factors)) {
            products.iter_mut().zip(levels).for_each(|(sum, level)| *sum += f64::from(count) * code * level);
        }
    }
    let entry = |d: usize, k: usize| {
        let (product, code, level) = (products[d * factors + k], squares[d], squares[dimensions + k]);
        // Below this a variance is what rounding has left of a constant (disentanglement_lib's bound).
        let varies = code / rows > 1e-12 && level > 0.0;
        if varies { (product * product / (code * level)).min(1.0) } else { 0.0 }
    };
    (0..dimensions).map(|d| (0..factors).map(|k| entry(d, k)).collect()).collect()
}
