//! The proof obligations of docs/mathematics.md §3.1: enumeration over every batch there is.

use crate::setting::{Codes, DOUBLE, assert_near, number};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::log_mixture;
use tch::Tensor;

const EXAMPLES: i64 = 5;

/// All ordered batches of `size` different examples that have `own` in row `row`.
fn batches_with(own: i64, row: usize, size: usize) -> Vec<Vec<i64>> {
    fn extend(batch: &mut Vec<i64>, own: i64, row: usize, size: usize, all: &mut Vec<Vec<i64>>) {
        if batch.len() == size {
            return all.push(batch.clone());
        }
        let here = if batch.len() == row { own..own + 1 } else { 0..EXAMPLES };
        for example in here {
            if !batch.contains(&example) && (batch.len() == row || example != own) {
                batch.push(example);
                extend(batch, own, row, size, all);
                batch.pop();
            }
        }
    }
    let mut all = Vec::new();
    extend(&mut Vec::new(), own, row, size, &mut all);
    all
}

/// What the estimates of one row are over all batches: `[batches, 1 + D]`, log q(z) and then each `log q(z_d)`.
fn estimates(codes: &Codes, own: i64, row: usize, size: usize, weights: &dyn Fn(usize, usize) -> Tensor) -> Tensor {
    let z = codes.z.narrow(0, own, 1);
    let log_weights = weights(row, size);
    let rows: Vec<Tensor> = batches_with(own, row, size)
        .iter()
        .map(|batch| {
            let batch = codes.rows(batch);
            let mixture = log_mixture(&z, &batch.mean, &batch.log_var, &log_weights);
            Tensor::cat(&[mixture.joint.unsqueeze(1), mixture.marginals], 1)
        })
        .collect();
    Tensor::cat(&rows, 0)
}

/// The same under the whole data set, `[1 + D]`.
fn truth(codes: &Codes, own: i64) -> Tensor {
    let log_weights = Tensor::full([1, EXAMPLES], -(EXAMPLES as f64).ln(), DOUBLE);
    let mixture = log_mixture(&codes.z.narrow(0, own, 1), &codes.mean, &codes.log_var, &log_weights);
    Tensor::cat(&[mixture.joint, mixture.marginals.squeeze_dim(0)], 0)
}

/// Largest relative distance between the mean of the density estimates and the density, over own examples, rows, batch sizes and q(z), `q(z_d)`.
fn worst_bias(weights: &dyn Fn(usize, usize) -> Tensor) -> f64 {
    let codes = Codes::random(EXAMPLES, 3, 11);
    let mut worst = 0.0_f64;
    for size in 2..=EXAMPLES as usize {
        for own in 0..EXAMPLES {
            let truth = truth(&codes, own);
            for row in 0..size {
                let ratio = (estimates(&codes, own, row, size, weights) - &truth).exp().mean_dim(0, false, None);
                worst = worst.max(number(&(ratio - 1.0).abs().max()));
            }
        }
    }
    worst
}

fn ours(estimator: Estimator) -> impl Fn(usize, usize) -> Tensor {
    move |row, size| estimator.log_weights(row as i64..row as i64 + 1, size as i64, EXAMPLES, DOUBLE)
}

/// Given z and its own example, the mean over all batches of MSS and of Balanced is q(z), and each `q(z_d)`, whichever row holds the example.
#[test]
fn mss_and_balanced_are_unbiased_for_the_joint_and_each_marginal() {
    for estimator in [Estimator::Mss, Estimator::Balanced] {
        let bias = worst_bias(&ours(estimator));
        assert!(bias < 1e-12, "{estimator} is off by {bias:e}");
    }
}

/// Three widely used implementations fill the first two columns instead of the diagonal and its neighbour. The same enumeration refutes them.
#[test]
fn first_column_stratified_weights_are_biased() {
    let published =
        |row: usize, size: usize| first_column_weights(size as i64, EXAMPLES).narrow(0, row as i64, 1).log();
    assert!(worst_bias(&published) > 0.05);
}

/// 1/B counts the own example N/B times too often, and MWS is off by 1/N besides.
#[test]
fn uniform_and_mws_weights_are_biased() {
    assert!(worst_bias(&ours(Estimator::Uniform)) > 0.05);
    assert!(worst_bias(&ours(Estimator::Mws)) > 0.5);
}

