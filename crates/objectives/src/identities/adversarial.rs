//! §7: adversarial variational Bayes on discrete models, T by numerical maximisation.

use super::discrete::{Discrete, digits, expectation, kl};
use super::divergences::classifier;
use super::quadrature::{derivative, softplus};
use super::random::Random;
use super::{Claim, Ledger};

const OPTIMUM: Claim =
    Claim::equal("7", "(7)", "proposition-1", "argmax_t a log σ(t) + b log(1 − σ(t)) = log q − log p");
const VALUE: Claim =
    Claim::equal("7", "(7)", "proposition-1-value", "objective at T* = 2 E JS(q(z|x), p(z)) − 2 log 2");
const BEST: Claim = Claim::at_most("7", "(7)", "proposition-1-maximum", "objective at any T ≤ objective at T*");
const KL_OF_T: Claim = Claim::equal("7", "", "expected-t-is-kl", "E_q T* = KL(q(z|x) ‖ p(z))");
const NOT_KL: Claim = Claim::at_most("7", "", "expected-t-lower-bound", "E_q T ≤ KL for any T").refuted();
const NOT_UPPER: Claim = Claim::at_most("7", "", "expected-t-upper-bound", "KL ≤ E_q T for any T").refuted();
const NWJ: Claim = Claim::at_most("7", "", "nwj-bound", "E_q T − E_p e^T + 1 ≤ KL for any T");
const NWJ_TIGHT: Claim = Claim::equal("7", "", "nwj-tight", "E_q T* − E_p e^T* + 1 = KL");
const CONTRAST: Claim =
    Claim::equal("7", "", "adaptive-contrast", "E_q[−T + log p(x,z) − log r] = ELBO, T = log q − log r");
const MOMENTS: Claim = Claim::equal(
    "7",
    "",
    "moment-tractable-encoder",
    "z = z_0 + Σ v_k a_k: mean z_0 + Σ a_k E v_k, variance Σ a_k² Var v_k",
);
const ZERO: Claim = Claim::equal("7", "(8)", "proposition-2", "E_q(z|x)[∇_φ T*] = 0");
const FIXED: Claim =
    Claim::equal("7", "(8)", "proposition-2-gradient", "∇_φ E_q T* = ∇_φ E_q T with T held fixed at T*");
const EQUILIBRIUM: Claim =
    Claim::equal("7", "", "proposition-3-stationary", "at q = p(z|x), T = T*: ∇_φ E_q[−T + log p(x|z)] = 0");

pub(super) fn check(ledger: &mut Ledger, model: &Discrete, random: &mut Random) {
    let prior = &model.prior;
    // One example and some states: the maximisation is the dear part. The other claims take T* in closed form from here on.
    for (q, p) in model.encoder[0].iter().copied().zip(prior.iter().copied()).take(8) {
        ledger.compare(OPTIMUM, classifier(q, p), q.ln() - p.ln());
    }
    let best = |x: usize, z: usize| model.encoder[x][z].ln() - prior[z].ln();
    let objective = |t: &dyn Fn(usize, usize) -> f64| {
        model.data_mean(|x| {
            expectation(&model.encoder[x], |z| -softplus(-t(x, z))) + expectation(prior, |z| -softplus(t(x, z)))
        })
    };
    let divergence = model.data_mean(|x| {
        let middle: Vec<f64> = model.encoder[x].iter().zip(prior).map(|(q, p)| 0.5 * (q + p)).collect();
        kl(&model.encoder[x], &middle) + kl(prior, &middle)
    });
    ledger.compare(VALUE, objective(&best), divergence - 2.0 * 2.0_f64.ln());
    let errors: Vec<f64> = (0..model.states()).map(|_| random.normal()).collect();
    ledger.compare(BEST, objective(&|x, z| best(x, z) + errors[z]), objective(&best));

    for x in 0..model.values() {
        let q = &model.encoder[x];
        let divergence = kl(q, prior);
        let nwj = |t: &dyn Fn(usize) -> f64| expectation(q, t) - expectation(prior, |z| t(z).exp()) + 1.0;
        ledger.compare(NWJ_TIGHT, nwj(&|z| best(x, z)), divergence);
        ledger.compare(NWJ, nwj(&|z| best(x, z) + errors[z]), divergence);
        // An error and its negative: one of them is above the KL and the other below.
        for sign in [1.0, -1.0] {
            let wrong = expectation(q, |z| best(x, z) + sign * errors[z]);
            ledger.compare(NOT_KL, wrong, divergence);
            ledger.compare(NOT_UPPER, divergence, wrong);
        }
        let (joint, contrast) = (model.joint(x), random.distribution(model.states()));
        let contrasted = |z: usize| -(q[z].ln() - contrast[z].ln()) + joint[z].ln() - contrast[z].ln();
        ledger.compare(CONTRAST, expectation(q, contrasted), model.elbo(x));
    }
    check_moments(ledger, random);
}

