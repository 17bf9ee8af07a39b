//! §6: the table of f-divergences, row by row, on discrete P = q(z|x) and Q = p(z).

use super::discrete::{Discrete, expectation, kl};
use super::quadrature::{argmax, softplus, supremum};
use super::random::Random;
use super::{Claim, Ledger};

const DEFINITION: Claim = Claim::equal("6", "", "f-divergence", "E_Q[f(P/Q)] = the divergence that the row names");
const POSITIVE: Claim = Claim::at_most("6", "", "f-divergence-non-negative", "0 ≤ D_f, every row");
const ON_NUMERATOR: Claim = Claim::equal("6", "", "plug-in-on-p", "E_Q[f(e^T)] = E_P[f(e^T) e^−T], every row");
const CONJUGATE: Claim = Claim::equal("6", "", "conjugate", "f*(u) = sup over t ≥ 0 of u t − f(t)");
const VARIATIONAL: Claim = Claim::equal("6", "", "variational-value", "D_f = E_P[g] − E_Q[f*(g)] at g = f′(P/Q)");
const VARIATIONAL_BOUND: Claim =
    Claim::at_most("6", "", "variational-bound", "E_P[g] − E_Q[f*(g)] ≤ D_f for any g in the domain, every row");
const CLASSIFIER: Claim =
    Claim::equal("6", "", "balanced-classifier", "P/Q = e^T, T maximising E_P log σ(T) + E_Q log(1 − σ(T))");
const FACTOR: Claim = Claim::equal("6", "", "factor-vae", "TC = E_q(z) T, T the classifier of q(z) against Π q(z_d)");

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Divergence {
    Kl,
    ReverseKl,
    TwiceJensenShannon,
    Pearson,
    Neyman,
    TwiceHellinger,
    TotalVariation,
    Alpha(f64),
}

use Divergence::{Alpha, Kl, Neyman, Pearson, ReverseKl, TotalVariation, TwiceHellinger, TwiceJensenShannon};

/// The rows with their names.
pub(super) const ROWS: [(&str, Divergence); 9] = [
    ("KL(P‖Q)", Kl),
    ("KL(Q‖P)", ReverseKl),
    ("2 JS", TwiceJensenShannon),
    ("Pearson χ²", Pearson),
    ("Neyman χ²", Neyman),
    ("2 Hellinger²", TwiceHellinger),
    ("TV", TotalVariation),
    ("α = 3/2", Alpha(1.5)),
    ("α = −1/2", Alpha(-0.5)),
];

impl Divergence {
    pub(super) fn f(self, t: f64) -> f64 {
        let t_log_t = if t > 0.0 { t * t.ln() } else { 0.0 };
        match self {
            Kl => t_log_t,
            ReverseKl => -t.ln(),
            TwiceJensenShannon => t_log_t - (t + 1.0) * (0.5 * (t + 1.0)).ln(),
            Pearson => (t - 1.0).powi(2),
            Neyman => (t - 1.0).powi(2) / t,
            TwiceHellinger => (t.sqrt() - 1.0).powi(2),
            TotalVariation => 0.5 * (t - 1.0).abs(),
            Alpha(alpha) => (t.powf(alpha) - 1.0 - alpha * (t - 1.0)) / (alpha * (alpha - 1.0)),
        }
    }

    /// f′(t).
    pub(super) fn slope(self, t: f64) -> f64 {
        match self {
            Kl => t.ln() + 1.0,
            ReverseKl => -1.0 / t,
            TwiceJensenShannon => (2.0 * t / (t + 1.0)).ln(),
            Pearson => 2.0 * (t - 1.0),
            Neyman => 1.0 - 1.0 / (t * t),
            TwiceHellinger => 1.0 - 1.0 / t.sqrt(),
            TotalVariation => 0.5 * (t - 1.0).signum(),
            Alpha(alpha) => (t.powf(alpha - 1.0) - 1.0) / (alpha - 1.0),
        }
    }

