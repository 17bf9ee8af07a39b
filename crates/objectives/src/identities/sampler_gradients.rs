//! §6: the gradient of `D_f` for a sampler that makes P, with T held fixed. P = N(mean, deviation²), Q = N(0, 1).

use super::divergences::{Divergence, ROWS};
use super::quadrature::{derivative, line_with_kinks, log_normal};
use super::random::Random;
use super::{Claim, Ledger};

const GRADIENT: Claim = Claim::equal("6", "", "gradient", "∇_φ D_f = ∇_φ E_P[f′(e^T)], T held fixed").by_quadrature();
const PLUG_IN: Claim =
    Claim::equal("6", "", "gradient-plug-in", "∇_φ D_f = ∇_φ E_P[f(e^T) e^−T], T held fixed").by_quadrature();
const NO_PATH: Claim = Claim::equal("6", "", "gradient-plug-in-on-q", "∇_φ KL(P ‖ Q) = ∇_φ E_Q[f(e^T)], T held fixed")
    .refuted()
    .by_quadrature();
const TRUE_VALUE: Claim =
    Claim::equal("6", "", "gradient-true-value", "N(.7, 1) against N(0, 1): ∇_m KL(Q ‖ P) = .70").by_quadrature();
const WRONG_VALUE: Claim =
    Claim::equal("6", "", "gradient-plug-in-value", "there the plug-in's path gradient = −.87 (rounded)")
        .by_quadrature();

/// P.
#[derive(Debug, Clone, Copy)]
struct Sampler {
    mean: f64,
    deviation: f64,
}

impl Sampler {
    fn log_density(self, z: f64) -> f64 {
        log_normal(z, self.mean, self.deviation)
    }

    /// T = log P − log Q.
    fn log_ratio(self, z: f64) -> f64 {
        self.log_density(z) - log_normal(z, 0.0, 1.0)
    }

    fn moved(self, which: usize, shift: f64) -> Self {
        if which == 0 {
            Self { mean: self.mean + shift, ..self }
        } else {
            Self { deviation: self.deviation * shift.exp(), ..self }
        }
    }

    /// Where P = Q, ascending: the kinks of the total variation. Those beyond 12 have no mass near them.
    fn crossings(self) -> Vec<f64> {
        let precision = self.deviation.powi(-2);
        let (a, b) = (0.5 * (1.0 - precision), self.mean * precision);
        let c = -0.5 * self.mean.powi(2) * precision - self.deviation.ln();
        let root = (b * b - 4.0 * a * c).sqrt();
        // The form that does not cancel when a is near 0.
        let q = -0.5 * (b + root.copysign(b));
        let mut crossings: Vec<f64> = [q / a, c / q].into_iter().filter(|z| z.abs() < 12.0).collect();
        crossings.sort_by(f64::total_cmp);
        crossings
    }

    /// `D_f(P ‖ Q) = E_Q[f(P/Q)]`.
    fn divergence(self, row: Divergence) -> f64 {
        let term = |z: f64| row.f(self.log_ratio(z).exp());
        integral(row, self, |z| log_normal(z, 0.0, 1.0).exp() * term(z))
    }

    /// `E_P f(z)` for an f with the kinks of `fixed`.
    fn expectation(self, row: Divergence, fixed: Self, f: impl Fn(f64) -> f64) -> f64 {
        integral(row, fixed, |z| self.log_density(z).exp() * f(z))
    }

    /// True gradient, `∇ E_P[f'(e^T)]` and `∇ E_P[f(e^T) e^−T]` with T fixed, in parameter `which`.
    fn gradients(self, row: Divergence, which: usize) -> [f64; 3] {
        let ratio = |z: f64| self.log_ratio(z).exp();
        let path = |f: &dyn Fn(f64) -> f64| derivative(0.0, |shift| self.moved(which, shift).expectation(row, self, f));
        [
            derivative(0.0, |shift| self.moved(which, shift).divergence(row)),
            path(&|z| row.slope(ratio(z))),
            path(&|z| row.f(ratio(z)) / ratio(z)),
        ]
    }
}

fn integral(row: Divergence, kinks_of: Sampler, f: impl Fn(f64) -> f64) -> f64 {
    let kinks = if row == Divergence::TotalVariation { kinks_of.crossings() } else { Vec::new() };
    // Far out a ratio may be 0 or infinite where the density that it is weighed by is 0.
    line_with_kinks(&kinks, |z| Some(f(z)).filter(|value| value.is_finite()).unwrap_or(0.0))
}

pub(super) fn check(ledger: &mut Ledger, random: &mut Random) {
    // The χ² diverge at deviations √2 and 1/√2; numerical derivatives need some distance from there.
    let sampler = Sampler { mean: random.uniform(0.3, 0.8), deviation: random.uniform(0.9, 1.11) };
    for (name, row) in ROWS {
        // At equal deviations P and Q cross once. Otherwise they cross far out as well, and numerical derivatives of the total variation lose
        // digits there.
        let kinked = row == Divergence::TotalVariation;
        let sampler = if kinked { Sampler { deviation: 1.0, ..sampler } } else { sampler };
        for which in 0..if kinked { 1 } else { 2 } {
            let [truth, path, plug_in] = sampler.gradients(row, which);
            ledger.compare(GRADIENT.of(name), truth, path);
            let right = row == Divergence::Kl;
            ledger.compare(if right { PLUG_IN } else { PLUG_IN.refuted() }.of(name), truth, plug_in);
            if right {
                // The samples are Q's and T is fixed: nothing depends on φ.
                ledger.compare(NO_PATH, truth, 0.0);
            }
        }
    }
}

/// The figures that the page prints.
pub(super) fn check_printed(ledger: &mut Ledger) {
    let sampler = Sampler { mean: 0.7, deviation: 1.0 };
    let [truth, _, plug_in] = sampler.gradients(Divergence::ReverseKl, 0);
    ledger.compare(TRUE_VALUE, truth, 0.70);
    ledger.compare(WRONG_VALUE, (plug_in * 100.0).round() / 100.0, -0.87);
}