/// One coordinate of an encoder with three independent noises of three values each, over all 27 of their combinations.
fn check_moments(ledger: &mut Ledger, random: &mut Random) {
    let (chances, offset) = (random.distributions(3, 3), random.normal());
    let mut triple = || [(); 3].map(|()| random.normal());
    let (scales, values) = (triple(), [triple(), triple(), triple()]);
    let combinations: Vec<Vec<usize>> = (0..27).map(|index| digits(&[3; 3], index)).collect();
    let over_all = |f: &dyn Fn(f64) -> f64| -> f64 {
        let probability = |at: &[usize]| -> f64 { (0..3).map(|k| chances[k][at[k]]).product() };
        let z = |at: &[usize]| offset + (0..3).map(|k| scales[k] * values[k][at[k]]).sum::<f64>();
        combinations.iter().map(|at| probability(at) * f(z(at))).sum()
    };
    let mean = over_all(&|z| z);
    let moment = |k: usize, power: i32| expectation(&chances[k], |level| values[k][level].powi(power));
    let variance = |k: usize| moment(k, 2) - moment(k, 1).powi(2);
    ledger.compare(MOMENTS, mean, offset + (0..3).map(|k| scales[k] * moment(k, 1)).sum::<f64>());
    let expected = (0..3).map(|k| scales[k].powi(2) * variance(k)).sum::<f64>();
    ledger.compare(MOMENTS, over_all(&|z| (z - mean).powi(2)), expected);
}

/// The encoder is a softmax of one parameter `φ_k` a state; for models of few states.
pub(super) fn check_gradients(ledger: &mut Ledger, model: &Discrete) {
    let prior = &model.prior;
    for x in 0..2 {
        let q = &model.encoder[x];
        let fitted: Vec<f64> = q.iter().zip(prior).map(|(&q, &p)| classifier(q, p)).collect();
        ledger.compare(KL_OF_T, expectation(q, |z| fitted[z]), kl(q, prior));
        for k in 0..model.states() {
            let score = expectation(q, |z| derivative(0.0, |shift| (moved(q, k, shift)[z] / prior[z]).ln()));
            ledger.compare(ZERO, score, 0.0);
            let whole = derivative(0.0, |shift| kl(&moved(q, k, shift), prior));
            let fixed = derivative(0.0, |shift| expectation(&moved(q, k, shift), |z| fitted[z]));
            ledger.compare(FIXED, whole, fixed);

            let posterior = model.posterior(x);
            let payoff = |z: usize| -(posterior[z] / prior[z]).ln() + model.decoder[z][x].ln();
            let step = derivative(0.0, |shift| expectation(&moved(&posterior, k, shift), payoff));
            ledger.compare(EQUILIBRIUM, step, 0.0);
        }
    }
}

/// `softmax(log q + shift e_k)`.
fn moved(q: &[f64], k: usize, shift: f64) -> Vec<f64> {
    let raised = |(z, &q): (usize, &f64)| if z == k { q * shift.exp() } else { q };
    let total: f64 = q.iter().enumerate().map(raised).sum();
    q.iter().enumerate().map(|entry| raised(entry) / total).collect()
}
