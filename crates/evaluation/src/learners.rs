//! Learners that scores put on codes: trees, a support vector machine and logistic regression with the settings of scikit-learn that the
//! published scores were computed with.
//!
//! | module | what |
//! |---|---|
//! | [`boosting`] | gradient-boosted trees with importances, as `GradientBoostingClassifier` |
//! | [`tree`] | the regression trees they are made of |
//! | [`linear_svm`] | linear support vector machine on one dimension, as `LinearSVC(class_weight="balanced")` |
//! | [`logistic`] | multinomial logistic regression, as `LogisticRegression(C=1)` |
//! | [`auc`] | area under the ROC curve |
//!
//! All of them compute in float64 on the host, take rows of features and a label for each, learn only the labels that come in the training
//! rows, and give the same result whatever the number of threads.

pub mod auc;
pub mod boosting;
pub mod linear_svm;
pub mod logistic;
pub mod tree;

/// The labels that come in some rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// Distinct labels, ascending.
    pub labels: Vec<usize>,
    /// For each row, the place of its label among them.
    pub of_row: Vec<usize>,
}

impl Classes {
    /// Of rows with these labels, at least one.
    pub fn of(rows: &[usize]) -> Self {
        assert!(!rows.is_empty(), "a learner needs at least one row");
        let mut labels = rows.to_vec();
        labels.sort_unstable();
        labels.dedup();
        let place = |label: &usize| labels.binary_search(label).expect("every label is among the distinct ones");
        Self { of_row: rows.iter().map(place).collect(), labels }
    }

    /// Number of distinct labels.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Never: there is at least one row.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Rows of each class, or the sum of their weights.
    pub fn counts(&self, weights: Option<&[u32]>) -> Vec<f64> {
        let mut counts = vec![0.0; self.len()];
        for (row, &class) in self.of_row.iter().enumerate() {
            counts[class] += weights.map_or(1.0, |weights| f64::from(weights[row]));
        }
        counts
    }
}

/// Place of the largest value; of several, the first.
pub(crate) fn largest(values: &[f64]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}

/// How often each of `rows` rows comes in as many draws with replacement.
pub(crate) fn bootstrap(rows: usize, seed: u64) -> Vec<u32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut counts = vec![0; rows];
    for _ in 0..rows {
        counts[rng.usize(..rows)] += 1;
    }
    counts
}

/// Share of the rows that are `right`, each counted as often as `counts` says.
pub(crate) fn share(right: &[bool], counts: &[u32]) -> f64 {
    let hits: u64 = right.iter().zip(counts).map(|(&right, &count)| u64::from(right) * u64::from(count)).sum();
    let total: u64 = counts.iter().map(|&count| u64::from(count)).sum();
    hits as f64 / total as f64
}
