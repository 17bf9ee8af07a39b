//! §3.1: what the estimators' weights make of q(z), over all batches there are. The weights are the library's.

use super::discrete::{digits, expectation};
use super::library::numbers;
use super::random::Random;
use super::{Claim, Ledger};
use crate::estimator::Estimator;
use tch::{Device, Kind};

const MSS: Claim = Claim::equal("3.1", "", "mss-unbiased", "E over batches of the MSS estimate = q(z), each q(z_d)");
const BALANCED: Claim =
    Claim::equal("3.1", "", "balanced-unbiased", "E over batches of the Balanced estimate = q(z), each q(z_d)");
const FIRST_COLUMN: Claim =
    Claim::equal("3.1", "", "first-column-unbiased", "the same with MSS weights in the first columns").refuted();
const UNIFORM: Claim = Claim::equal("3.1", "", "uniform-unbiased", "the same with 1/B everywhere").refuted();
const MWS: Claim = Claim::equal("3.1", "", "mws-unbiased", "the same with 1/(N B) everywhere").refuted();
const PRODUCT: Claim =
    Claim::equal("3.1", "", "balanced-unbiased-product", "E Π_d of the Balanced estimates = Π_d q(z_d)").refuted();
const LOGARITHM: Claim =
    Claim::equal("3.1", "", "balanced-unbiased-logarithm", "E log of the Balanced estimate = log q(z)").refuted();
const MSS_BELOW: Claim = Claim::at_most("3.1", "", "mss-log-below-balanced-log", "E log MSS ≤ E log Balanced");
const BALANCED_BELOW: Claim = Claim::at_most("3.1", "", "balanced-log-below-log", "E log Balanced ≤ log q");
const VARIANCE: Claim = Claim::at_most("3.1", "", "balanced-variance", "Var Balanced ≤ Var MSS");
const AVERAGE: Claim =
    Claim::equal("3.1", "", "balanced-is-averaged-mss", "MSS averaged over its stratified row = Balanced");
const WHOLE: Claim = Claim::equal("3.1", "", "balanced-whole-data", "B = N: Balanced = q(z)");
const WHOLE_MSS: Claim = Claim::equal("3.1", "", "mss-whole-data", "B = N: MSS = q(z)").refuted();
const LOG_B: Claim = Claim::at_most("3.1", "", "uniform-information", "Uniform: log q(z|x) − log q(z) ≤ log B");
const CONSTANTS: Claim =
    Claim::equal("3.1", "", "mws-constants", "MWS − Uniform: MI + log N, TC + (D−1) log N, DWKL − D log N");
const REPLACEMENT: Claim = Claim::equal("3.1", "", "iid-unbiased", "with replacement, own 0 and others 1/M: E = q(z)");
const REPLACEMENT_MSS: Claim =
    Claim::equal("3.1", "", "mss-with-replacement", "with replacement: E of the MSS estimate = q(z)").refuted();
const REPLACEMENT_BALANCED: Claim =
    Claim::equal("3.1", "", "balanced-with-replacement", "with replacement: E of the Balanced estimate = q(z)")
        .refuted();

/// Examples N; all ordered batches of 2..=N of them are listed.
const EXAMPLES: usize = 4;

/// The library's weights of `estimator`, `[B][B]`.
fn weights(estimator: Estimator, batch: usize) -> Vec<Vec<f64>> {
    let all = (Kind::Double, Device::Cpu);
    let flat = numbers(&estimator.log_weights(0..batch as i64, batch as i64, EXAMPLES as i64, all).exp());
    flat.chunks(batch).map(<[f64]>::to_vec).collect()
}

/// The strided fill of three widely used implementations, which hits columns instead of diagonals.
fn first_column_weights(batch: usize) -> Vec<Vec<f64>> {
    let (n, m) = (EXAMPLES as f64, (batch - 1) as f64);
    let stratified = (n - m) / (n * m);
    let mut weights = vec![vec![1.0 / m; batch]; batch];
    for row in &mut weights {
        (row[0], row[1]) = (1.0 / n, stratified);
    }
    weights[batch - 2][0] = stratified;
    weights
}

/// All ordered batches of `size` different examples with `own` in row `row`.
fn batches(own: usize, row: usize, size: usize, replacement: bool) -> Vec<Vec<usize>> {
    let others = (0..EXAMPLES.pow(size as u32 - 1)).map(|index| digits(&vec![EXAMPLES; size - 1], index));
    let batch = |mut others: Vec<usize>| {
        others.insert(row, own);
        others
    };
    let distinct = |batch: &Vec<usize>| (0..size).all(|i| (0..i).all(|j| batch[i] != batch[j]));
    others.map(batch).filter(|batch| replacement || distinct(batch)).collect()
}

/// Mean, mean logarithm and variance of the estimates under one row of weights.
fn moments(weights: &[f64], batches: &[Vec<usize>], density: &[f64]) -> [f64; 3] {
    let estimates: Vec<f64> = batches.iter().map(|batch| estimate(weights, batch, density)).collect();
    let mean = |f: &dyn Fn(f64) -> f64| estimates.iter().map(|&e| f(e)).sum::<f64>() / estimates.len() as f64;
    let average = mean(&|e| e);
    [average, mean(&f64::ln), mean(&|e| (e - average).powi(2))]
}

