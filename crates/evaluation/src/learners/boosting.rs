//! Gradient-boosted trees, as scikit-learn's `GradientBoostingClassifier`: one regression tree a class and stage, fitted to the gradient of
//! the log-likelihood and given the values of a Newton step.
//!
//! ```text
//! r_ik = 1[y_i = k] − p_k(x_i)            p = softmax(F)
//! F_k ← F_k + ν γ_leaf                    γ_leaf = (K − 1)/K Σ r / Σ |r| (1 − |r|)      Friedman 2001, Algorithm 6
//! ```
//!
//! F starts at the log-frequencies of the classes. For two classes there is one tree a stage, for the log-odds of the second, and
//! γ = Σ r / Σ p (1 − p) (Algorithm 5). Splits are exact, over columns sorted once for all trees.
//!
//! The importance of a feature is by how much its splits lower the squared error of the trees that they are in, summed over all trees,
//! as a share of that of all features: a tree counts by what it explains, not each tree alike.
//!
//! Written here because no maintained crate without C++ has multinomial boosting with these importances: gbdt and forust are binary,
//! smartcore's is for regression, perpetual has neither depth nor stages, linfa-ensemble does not boost, and the bindings of
//! `LightGBM` and `XGBoost` build C++ with cmake.

use super::tree::{Columns, Tree};
use super::{Classes, largest};
use crate::scores::seed_of;
use rayon::prelude::*;

/// How much to boost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Boosting {
    /// Stages, each of one tree a class.
    pub stages: usize,
    /// Levels of splits of a tree.
    pub depth: usize,
    /// Share ν of a tree's values that is added.
    pub learning_rate: f64,
}

impl Default for Boosting {
    /// scikit-learn's: 100 stages of depth 3 at rate 0.1.
    fn default() -> Self {
        Self { stages: 100, depth: 3, learning_rate: 0.1 }
    }
}

/// A fitted classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct BoostedTrees {
    labels: Vec<usize>,
    learning_rate: f64,
    /// One a label, and one in all for two labels: where F starts, and its trees.
    ensembles: Vec<Ensemble>,
    importances: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
struct Ensemble {
    start: f64,
    trees: Vec<Tree>,
}

impl BoostedTrees {
    /// From features and the label of each row. A row counts as often as `weights` says, at least once; `seed` orders features of equal
    /// merit (see [`tree`](super::tree)).
    pub fn fit(columns: &Columns, labels: &[usize], weights: Option<&[u32]>, settings: &Boosting, seed: u64) -> Self {
        assert_eq!(columns.rows(), labels.len(), "one label a row");
        let classes = Classes::of(labels);
        let counts = classes.counts(weights);
        let total: f64 = counts.iter().sum();
        let mut learners: Vec<Learner> = match classes.len() {
            // One class is certain, and nothing is left to learn.
            1 => Vec::new(),
            2 => vec![Learner::new(1, (counts[1] / counts[0]).ln(), columns)],
            all => (0..all).map(|class| Learner::new(class, (counts[class] / total).ln(), columns)).collect(),
        };
        let stages = if learners.is_empty() { 0 } else { settings.stages };
        for stage in 0..stages {
            probabilities(&mut learners);
            let trees = learners.len();
            learners.par_iter_mut().enumerate().for_each(|(place, learner)| {
                let mut rng = fastrand::Rng::with_seed(seed_of(seed, (stage * trees + place) as u64));
                learner.add_tree(columns, &classes.of_row, weights, (settings, trees), &mut rng);
            });
        }
        let mut importances = vec![0.0; columns.width()];
        for learner in &learners {
            importances.iter_mut().zip(&learner.gains).for_each(|(sum, gain)| *sum += gain);
        }
        let sum: f64 = importances.iter().sum();
        if sum > 0.0 {
            for importance in &mut importances {
                *importance /= sum;
            }
        }
        Self {
            labels: classes.labels,
            learning_rate: settings.learning_rate,
            ensembles: learners.into_iter().map(|learner| learner.ensemble).collect(),
            importances,
        }
    }

    /// The labels that came in the training rows, ascending.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Each feature's share of what all splits explain; 0 for all of them where there is no split.
    pub fn importances(&self) -> &[f64] {
        &self.importances
    }

