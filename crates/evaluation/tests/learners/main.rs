//! Learners against hand-worked examples, optimality conditions, plain enumeration, and figures of scikit-learn.

mod auc;
mod boosting;
mod linear_svm;
mod logistic;
mod tree;

use fastrand::Rng;

/// Rows of three features that depend on the label, with noise, and the labels.
fn rows(count: usize, classes: usize, seed: u64) -> (Vec<f64>, Vec<usize>) {
    let mut rng = Rng::with_seed(seed);
    let labels: Vec<usize> = (0..count).map(|_| rng.usize(..classes)).collect();
    let mut noise = move || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
    let features = labels.iter().flat_map(|&label| {
        let level = label as f64;
        [level + noise(), -0.5 * level + noise(), noise()]
    });
    let features = features.collect();
    (features, labels)
}

/// The same work on one thread and on three.
fn on_one_and_three_threads<T: Send>(work: impl Fn() -> T + Sync) -> [T; 2] {
    [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
        pool.install(&work)
    })
}
