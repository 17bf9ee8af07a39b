//! §4: the `InfoVAE` identity, the note's slips on the way to it, and the objective.

use super::discrete::{Discrete, entropy, expectation, kl};
use super::random::Random;
use super::{Claim, Ledger};

const IDENTITY: Claim =
    Claim::equal("4", "", "info-vae-identity", "E ELBO = −KL(q(z)‖p(z)) − E_q(z) KL(q(x|z)‖p(x|z)) + E log p̂");
const EVIDENCE: Claim =
    Claim::equal("4", "", "info-vae-slip-evidence", "the same with log p_θ(x) for log p̂(x)").refuted();
const SIGN: Claim = Claim::equal("4", "", "info-vae-slip-sign", "the same with + E_q(z) KL(q(x|z) ‖ p(x|z))").refuted();
const OUTER: Claim =
    Claim::equal("4", "", "info-vae-slip-expectation", "the same with E_p̂(x) for E_q(z): z stays free").refuted();
const DROPPED: Claim = Claim::equal("4", "", "info-vae-slip-first-term", "the same without KL(q(z) ‖ p(z))").refuted();
const OBJECTIVE: Claim =
    Claim::equal("4", "", "info-vae-objective", "loss = λ KL(q(z)‖p) + E KL(q(x|z)‖p(x|z)) − α I_q − E log p̂");
const ELBO_LIMIT: Claim = Claim::equal("4", "", "info-vae-is-elbo", "loss(α = 0, λ = 1) = −E ELBO");
const WAE_LIMIT: Claim = Claim::equal("4", "", "info-vae-is-wae", "loss(α = 1, λ) = −E log p(x|z) + λ D");

pub(super) fn check(ledger: &mut Ledger, model: &Discrete, random: &mut Random) {
    let (q, data) = (model.aggregate(), model.empirical());
    let elbo = model.data_mean(|x| model.elbo(x));
    let aggregate_kl = kl(&q, &model.prior);
    let inverse_kl = |z: usize| kl(&inverse(model, &data, &q, z), &model.decoder[z]);
    let mean_inverse_kl = expectation(&q, inverse_kl);
    let log_data = model.data_mean(|x| data[x].ln());
    ledger.compare(IDENTITY, elbo, -aggregate_kl - mean_inverse_kl + log_data);
    let log_evidence = model.data_mean(|x| model.evidence(x).ln());
    ledger.compare(EVIDENCE, elbo, -aggregate_kl - mean_inverse_kl + log_evidence);
    ledger.compare(SIGN, elbo, -aggregate_kl + mean_inverse_kl + log_data);
    // An expectation over x leaves z free: the right side is another number for every z, and none of them need be the left side.
    for z in 0..model.states() {
        ledger.compare(OUTER, elbo, -aggregate_kl - model.data_mean(|_| inverse_kl(z)) + log_data);
    }
    ledger.compare(DROPPED, elbo, -mean_inverse_kl + log_data);

    let reconstruction = -model.data_mean(|x| model.expected_log_likelihood(x));
    let mean_kl = model.data_mean(|x| kl(&model.encoder[x], &model.prior));
    let information = entropy(&q) - model.data_mean(|x| entropy(&model.encoder[x]));
    let loss =
        |alpha: f64, lambda: f64| reconstruction + (1.0 - alpha) * mean_kl + (alpha + lambda - 1.0) * aggregate_kl;
    let (alpha, lambda) = (random.uniform(-2.0, 2.0), random.uniform(0.0, 10.0));
    let expected = lambda * aggregate_kl + mean_inverse_kl - alpha * information - log_data;
    ledger.compare(OBJECTIVE, loss(alpha, lambda), expected);
    ledger.compare(ELBO_LIMIT, loss(0.0, 1.0), -elbo);
    ledger.compare(WAE_LIMIT, loss(1.0, lambda), reconstruction + lambda * aggregate_kl);
}

/// q(x|z) = p̂(x) q(z|x) / q(z), by value.
fn inverse(model: &Discrete, data: &[f64], q: &[f64], z: usize) -> Vec<f64> {
    data.iter().zip(&model.encoder).map(|(data, encoder)| data * encoder[z] / q[z]).collect()
}
