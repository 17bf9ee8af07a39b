//! DCI: disentanglement, completeness and informativeness, from the importances of boosted trees.
//!
//! ```text
//! R_dk = importance of code d in the trees that predict factor k              docs/mathematics.md §11; Eastwood & Williams 2018, §2
//!
//! disentanglement = Σ_d ρ_d (1 − H_K(R_d· / Σ_k R_dk)),     ρ_d = Σ_k R_dk / Σ R         does a code speak of one factor?
//! completeness    = Σ_k ρ_k (1 − H_D(R_·k / Σ_d R_dk)),     ρ_k = Σ_d R_dk / Σ R         is a factor in one code?
//! informativeness = mean over factors of the accuracy on test rows
//! ```
//!
//! H is the entropy, to the base K of the factors or D of the codes; each entry has 1e-11 added to it, so that an unused code counts as one of all factors
//! alike. Protocol as in `disentanglement_lib` (Locatello et al. 2019): mean codes, scikit-learn's gradient-boosted trees with default
//! settings, 10 000 rows to learn from and 5000 to test on.
//!
//! Other code bases: the paper itself takes lasso and random forests, whose importances are other numbers, and reports the error, not the
//! accuracy; some give each factor the same weight in completeness.
//!
//! All three are 1 for codes that are the factors, in any order. Disentanglement and completeness are 0 for codes that say nothing, or all
//! the same. Pure noise has little to say of any factor, but trees find importances in it; informativeness is then as good as guessing.
//!
//! With one factor (one code) there is nothing to mix it with, and disentanglement (completeness) is 1, unless nothing is of any importance.

use super::{Score, Table, seed_of};
use crate::learners::boosting::{BoostedTrees, Boosting};
use crate::learners::tree::Columns;
use crate::learners::{bootstrap, share};
use rayon::prelude::*;
use serde::Serialize;

/// Draws of test rows for the interval of the accuracy.
const TEST_RESAMPLES: u64 = 200;

/// The three scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dci {
    /// Whether each code speaks of one factor.
    pub disentanglement: Score,
    /// Whether each factor is in one code.
    pub completeness: Score,
    /// Mean accuracy on the test rows, over factors.
    pub informativeness: Score,
}

/// Learns each factor from all codes on `train`, and judges it on `test`.
///
/// The intervals of disentanglement and completeness are over `resamples` refits on rows of `train` drawn with replacement, at least two
/// (each takes about two thirds of the time of the score itself, which is some seven seconds on two cores for 10 000 rows of ten codes and
/// the 113 levels of dSprites' factors); that of informativeness is over draws of test rows.
pub fn dci(train: &Table, test: &Table, resamples: usize, seed: u64) -> Dci {
    assert_eq!((train.dimensions(), train.factors()), (test.dimensions(), test.factors()), "test must be as train");
    assert!(test.rows() > 0, "informativeness needs rows to test on");
    let models = fit(train, None, seed_of(seed, 0));
    let importance = importances(&models, train.dimensions());
    let refits: Vec<Vec<Vec<f64>>> = (0..resamples as u64)
        .map(|resample| {
            let counts = bootstrap(train.rows(), seed_of(seed, 2 * resample + 1));
            let drawn: Vec<usize> = (0..train.rows()).filter(|&row| counts[row] > 0).collect();
            let weights: Vec<u32> = drawn.iter().map(|&row| counts[row]).collect();
            let models = fit(&train.select(&drawn), Some(&weights), seed_of(seed, 2 * resample + 2));
            importances(&models, train.dimensions())
        })
        .collect();
    let over_refits = |score: fn(&[Vec<f64>]) -> f64| {
        let refits: Vec<f64> = refits.iter().map(|importance| score(importance)).collect();
        Score::with_resamples(score(&importance), &refits)
    };
    Dci {
        disentanglement: over_refits(disentanglement),
        completeness: over_refits(completeness),
        informativeness: informativeness(&models, test, seed),
    }
}

