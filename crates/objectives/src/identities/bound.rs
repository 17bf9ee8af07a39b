//! §1: the ELBO, and the bound of K samples.

use super::discrete::{Discrete, expectation, kl, tuples};
use super::{Claim, Ledger};

const EVIDENCE: Claim = Claim::equal("1", "(1)", "evidence", "log p(x) = ELBO(x) + KL(q(z|x) ‖ p(z|x))");
const LOWER_BOUND: Claim = Claim::at_most("1", "(1)", "lower-bound", "ELBO(x) ≤ log p(x)");
const RECONSTRUCTION: Claim =
    Claim::equal("1", "(2)", "reconstruction-form", "ELBO(x) = E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))");
const ONE_SAMPLE: Claim = Claim::equal("1", "", "iwae-one-sample", "E log w = ELBO(x)");
const MORE_SAMPLES: Claim = Claim::at_most("1", "", "iwae-monotone", "E log mean of K ≤ E log mean of K+1, K = 1..3");
const SAMPLES_BOUND: Claim = Claim::at_most("1", "", "iwae-bound", "E log mean_k w_k ≤ log p(x), K = 1..4");
const DRAW_BOUND: Claim =
    Claim::at_most("1", "", "iwae-single-draw-bound", "every draw: log mean_k w_k ≤ log p(x)").refuted();
const DRAW_MONOTONE: Claim =
    Claim::at_most("1", "", "iwae-single-draw-monotone", "every draw: log w_1 ≤ log mean(w_1, w_2)").refuted();

pub(super) fn check(ledger: &mut Ledger, model: &Discrete) {
    for x in 0..model.values() {
        let (elbo, log_evidence) = (model.elbo(x), model.evidence(x).ln());
        let q = &model.encoder[x];
        ledger.compare(EVIDENCE, log_evidence, elbo + kl(q, &model.posterior(x)));
        ledger.compare(LOWER_BOUND, elbo, log_evidence);
        ledger.compare(RECONSTRUCTION, elbo, model.expected_log_likelihood(x) - kl(q, &model.prior));
    }
}

/// The bound of K = 1..4 samples, over all tuples of states.
pub(super) fn check_samples(ledger: &mut Ledger, model: &Discrete) {
    for x in 0..model.values() {
        let (q, joint, log_evidence) = (&model.encoder[x], model.joint(x), model.evidence(x).ln());
        let weights: Vec<f64> = joint.iter().zip(q).map(|(joint, q)| joint / q).collect();
        let bounds: Vec<f64> = (1..=4).map(|samples| expected_log_mean(q, &weights, samples)).collect();
        ledger.compare(ONE_SAMPLE, expectation(q, |z| weights[z].ln()), model.elbo(x));
        ledger.compare(ONE_SAMPLE, bounds[0], model.elbo(x));
        for pair in bounds.windows(2) {
            ledger.compare(MORE_SAMPLES, pair[0], pair[1]);
        }
        for bound in bounds {
            ledger.compare(SAMPLES_BOUND, bound, log_evidence);
        }
        let (least, most) = weights.iter().fold((f64::MAX, 0.0_f64), |(low, high), &w| (low.min(w), high.max(w)));
        ledger.compare(DRAW_BOUND, most.ln(), log_evidence);
        ledger.compare(DRAW_MONOTONE, most.ln(), (0.5 * (least + most)).ln());
    }
}

/// `E log((1/K) Σ_k w_k)` over K independent draws from q.
fn expected_log_mean(q: &[f64], weights: &[f64], samples: usize) -> f64 {
    let mut mean = 0.0;
    tuples(q, samples, &mut |probability, tuple| {
        let sum: f64 = tuple.iter().map(|&z| weights[z]).sum();
        mean += probability * (sum / samples as f64).ln();
    });
    mean
}