    /// Trees of a label, first stage first; those of the second where there are two labels.
    pub fn trees(&self, place: usize) -> &[Tree] {
        &self.ensembles[if self.ensembles.len() == 1 { 0 } else { place }].trees
    }

    /// F for one row of features: one number a label, the log-odds alone for two labels, nothing for one.
    pub fn decision(&self, features: &[f64]) -> Vec<f64> {
        let of = |ensemble: &Ensemble| {
            let steps: f64 = ensemble.trees.iter().map(|tree| tree.predict(features)).sum();
            ensemble.start + self.learning_rate * steps
        };
        self.ensembles.iter().map(of).collect()
    }

    /// The most probable label for one row of features.
    pub fn predict(&self, features: &[f64]) -> usize {
        match self.decision(features).as_slice() {
            [] => self.labels[0],
            [log_odds] => self.labels[usize::from(*log_odds >= 0.0)],
            all => self.labels[largest(all)],
        }
    }
}

/// One class while its trees are grown.
struct Learner {
    class: usize,
    ensemble: Ensemble,
    /// F of each training row.
    raw: Vec<f64>,
    /// p of each training row.
    probability: Vec<f64>,
    gains: Vec<f64>,
}

impl Learner {
    fn new(class: usize, start: f64, columns: &Columns) -> Self {
        Self {
            class,
            ensemble: Ensemble { start, trees: Vec::new() },
            raw: vec![start; columns.rows()],
            probability: vec![0.0; columns.rows()],
            gains: vec![0.0; columns.width()],
        }
    }

    fn add_tree(
        &mut self,
        columns: &Columns,
        of_row: &[usize],
        weights: Option<&[u32]>,
        (settings, trees): (&Boosting, usize),
        rng: &mut fastrand::Rng,
    ) {
        let residual = |(&class, p): (&usize, &f64)| f64::from(u8::from(class == self.class)) - p;
        let residuals: Vec<f64> = of_row.iter().zip(&self.probability).map(residual).collect();
        let mut grown = Tree::grow(columns, &residuals, weights, settings.depth, rng);
        let mut curvatures = vec![0.0; grown.tree.values.len()];
        for (row, &leaf) in grown.leaves.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| f64::from(weights[row]));
            grown.tree.values[leaf] += weight * residuals[row];
            curvatures[leaf] += weight * self.probability[row] * (1.0 - self.probability[row]);
        }
        // Of K trees a stage, each moves all logits against its own.
        let share = if trees == 1 { 1.0 } else { (trees as f64 - 1.0) / trees as f64 };
        for (value, curvature) in grown.tree.values.iter_mut().zip(&curvatures) {
            // Where p is 0 or 1 to the last bit, there is nothing to gain (scikit-learn's bound).
            *value = if *curvature < 1e-150 { 0.0 } else { share * *value / curvature };
        }
        for (raw, leaf) in self.raw.iter_mut().zip(grown.leaves) {
            *raw += settings.learning_rate * grown.tree.values[leaf];
        }
        self.gains.iter_mut().zip(grown.gains).for_each(|(sum, gain)| *sum += gain);
        self.ensemble.trees.push(grown.tree);
    }
}

/// p of all training rows from F: a softmax over classes, a logistic function of a single F.
fn probabilities(learners: &mut [Learner]) {
    if let [learner] = learners {
        for (p, raw) in learner.probability.iter_mut().zip(&learner.raw) {
            *p = 1.0 / (1.0 + (-raw).exp());
        }
        return;
    }
    let rows = learners[0].raw.len();
    let mut largest = vec![f64::NEG_INFINITY; rows];
    for learner in &*learners {
        largest.iter_mut().zip(&learner.raw).for_each(|(largest, &raw)| *largest = largest.max(raw));
    }
    learners.par_iter_mut().for_each(|learner| {
        for ((p, raw), largest) in learner.probability.iter_mut().zip(&learner.raw).zip(&largest) {
            *p = (raw - largest).exp();
        }
    });
    let mut sum = vec![0.0; rows];
    for learner in &*learners {
        sum.iter_mut().zip(&learner.probability).for_each(|(sum, p)| *sum += p);
    }
    learners.par_iter_mut().for_each(|learner| {
        learner.probability.iter_mut().zip(&sum).for_each(|(p, sum)| *p /= sum);
    });
}
