//! §10: annealed importance sampling and its backward run, over all paths through a small space.

use super::discrete::{Discrete, digits};
use super::{Claim, Ledger};

const UNBIASED: Claim = Claim::equal("10", "", "ais-unbiased", "E[forward Ẑ] = p(x)");
const FORWARD: Claim = Claim::at_most("10", "", "ais-lower-bound", "E[forward log Ẑ] ≤ log p(x)");
const BACKWARD: Claim =
    Claim::at_most("10", "", "ais-upper-bound", "log p(x) ≤ E[−log 1/w], backward, reversed kernels");

/// Inverse temperatures: the start r = q(z|x), two in between, the end p(x, z).
const PATH: [f64; 4] = [0.0, 0.3, 0.7, 1.0];

pub(super) fn check(ledger: &mut Ledger, model: &Discrete) {
    for x in 0..model.values() {
        let (start, joint) = (&model.encoder[x], model.joint(x));
        let tempered: Vec<Vec<f64>> = PATH
            .iter()
            .map(|beta| start.iter().zip(&joint).map(|(r, p)| r.powf(1.0 - beta) * p.powf(*beta)).collect())
            .collect();
        let kernels: Vec<Vec<Vec<f64>>> = tempered[1..3].iter().map(|target| metropolis(target)).collect();
        let log_weight = |path: &[usize]| -> f64 {
            path.iter().enumerate().map(|(t, &z)| (tempered[t + 1][z] / tempered[t][z]).ln()).sum()
        };
        let posterior = model.posterior(x);
        let (mut mean, mut forward, mut backward) = (0.0, 0.0, 0.0);
        let states = model.states();
        for index in 0..states.pow(3) {
            let path = digits(&[states; 3], index);
            let [a, b, c] = [path[0], path[1], path[2]];
            let there = start[a] * kernels[0][a][b] * kernels[1][b][c];
            // Metropolis kernels are their own reversals.
            let back = posterior[c] * kernels[1][c][b] * kernels[0][b][a];
            let log_weight = log_weight(&path);
            mean += there * log_weight.exp();
            forward += there * log_weight;
            backward += back * log_weight;
        }
        let log_evidence = model.evidence(x).ln();
        ledger.compare(UNBIASED, mean, log_evidence.exp());
        ledger.compare(FORWARD, forward, log_evidence);
        ledger.compare(BACKWARD, log_evidence, backward);
    }
}

/// A Metropolis kernel for `target`, which need not be normalised: propose any state, accept with min(1, ratio). By row: from, then to.
fn metropolis(target: &[f64]) -> Vec<Vec<f64>> {
    let count = target.len() as f64;
    let row = |from: usize| {
        let mut row: Vec<f64> = target.iter().map(|to| (to / target[from]).min(1.0) / count).collect();
        row[from] = 0.0;
        row[from] = 1.0 - row.iter().sum::<f64>();
        row
    };
    (0..target.len()).map(row).collect()
}
