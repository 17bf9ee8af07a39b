//! §7 on a Gaussian encoder q = N(mean, deviation²) against N(0, 1).

use super::divergences::classifier;
use super::quadrature::{derivative, line, log_add, log_normal, softplus};
use super::random::Random;
use super::{Claim, Ledger, library};

const OPTIMUM: Claim =
    Claim::equal("7", "(7)", "proposition-1-gaussian", "argmax_t = log q(z|x) − log p(z) at random z").by_quadrature();
const VALUE: Claim =
    Claim::equal("7", "(7)", "proposition-1-value-gaussian", "objective at T* = 2 JS(q, p) − 2 log 2").by_quadrature();
const KL_OF_T: Claim =
    Claim::equal("7", "", "expected-t-is-kl-gaussian", "E_q T* = closed-form KL(q(z|x) ‖ p(z))").by_quadrature();
const ZERO: Claim = Claim::equal("7", "(8)", "proposition-2-gaussian", "E_q(z|x)[∇_φ T*] = 0").by_quadrature();
const FIXED: Claim =
    Claim::equal("7", "(8)", "proposition-2-gradient-gaussian", "∇_φ closed-form KL = ∇_φ E T*(z_φ(ε)), T held fixed")
        .by_quadrature();

pub(super) fn check(ledger: &mut Ledger, random: &mut Random) {
    let (mean, deviation) = (random.uniform(-1.5, 1.5), random.uniform(0.5, 1.3));
    let log_q = |z: f64| log_normal(z, mean, deviation);
    let log_p = |z: f64| log_normal(z, 0.0, 1.0);
    let best = |z: f64| log_q(z) - log_p(z);

    let z = random.normal();
    ledger.compare(OPTIMUM, classifier(log_q(z).exp(), log_p(z).exp()), best(z));
    let objective = line(|z| -log_q(z).exp() * softplus(-best(z)) - log_p(z).exp() * softplus(best(z)));
    let log_middle = |z: f64| log_add(log_q(z), log_p(z)) - 2.0_f64.ln();
    let divergence =
        line(|z| log_q(z).exp() * (log_q(z) - log_middle(z)) + log_p(z).exp() * (log_p(z) - log_middle(z)));
    ledger.compare(VALUE, objective, divergence - 2.0 * 2.0_f64.ln());
    ledger.compare(KL_OF_T, line(|z| log_q(z).exp() * best(z)), library::kl_to_prior(&[mean], &[deviation]));

    // φ is the mean, or the logarithm of the deviation.
    for which in [0.0, 1.0] {
        let moved = |shift: f64| (mean + (1.0 - which) * shift, deviation * (which * shift).exp());
        let score = |z: f64| derivative(0.0, |shift| log_normal(z, moved(shift).0, moved(shift).1) - log_p(z));
        ledger.compare(ZERO, line(|z| log_q(z).exp() * score(z)), 0.0);
        let whole = derivative(0.0, |shift| library::kl_to_prior(&[moved(shift).0], &[moved(shift).1]));
        let fixed = derivative(0.0, |shift| {
            let (mean, deviation) = moved(shift);
            line(|noise| log_normal(noise, 0.0, 1.0).exp() * best(mean + deviation * noise))
        });
        ledger.compare(FIXED, whole, fixed);
    }
}