/// Importance `[D][K]` of each code in the trees that predict each factor from all codes of the table; `seed` orders codes of equal merit.
pub fn importance(table: &Table, seed: u64) -> Vec<Vec<f64>> {
    importances(&fit(table, None, seed), table.dimensions())
}

/// `1 − H_K` of each code: `importance[d][k]` is that of code d for factor k.
pub fn disentanglement_per_code(importance: &[Vec<f64>]) -> Vec<f64> {
    importance.iter().map(|row| concentration(row)).collect()
}

/// Mean of [`disentanglement_per_code`], each code weighted with its share of all importance.
pub fn disentanglement(importance: &[Vec<f64>]) -> f64 {
    weighted_mean(&disentanglement_per_code(importance), importance)
}

/// `1 − H_D` of each factor: `importance[d][k]` is that of code d for factor k.
pub fn completeness_per_factor(importance: &[Vec<f64>]) -> Vec<f64> {
    disentanglement_per_code(&transposed(importance))
}

/// Mean of [`completeness_per_factor`], each factor weighted with its share of all importance.
pub fn completeness(importance: &[Vec<f64>]) -> f64 {
    disentanglement(&transposed(importance))
}

/// 1 − entropy of what `weights` are in proportion to, to the base of their number.
fn concentration(weights: &[f64]) -> f64 {
    if let [only] = weights {
        return f64::from(u8::from(*only > 0.0));
    }
    let sum: f64 = weights.iter().map(|weight| weight + 1e-11).sum();
    let entropy: f64 = weights.iter().map(|weight| (weight + 1e-11) / sum).map(|share| -share * share.ln()).sum();
    1.0 - entropy / (weights.len() as f64).ln()
}

/// Mean of the rows' `values` by their sums; by nothing where all importance is 0.
fn weighted_mean(values: &[f64], importance: &[Vec<f64>]) -> f64 {
    let sums: Vec<f64> = importance.iter().map(|row| row.iter().sum()).collect();
    let total: f64 = sums.iter().sum();
    if total == 0.0 {
        return values.iter().sum::<f64>() / values.len() as f64;
    }
    values.iter().zip(sums).map(|(value, sum)| value * sum / total).sum()
}

fn transposed(matrix: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..matrix[0].len()).map(|column| matrix.iter().map(|row| row[column]).collect()).collect()
}

/// A classifier of each factor from all codes.
fn fit(table: &Table, weights: Option<&[u32]>, seed: u64) -> Vec<BoostedTrees> {
    let columns = Columns::new(table.codes(), table.dimensions());
    let of = |k: usize| {
        BoostedTrees::fit(&columns, &table.factor(k), weights, &Boosting::default(), seed_of(seed, k as u64))
    };
    (0..table.factors()).into_par_iter().map(of).collect()
}

/// `[D][K]`.
fn importances(models: &[BoostedTrees], dimensions: usize) -> Vec<Vec<f64>> {
    (0..dimensions).map(|d| models.iter().map(|model| model.importances()[d]).collect()).collect()
}

fn informativeness(models: &[BoostedTrees], test: &Table, seed: u64) -> Score {
    let right: Vec<Vec<bool>> = models
        .iter()
        .enumerate()
        .map(|(k, model)| {
            let rows = (0..test.rows()).into_par_iter();
            rows.map(|row| model.predict(test.code(row)) == test.levels(row)[k]).collect()
        })
        .collect();
    let mean = |counts: &[u32]| right.iter().map(|right| share(right, counts)).sum::<f64>() / right.len() as f64;
    let draws = (0..TEST_RESAMPLES).into_par_iter();
    let resamples: Vec<f64> =
        draws.map(|draw| mean(&bootstrap(test.rows(), seed_of(seed_of(seed, u64::MAX), draw)))).collect();
    Score::with_resamples(mean(&vec![1; test.rows()]), &resamples)
}