/// The weights as rtqichen/beta-tcvae, `clementchadebec/benchmark_VAE` and YannDubs/disentangling-vae build them: a strided fill that hits
/// columns instead of diagonals.
pub(crate) fn first_column_weights(batch: i64, dataset_len: i64) -> Tensor {
    let (n, m) = (dataset_len as f64, (batch - 1) as f64);
    let stratified = (n - m) / (n * m);
    let weights = Tensor::full([batch, batch], 1.0 / m, DOUBLE);
    let _ = weights.narrow(1, 0, 1).fill_(1.0 / n);
    let _ = weights.narrow(1, 1, 1).fill_(stratified);
    let _ = weights.narrow(0, batch - 2, 1).narrow(1, 0, 1).fill_(stratified);
    weights
}

/// Balanced is MSS averaged over the stratified row: same mean, never more spread, for the joint and for each marginal.
#[test]
fn balanced_has_the_smaller_variance() {
    let codes = Codes::random(EXAMPLES, 3, 12);
    for size in 2..=EXAMPLES as usize {
        for own in 0..EXAMPLES {
            let variance = |estimator| estimates(&codes, own, 0, size, &ours(estimator)).exp().var_dim(0, false, false);
            let excess = variance(Estimator::Balanced) - variance(Estimator::Mss);
            assert!(number(&excess.max()) < 1e-12, "B = {size}, own example {own}");
        }
    }
}

/// The logarithm of an unbiased estimate is biased down (Jensen), and the estimate with less spread less so:
/// `E log MSS ≤ E log Balanced ≤ log q`.
#[test]
fn logarithms_are_biased_down_and_mss_more_than_balanced() {
    let codes = Codes::random(EXAMPLES, 3, 13);
    for size in 2..=EXAMPLES as usize {
        for own in 0..EXAMPLES {
            let mean_log = |estimator| estimates(&codes, own, 0, size, &ours(estimator)).mean_dim(0, false, None);
            let (mss, balanced) = (mean_log(Estimator::Mss), mean_log(Estimator::Balanced));
            assert!(number(&(&mss - &balanced).max()) < 1e-12, "B = {size}, own example {own}");
            assert!(number(&(balanced - truth(&codes, own)).max()) < 1e-12, "B = {size}, own example {own}");
        }
    }
}

/// With B = N, Balanced weighs every example 1/N; MSS still tells the next row from the others.
#[test]
fn balanced_is_exact_when_the_batch_is_the_data_set_and_mss_is_not() {
    let exact = Tensor::full([4, 4], 0.25_f64.ln(), DOUBLE);
    assert_near(&Estimator::Balanced.log_weights(0..4, 4, 4, DOUBLE), &exact, 1e-15);
    let mss = Estimator::Mss.log_weights(0..4, 4, 4, DOUBLE);
    assert!(number(&(mss - exact).abs().max()) > 0.2);
}

/// Own weight on the diagonal, the stratified one beside it (the last row's in the first column), and rows that sum to 1.
#[test]
fn weights_stand_where_the_table_says() {
    let weights = Estimator::Mss.log_weights(0..4, 4, 10, DOUBLE).exp();
    let (own, next, other) = (0.1, 7.0 / 30.0, 1.0 / 3.0);
    let expected = Tensor::from_slice2(&[
        [own, next, other, other],
        [other, own, next, other],
        [other, other, own, next],
        [next, other, other, own],
    ]);
    assert_near(&weights, &expected, 1e-15);
    let ones = Tensor::ones([4], DOUBLE);
    for estimator in [Estimator::Uniform, Estimator::Mss, Estimator::Balanced] {
        let rows = estimator.log_weights(0..4, 4, 10, DOUBLE).exp().sum_dim_intlist(-1, false, None);
        assert_near(&rows, &ones, 1e-15);
    }
    let mws = Estimator::Mws.log_weights(0..4, 4, 10, DOUBLE).exp();
    assert_near(&mws, &Tensor::full([4, 4], 1.0 / 40.0, DOUBLE), 1e-16);
}

/// A block of rows is the same rows of the whole matrix, so that a caller may work in blocks.
#[test]
fn weights_of_a_block_are_rows_of_the_matrix() {
    for estimator in Estimator::MINIBATCH {
        let whole = estimator.log_weights(0..5, 5, 20, DOUBLE);
        assert_near(&estimator.log_weights(2..5, 5, 20, DOUBLE), &whole.narrow(0, 2, 3), 0.0);
    }
}