/// `Σ_j w_j q(z|x_j)`; `density` by example, at one z.
fn estimate(weights: &[f64], batch: &[usize], density: &[f64]) -> f64 {
    weights.iter().zip(batch).map(|(weight, &example)| weight * density[example]).sum()
}

pub(super) fn check(ledger: &mut Ledger, random: &mut Random) {
    // Densities at one z by example: of the two coordinates, and of z. Any positive numbers may be densities there.
    let mut positive = || -> Vec<f64> { (0..EXAMPLES).map(|_| random.uniform(0.05, 1.5)).collect() };
    let (first, second) = (positive(), positive());
    let joint: Vec<f64> = first.iter().zip(&second).map(|(first, second)| first * second).collect();
    for size in 2..=EXAMPLES {
        let [mws, uniform, mss, balanced] =
            [Estimator::Mws, Estimator::Uniform, Estimator::Mss, Estimator::Balanced].map(|e| weights(e, size));
        let columns = first_column_weights(size);
        for row in 0..size {
            let (mss, balanced) = (&mss[row], &balanced[row]);
            for own in 0..EXAMPLES {
                let batches = self::batches(own, row, size, false);
                for density in [&joint, &first, &second] {
                    let truth = mean(density);
                    let [mss_mean, mss_log, mss_variance] = moments(mss, &batches, density);
                    let [balanced_mean, balanced_log, balanced_variance] = moments(balanced, &batches, density);
                    ledger.compare(MSS, mss_mean, truth);
                    ledger.compare(BALANCED, balanced_mean, truth);
                    ledger.compare(FIRST_COLUMN, moments(&columns[row], &batches, density)[0], truth);
                    ledger.compare(UNIFORM, moments(&uniform[row], &batches, density)[0], truth);
                    ledger.compare(MWS, moments(&mws[row], &batches, density)[0], truth);
                    ledger.compare(MSS_BELOW, mss_log, balanced_log);
                    ledger.compare(BALANCED_BELOW, balanced_log, truth.ln());
                    ledger.compare(LOGARITHM, balanced_log, truth.ln());
                    ledger.compare(VARIANCE, balanced_variance, mss_variance);
                    if size == EXAMPLES {
                        ledger.compare(WHOLE, estimate(balanced, &batches[0], density), truth);
                        ledger.compare(WHOLE_MSS, estimate(mss, &batches[0], density), truth);
                    }
                }
                let both = |batch: &Vec<usize>| estimate(balanced, batch, &first) * estimate(balanced, batch, &second);
                let product = batches.iter().map(both).sum::<f64>() / batches.len() as f64;
                ledger.compare(PRODUCT, product, mean(&first) * mean(&second));
                let information = (joint[own] / estimate(&uniform[row], &batches[0], &joint)).ln();
                ledger.compare(LOG_B, information, (size as f64).ln());
                check_constants(ledger, (&mws[row], &uniform[row]), &batches[0], [&joint, &first, &second], own);
            }
            check_average(ledger, mss, balanced, row);
            check_replacement(ledger, mss, balanced, row, &joint);
        }
    }
}

fn mean(density: &[f64]) -> f64 {
    density.iter().sum::<f64>() / density.len() as f64
}

/// What MWS's constants do to the three terms, at D = 2.
fn check_constants(
    ledger: &mut Ledger,
    (mws, uniform): (&[f64], &[f64]),
    batch: &[usize],
    [joint, first, second]: [&[f64]; 3],
    own: usize,
) {
    let terms = |weights: &[f64]| {
        let [joint_log, first, second] = [joint, first, second].map(|density| estimate(weights, batch, density).ln());
        // log p(z) is 0 here: it cancels.
        [joint[own].ln() - joint_log, joint_log - first - second, first + second]
    };
    let log_n = (EXAMPLES as f64).ln();
    for ((mws, uniform), factor) in terms(mws).into_iter().zip(terms(uniform)).zip([1.0, 1.0, -2.0]) {
        ledger.compare(CONSTANTS, mws, uniform + factor * log_n);
    }
}

/// Each of the M other rows takes the stratified weight in turn.
fn check_average(ledger: &mut Ledger, mss: &[f64], balanced: &[f64], row: usize) {
    let size = mss.len();
    let others: Vec<f64> = (0..size).filter(|&j| j != row).map(|j| mss[j]).collect();
    for (j, &balanced) in balanced.iter().enumerate() {
        let averaged = if j == row { mss[row] } else { mean(&others) };
        ledger.compare(AVERAGE, averaged, balanced);
    }
}

/// Batches in which the other rows are drawn with replacement.
fn check_replacement(ledger: &mut Ledger, mss: &[f64], balanced: &[f64], row: usize, density: &[f64]) {
    let size = mss.len();
    let independent: Vec<f64> = (0..size).map(|j| if j == row { 0.0 } else { 1.0 / (size - 1) as f64 }).collect();
    for own in 0..EXAMPLES {
        let batches = batches(own, row, size, true);
        let uniform = vec![1.0 / EXAMPLES as f64; EXAMPLES];
        let truth = expectation(&uniform, |example| density[example]);
        for (claim, weights) in
            [(REPLACEMENT, &independent[..]), (REPLACEMENT_MSS, mss), (REPLACEMENT_BALANCED, balanced)]
        {
            ledger.compare(claim, moments(weights, &batches, density)[0], truth);
        }
    }
}
