//! §9: the KL facts of the appendix. §8: whose direction the VAE-GAN loss has.

use super::discrete::{Discrete, kl, product};
use super::quadrature::{argmax, derivative, softplus};
use super::random::Random;
use super::{Claim, Ledger};

const FACTORISED: Claim = Claim::equal("9", "", "kl-of-products", "KL(Π p_d ‖ Π q_d) = Σ_d KL(p_d ‖ q_d)");
const TO_PRODUCT: Claim = Claim::equal("9", "", "kl-to-product", "KL(p ‖ Π q_d) = KL(p ‖ Π p_d) + Σ_d KL(p_d ‖ q_d)");
const PRINTED: Claim =
    Claim::equal("9", "", "kl-to-product-printed", "KL(p ‖ Π q_d) = KL(p ‖ Π p_d) + Σ_d KL(q_d ‖ p_d)").refuted();
const EXAMPLE: Claim =
    Claim::equal("9", "", "kl-to-product-example", "right form on p = (.4 .1; .2 .3), q = (.5 .5)(.9 .1)");
const EXAMPLE_PRINTED: Claim =
    Claim::equal("9", "", "kl-to-product-example-printed", "printed form on the same two variables").refuted();
const DISCRIMINATOR: Claim = Claim::equal("8", "(6)", "vae-gan-optimum", "max over Dis of L_GAN: Dis = a/(a + b + c)");
const ARROWS: Claim =
    Claim::at_most("8", "(6)", "vae-gan-printed-arrow", "a step down L_GAN brings Dis nearer its optimum").refuted();

pub(super) fn check(ledger: &mut Ledger, model: &Discrete, random: &mut Random) {
    let levels = &model.levels;
    let mut factors = || -> Vec<Vec<f64>> { levels.iter().map(|&size| random.distribution(size)).collect() };
    let (p_factors, q_factors) = (factors(), factors());
    let (p, q) = (product(levels, &p_factors), product(levels, &q_factors));
    let sum: f64 = p_factors.iter().zip(&q_factors).map(|(p, q)| kl(p, q)).sum();
    ledger.compare(FACTORISED, kl(&p, &q), sum);
    let correlated = random.distribution(model.states());
    let (left, right, printed) = sides(model, &correlated, &q);
    ledger.compare(TO_PRODUCT, left, right);
    ledger.compare(PRINTED, left, printed);

    // Densities of data, reconstruction and prior sample at one place; the discriminator's output there is σ(t).
    let [data, reconstruction, sample] = [(); 3].map(|()| random.uniform(0.05, 1.0));
    let loss = |t: f64| -data * softplus(-t) - (reconstruction + sample) * softplus(t);
    let best = argmax(-30.0, 30.0, loss);
    ledger.compare(DISCRIMINATOR, 1.0 / (1.0 + (-best).exp()), data / (data + reconstruction + sample));
    let start = best - 1.0;
    let descended = start - 0.1 * derivative(start, loss);
    ledger.compare(ARROWS, (descended - best).abs(), (start - best).abs());
}

/// Two bits, written out.
pub(super) fn check_example(ledger: &mut Ledger) {
    let mut model = Discrete::with_levels(&[2, 2], &mut Random::new(0));
    model.prior = vec![0.45, 0.05, 0.45, 0.05];
    let (left, right, printed) = sides(&model, &[0.4, 0.1, 0.2, 0.3], &model.prior);
    ledger.compare(EXAMPLE, left, right);
    ledger.compare(EXAMPLE_PRINTED, left, printed);
}

/// `KL(p ‖ q)`; TC of p plus the marginal KLs of p to q; the same with the marginal KLs turned round.
fn sides(model: &Discrete, p: &[f64], q: &[f64]) -> (f64, f64, f64) {
    let (p_d, q_d) = (model.marginals(p), model.marginals(q));
    let total_correlation = kl(p, &product(&model.levels, &p_d));
    let forward: f64 = p_d.iter().zip(&q_d).map(|(p, q)| kl(p, q)).sum();
    let backward: f64 = p_d.iter().zip(&q_d).map(|(p, q)| kl(q, p)).sum();
    (kl(p, q), total_correlation + forward, total_correlation + backward)
}
