//! §2, §3: the aggregate posterior q(z) and the terms of the KL.

use super::discrete::{Discrete, entropy, expectation, kl};
use super::random::Random;
use super::{Claim, Ledger};

const MUTUAL_INFORMATION: Claim =
    Claim::equal("2", "(3)", "mutual-information-form", "E KL(q(z|x) ‖ p(z)) = I_q + KL(q(z) ‖ p(z))");
const PRINTED: Claim =
    Claim::equal("2", "(3)", "printed-second-integral", "E KL(q(z|x) ‖ p(z)) = I_q + ∫ q log(q(z)/q(z))").refuted();
const NON_NEGATIVE: Claim = Claim::at_most("2", "", "information-non-negative", "0 ≤ I_q");
const LOG_N: Claim = Claim::at_most("2", "", "information-log-n", "I_q ≤ log N");
const DATA_ENTROPY: Claim = Claim::at_most("2", "", "information-data-entropy", "I_q ≤ H(p̂), p̂ with repeated points");
const CAPACITY: Claim = Claim::at_most("2", "", "capacity-from-above", "I_q ≤ C when E KL = C");
const CAPACITY_BELOW: Claim =
    Claim::at_most("2", "", "capacity-from-below", "C ≤ I_q when E KL = C (the note's motive)").refuted();

const TOTAL_CORRELATION: Claim =
    Claim::equal("3", "(4)", "disentangled-form", "KL(q(z) ‖ p(z)) = TC + Σ_d KL(q(z_d) ‖ p(z_d))");
const TC_NON_NEGATIVE: Claim = Claim::at_most("3", "(4)", "tc-non-negative", "0 ≤ TC");
const CORRELATED_PRIOR: Claim =
    Claim::equal("3", "(4)", "disentangled-form-any-prior", "the same for a p(z) that does not factorise").refuted();
const UNIT_WEIGHTS: Claim =
    Claim::equal("3", "", "beta-tcvae-unit-weights", "−E log p(x|z) + MI + TC + DWKL = −E ELBO");
const TELESCOPING: Claim =
    Claim::equal("3", "", "telescoping-any-weights", "MI + TC + DWKL = E KL for any stand-in of q(z), Π q(z_d)");
const SUM_TEST: Claim =
    Claim::equal("3", "", "sum-test-proves-terms", "then MI = I_q for any stand-in of q(z)").refuted();

pub(super) fn check(ledger: &mut Ledger, model: &Discrete, random: &mut Random) {
    let (q, prior) = (model.aggregate(), &model.prior);
    let mean_kl = model.data_mean(|x| kl(&model.encoder[x], prior));
    let information = entropy(&q) - model.data_mean(|x| entropy(&model.encoder[x]));
    let aggregate_kl = kl(&q, prior);
    ledger.compare(MUTUAL_INFORMATION, mean_kl, information + aggregate_kl);
    ledger.compare(PRINTED, mean_kl, information + kl(&q, &q));
    ledger.compare(NON_NEGATIVE, 0.0, information);
    ledger.compare(LOG_N, information, (model.data.len() as f64).ln());
    ledger.compare(DATA_ENTROPY, information, entropy(&model.empirical()));
    ledger.compare(CAPACITY, information, mean_kl);
    ledger.compare(CAPACITY_BELOW, mean_kl, information);

    let alone: Vec<Vec<usize>> = (0..model.levels.len()).map(|d| vec![d]).collect();
    let product = model.product_of_marginals(&q, &alone);
    let total_correlation = kl(&q, &product);
    let dimension_wise = dimension_wise_kl(model, &q, prior);
    ledger.compare(TOTAL_CORRELATION, aggregate_kl, total_correlation + dimension_wise);
    ledger.compare(TC_NON_NEGATIVE, 0.0, total_correlation);
    let correlated = random.distribution(model.states());
    let other = dimension_wise_kl(model, &q, &correlated);
    ledger.compare(CORRELATED_PRIOR, kl(&q, &correlated), total_correlation + other);

    let reconstruction = -model.data_mean(|x| model.expected_log_likelihood(x));
    let loss = reconstruction + information + total_correlation + dimension_wise;
    ledger.compare(UNIT_WEIGHTS, loss, -model.data_mean(|x| model.elbo(x)));

    // Estimates are any positive numbers, one for each example and state.
    let mut estimate = || -> Vec<Vec<f64>> {
        let row = |random: &mut Random| (0..model.states()).map(|_| random.uniform(0.01, 2.0)).collect();
        (0..model.values()).map(|_| row(random)).collect()
    };
    let (joint, marginals) = (estimate(), estimate());
    let mean = |f: &dyn Fn(usize, usize) -> f64| model.data_mean(|x| expectation(&model.encoder[x], |z| f(x, z)));
    let mi = mean(&|x, z| (model.encoder[x][z] / joint[x][z]).ln());
    let tc = mean(&|x, z| (joint[x][z] / marginals[x][z]).ln());
    let dw_kl = mean(&|x, z| (marginals[x][z] / prior[z]).ln());
    ledger.compare(TELESCOPING, mi + tc + dw_kl, mean_kl);
    ledger.compare(SUM_TEST, mi, information);
}

/// `Σ_d KL(q(z_d) ‖ p(z_d))`.
pub(super) fn dimension_wise_kl(model: &Discrete, q: &[f64], p: &[f64]) -> f64 {
    model.marginals(q).iter().zip(&model.marginals(p)).map(|(q, p)| kl(q, p)).sum()
}
