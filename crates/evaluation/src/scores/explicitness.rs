//! Explicitness: how well the levels of a factor are told from all codes together by a linear classifier.
//!
//! ```text
//! explicitness = mean over factors k, mean over levels l of AUC(p(k = l | z) against 1[v_k = l])         docs/mathematics.md §11;
//!                                                                                     Ridgeway & Mozer 2018, §3
//! ```
//!
//! p is a multinomial logistic regression (see [`logistic`](crate::learners::logistic)) from all codes, each less its mean and over its
//! standard deviation in the training rows, fitted on those; the area under the ROC curve is taken on the test rows, each level against
//! the rest.
//!
//! As in `disentanglement_lib` (Locatello et al. 2019) the area stands as it is: 1/2 is chance and the score of codes that say nothing;
//! the paper stretches it to 0 … 1. Explicitness does not ask for disentangled codes: a rotation of the factors has theirs.
//!
//! A level that none or all of the test rows have is left out, and so is a factor without any other; a level that no training row has
//! has probability 0 for all, and an area of 1/2.

use super::{Score, Table, seed_of};
use crate::learners::auc::Ranking;
use crate::learners::bootstrap;
use crate::learners::logistic::LogisticRegression;
use rayon::prelude::*;

/// Mean area under the ROC curve; the interval is over `resamples` draws of test rows with replacement.
pub fn explicitness(train: &Table, test: &Table, resamples: usize, seed: u64) -> Score {
    let factors = rankings(train, test);
    let score = |counts: Option<&[u32]>| {
        mean(factors.iter().filter_map(|levels| mean(levels.iter().filter_map(|level| level.area(counts)))))
            .unwrap_or(0.5)
    };
    let draws = (0..resamples as u64).into_par_iter();
    let resamples: Vec<f64> = draws.map(|draw| score(Some(&bootstrap(test.rows(), seed_of(seed, draw))))).collect();
    Score::with_resamples(score(None), &resamples)
}

/// Mean area of each factor's levels; `None` where no level has both rows with it and rows without.
pub fn areas(train: &Table, test: &Table) -> Vec<Option<f64>> {
    rankings(train, test).iter().map(|levels| mean(levels.iter().filter_map(|level| level.area(None)))).collect()
}

/// Test rows in the order of the probability of each level, `[K][levels]`.
fn rankings(train: &Table, test: &Table) -> Vec<Vec<Ranking>> {
    assert_eq!((train.dimensions(), train.factors()), (test.dimensions(), test.factors()), "test must be as train");
    assert!(test.rows() > 0, "an area needs rows to test on");
    let [known, unseen] = standardised(train, test);
    let of = |k: usize| {
        let model = LogisticRegression::fit(&known, train.dimensions(), &train.factor(k));
        let probabilities: Vec<Vec<f64>> =
            unseen.par_chunks(test.dimensions()).map(|code| model.probabilities(code)).collect();
        let truth = test.factor(k);
        let ranking = |level: usize| {
            let place = model.labels().binary_search(&level).ok();
            let scores: Vec<f64> = probabilities.iter().map(|row| place.map_or(0.0, |place| row[place])).collect();
            Ranking::new(&scores, &truth.iter().map(|&other| other == level).collect::<Vec<_>>())
        };
        (0..test.sizes()[k]).into_par_iter().map(ranking).collect()
    };
    (0..train.factors()).into_par_iter().map(of).collect()
}

/// The codes of both, each dimension less its mean and over its standard deviation in `train`; less its mean where it does not vary.
fn standardised(train: &Table, test: &Table) -> [Vec<f64>; 2] {
    let moments = |d: usize| {
        let values = train.dimension(d);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        // Of a constant, rounding may leave a deviation.
        (mean, if deviation > 1e-12 * mean.abs() { deviation } else { 1.0 })
    };
    let moments: Vec<(f64, f64)> = (0..train.dimensions()).map(moments).collect();
    [train, test].map(|table| {
        let codes = table.codes().iter().zip(moments.iter().cycle());
        codes.map(|(value, (mean, deviation))| (value - mean) / deviation).collect()
    })
}

/// `None` of no value.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
