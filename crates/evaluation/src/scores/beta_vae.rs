//! The β-VAE score: can a linear classifier tell which factor two images share from how far apart their codes are?
//!
//! ```text
//! x = 1/L Σ_l |z_l − z'_l|     z_l, z'_l: codes of two images with the same level of factor y          docs/mathematics.md §11;
//! score = accuracy of a logistic regression from x to y on new points                       Higgins et al. 2017, §3, Algorithm 1
//! ```
//!
//! y is drawn uniformly from the factors. The level is drawn for each pair anew, as that of a row drawn uniformly; both images are drawn
//! from the rows with that level, and may be the same row. 64 pairs a point, 10 000 points to learn from and 5000 to test on; mean codes;
//! the classifier is scikit-learn's `LogisticRegression` (see [`logistic`](crate::learners::logistic)), as in `disentanglement_lib`
//! (Locatello et al. 2019). The paper has a linear classifier trained by Adagrad, and images drawn anew from a simulator.
//!
//! 1 for codes that are the factors, in any order; one over the number of factors for codes that say nothing. It forgives much: codes of
//! many factors each will do, as long as each factor leaves a pattern of its own when it is held. Two factors of equal spread that are
//! rotated by 45° leave the same, and are told apart by chance only.

use super::{Score, Table, seed_of};
use crate::learners::logistic::LogisticRegression;
use crate::learners::{bootstrap, share};
use fastrand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How many points of how many pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BetaVae {
    /// Pairs that a point is the mean of (L).
    pub pairs: usize,
    /// Points to learn from.
    pub train: usize,
    /// Points to test on.
    pub test: usize,
}

impl Default for BetaVae {
    /// Of `disentanglement_lib`.
    fn default() -> Self {
        Self { pairs: 64, train: 10_000, test: 5_000 }
    }
}

/// Accuracy of telling the shared factor; the interval is over `resamples` draws of test points with replacement.
pub fn beta_vae(table: &Table, settings: &BetaVae, resamples: usize, seed: u64) -> Score {
    let BetaVae { pairs, train, test } = *settings;
    assert!(pairs > 0 && train > 0 && test > 0, "pairs and points must be at least 1, got {settings:?}");
    let rows = Rows::of(table);
    let draws = (0..(train + test) as u64).into_par_iter();
    let points: Vec<(Vec<f64>, usize)> =
        draws.map(|point| rows.point(pairs, &mut Rng::with_seed(seed_of(seed, point)))).collect();
    let (points, unseen) = points.split_at(train);
    let features: Vec<f64> = points.iter().flat_map(|(features, _)| features).copied().collect();
    let labels: Vec<usize> = points.iter().map(|&(_, factor)| factor).collect();
    let model = LogisticRegression::fit(&features, table.dimensions(), &labels);
    let right: Vec<bool> = unseen.iter().map(|(features, factor)| model.predict(features) == *factor).collect();
    let draws = (0..resamples as u64).into_par_iter();
    let task = |draw: u64| seed_of(seed_of(seed, u64::MAX), draw);
    let resamples: Vec<f64> = draws.map(|draw| share(&right, &bootstrap(test, task(draw)))).collect();
    Score::with_resamples(share(&right, &vec![1; test]), &resamples)
}

/// The features of a point: mean of |z − z'| over pairs of rows, D numbers.
pub fn mean_difference(table: &Table, pairs: &[[usize; 2]]) -> Vec<f64> {
    let mut mean = vec![0.0; table.dimensions()];
    for &[first, second] in pairs {
        for (mean, (a, b)) in mean.iter_mut().zip(table.code(first).iter().zip(table.code(second))) {
            *mean += (a - b).abs() / pairs.len() as f64;
        }
    }
    mean
}

/// The rows of a table by the levels of each factor.
struct Rows<'a> {
    table: &'a Table,
    /// `[K][levels]`.
    with_level: Vec<Vec<Vec<usize>>>,
}

impl<'a> Rows<'a> {
    fn of(table: &'a Table) -> Self {
        let mut with_level: Vec<Vec<Vec<usize>>> = table.sizes().iter().map(|&size| vec![Vec::new(); size]).collect();
        for row in 0..table.rows() {
            for (levels, &level) in with_level.iter_mut().zip(table.levels(row)) {
                levels[level].push(row);
            }
        }
        Self { table, with_level }
    }

    /// The features of a point, and the factor that its pairs share.
    fn point(&self, pairs: usize, rng: &mut Rng) -> (Vec<f64>, usize) {
        let factor = rng.usize(..self.table.factors());
        let pair = |_| {
            let level = self.table.levels(rng.usize(..self.table.rows()))[factor];
            let rows = &self.with_level[factor][level];
            [(); 2].map(|()| rows[rng.usize(..rows.len())])
        };
        let pairs: Vec<[usize; 2]> = (0..pairs).map(pair).collect();
        (mean_difference(self.table, &pairs), factor)
    }
}