    /// f*(u), as the table has it.
    fn conjugate(self, u: f64) -> f64 {
        match self {
            Kl => (u - 1.0).exp(),
            ReverseKl => -1.0 - (-u).ln(),
            TwiceJensenShannon => -(2.0 - u.exp()).ln(),
            Pearson => {
                if u >= -2.0 {
                    u * u / 4.0 + u
                } else {
                    -1.0
                }
            }
            Neyman => 2.0 - 2.0 * (1.0 - u).sqrt(),
            TwiceHellinger => u / (1.0 - u),
            TotalVariation => u.max(-0.5),
            Alpha(alpha) => ((1.0 + (alpha - 1.0) * u).max(0.0).powf(alpha / (alpha - 1.0)) - 1.0) / alpha,
        }
    }

    /// The divergence by its own definition, without f.
    fn defined(self, p: &[f64], q: &[f64]) -> f64 {
        let sum = |term: &dyn Fn(f64, f64) -> f64| p.iter().zip(q).map(|(&p, &q)| term(p, q)).sum::<f64>();
        let middle: Vec<f64> = p.iter().zip(q).map(|(p, q)| 0.5 * (p + q)).collect();
        match self {
            Kl => kl(p, q),
            ReverseKl => kl(q, p),
            TwiceJensenShannon => kl(p, &middle) + kl(q, &middle),
            Pearson => sum(&|p, q| (p - q).powi(2) / q),
            Neyman => sum(&|p, q| (p - q).powi(2) / p),
            TwiceHellinger => sum(&|p, q| (p.sqrt() - q.sqrt()).powi(2)),
            TotalVariation => 0.5 * sum(&|p, q| (p - q).abs()),
            Alpha(alpha) => (sum(&|p, q| p.powf(alpha) * q.powf(1.0 - alpha)) - 1.0) / (alpha * (alpha - 1.0)),
        }
    }
}

pub(super) fn check(ledger: &mut Ledger, model: &Discrete, random: &mut Random) {
    let (p, q) = (&model.encoder[0], &model.prior);
    let ratio: Vec<f64> = p.iter().zip(q).map(|(p, q)| p / q).collect();
    let wrong: Vec<f64> = ratio.iter().map(|ratio| ratio * (0.7 * random.normal()).exp()).collect();
    let points: Vec<f64> = (0..3).map(|_| (0.7 * random.normal()).exp()).collect();
    for (name, row) in ROWS {
        let value = expectation(q, |z| row.f(ratio[z]));
        ledger.compare(DEFINITION.of(name), value, row.defined(p, q));
        ledger.compare(POSITIVE, 0.0, value);
        ledger.compare(ON_NUMERATOR, value, expectation(p, |z| row.f(ratio[z]) / ratio[z]));
        let variational = |ratio: &[f64]| {
            let g = |z: usize| row.slope(ratio[z]);
            expectation(p, g) - expectation(q, |z| row.conjugate(g(z)))
        };
        ledger.compare(VARIATIONAL.of(name), value, variational(&ratio));
        ledger.compare(VARIATIONAL_BOUND, variational(&wrong), value);
        for &t in &points {
            let u = row.slope(t);
            let legendre = supremum(0.0, 4.0 * t + 4.0, |t| u * t - row.f(t));
            ledger.compare(CONJUGATE.of(name), row.conjugate(u), legendre);
        }
        // Where f'(0) is finite, smaller u have their supremum at t = 0.
        for (u, divergence) in [(-3.0, Pearson), (-0.8, TotalVariation), (-3.0, Alpha(1.5))] {
            if divergence == row {
                let legendre = supremum(0.0, 4.0, |t| u * t - row.f(t));
                ledger.compare(CONJUGATE.of(name), row.conjugate(u), legendre);
            }
        }
    }
    for z in 0..model.states().min(8) {
        ledger.compare(CLASSIFIER, ratio[z], classifier(p[z], q[z]).exp());
    }
}

/// The T that maximises `a log σ(T) + b log(1 − σ(T))`, found numerically.
pub(super) fn classifier(a: f64, b: f64) -> f64 {
    argmax(-40.0, 40.0, |t| -a * softplus(-t) - b * softplus(t))
}

/// The classifier is found numerically for every state: for models of few.
pub(super) fn check_factor(ledger: &mut Ledger, model: &Discrete) {
    let q = model.aggregate();
    let alone: Vec<Vec<usize>> = (0..model.levels.len()).map(|d| vec![d]).collect();
    let product = model.product_of_marginals(&q, &alone);
    ledger.compare(FACTOR, kl(&q, &product), expectation(&q, |z| classifier(q[z], product[z])));
}
