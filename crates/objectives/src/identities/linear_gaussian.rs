//! §1 on a model whose evidence and posterior are Gaussian: p(z) = N(0, 1), p(x|z) = N(a z + b, s²). The bound, and the surrogate
//! gradients that leave terms out of the chain rule.

use super::quadrature::{self, derivative, log_add, log_normal};
use super::random::Random;
use super::{Claim, Ledger, library};

const EVIDENCE: Claim =
    Claim::equal("1", "(1)", "evidence-gaussian", "log p(x) = ELBO(x) + KL(q(z|x) ‖ p(z|x))").by_quadrature();
const RECONSTRUCTION: Claim =
    Claim::equal("1", "(2)", "reconstruction-form-gaussian", "ELBO(x) = E_q[log p(x|z)] − KL(q(z|x) ‖ p(z))")
        .by_quadrature();
const STICKING: Claim =
    Claim::equal("1", "", "sticking-the-landing", "K = 1: ∂_φ E log w = E[∂_z log w ∂_φ z]").by_quadrature();
const DREG: Claim =
    Claim::equal("1", "", "dreg-encoder", "K = 2: ∂_φ E log mean w = E Σ_k w̃_k² ∂_z log w_k ∂_φ z_k").by_quadrature();
const FIRST_POWER: Claim =
    Claim::equal("1", "", "dreg-encoder-first-power", "the same with w̃_k for w̃_k²").refuted().by_quadrature();
const DECODER: Claim =
    Claim::equal("1", "", "dreg-decoder", "K = 2: ∂_θ E log mean w = E Σ_k w̃_k ∂_θ log p(x, z_k)").by_quadrature();

/// Model, one x, and an encoder q = N(mean, deviation²).
#[derive(Debug, Clone, Copy)]
struct Setting {
    slope: f64,
    offset: f64,
    noise: f64,
    x: f64,
    mean: f64,
    deviation: f64,
}

impl Setting {
    fn random(random: &mut Random) -> Self {
        Self {
            slope: random.uniform(0.4, 1.5),
            offset: 0.5 * random.normal(),
            noise: random.uniform(0.8, 1.5),
            x: random.normal(),
            mean: random.uniform(-0.8, 0.8),
            deviation: random.uniform(0.6, 1.0),
        }
    }

    fn log_likelihood(&self, z: f64) -> f64 {
        log_normal(self.x, self.slope * z + self.offset, self.noise)
    }

    /// `log w = log p(x, z) − log q(z|x)`.
    fn log_weight(&self, z: f64) -> f64 {
        self.log_likelihood(z) + log_normal(z, 0.0, 1.0) - log_normal(z, self.mean, self.deviation)
    }

    fn z(&self, noise: f64) -> f64 {
        self.mean + self.deviation * noise
    }

    /// The encoder's parameter number `which` moved by `shift`: its mean, or the logarithm of its deviation.
    fn moved(&self, which: usize, shift: f64) -> Self {
        if which == 0 {
            Self { mean: self.mean + shift, ..*self }
        } else {
            Self { deviation: self.deviation * shift.exp(), ..*self }
        }
    }
}

pub(super) fn check(ledger: &mut Ledger, random: &mut Random) {
    let setting = Setting::random(random);
    let expectation =
        |f: &dyn Fn(f64) -> f64| quadrature::line(|z| log_normal(z, setting.mean, setting.deviation).exp() * f(z));
    let elbo = expectation(&|z| setting.log_weight(z));
    let variance = setting.slope.powi(2) + setting.noise.powi(2);
    let log_evidence = log_normal(setting.x, setting.offset, variance.sqrt());
    let posterior_mean = setting.slope * (setting.x - setting.offset) / variance;
    let posterior_deviation = setting.noise / variance.sqrt();
    let q = (&[setting.mean][..], &[setting.deviation][..]);
    let gap = library::kl_between(q, (&[posterior_mean], &[posterior_deviation]));
    ledger.compare(EVIDENCE, log_evidence, elbo + gap);
    let kl = library::kl_to_prior(q.0, q.1);
    ledger.compare(RECONSTRUCTION, elbo, expectation(&|z| setting.log_likelihood(z)) - kl);

    for which in 0..2 {
        let bound = |shift: f64| {
            let setting = setting.moved(which, shift);
            over_noise(|noise| setting.log_weight(setting.z(noise)))
        };
        // Only the sample moves; the densities in the weight keep their parameters.
        let path = |shift: f64| {
            let moved = setting.moved(which, shift);
            over_noise(|noise| setting.log_weight(moved.z(noise)))
        };
        ledger.compare(STICKING, derivative(0.0, bound), derivative(0.0, path));
    }
}

/// The bound of two samples and its surrogate gradients, on the plane of both noises.
pub(super) fn check_two_samples(ledger: &mut Ledger, random: &mut Random) {
    let setting = Setting::random(random);
    for which in 0..2 {
        let bound = |shift: f64| two_sample_bound(&setting.moved(which, shift));
        let surrogate = |power: i32| {
            move |shift: f64| {
                let moved = setting.moved(which, shift);
                weighted(&setting, power, |noise| setting.log_weight(moved.z(noise)))
            }
        };
        let gradient = derivative(0.0, bound);
        ledger.compare(DREG, gradient, derivative(0.0, surrogate(2)));
        ledger.compare(FIRST_POWER, gradient, derivative(0.0, surrogate(1)));
    }
    let decoder = |shift: f64| Setting { offset: setting.offset + shift, ..setting };
    let gradient = derivative(0.0, |shift| two_sample_bound(&decoder(shift)));
    let surrogate = |shift: f64| {
        let moved = decoder(shift);
        weighted(&setting, 1, |noise| moved.log_likelihood(setting.z(noise)))
    };
    ledger.compare(DECODER, gradient, derivative(0.0, surrogate));
}

/// `E f(ε)`, ε standard normal.
fn over_noise(f: impl Fn(f64) -> f64) -> f64 {
    quadrature::line(|noise| log_normal(noise, 0.0, 1.0).exp() * f(noise))
}

/// Half-width and step of the plane of two noises: the integrands are smooth on the scale of 1.
const PLANE: (f64, f64) = (8.0, 0.125);

/// `E log((w_1 + w_2)/2)`.
fn two_sample_bound(setting: &Setting) -> f64 {
    quadrature::plane(PLANE.0, PLANE.1, |one, two| {
        let [one_weight, two_weight] = [one, two].map(|noise| setting.log_weight(setting.z(noise)));
        let density = (-0.5 * (one * one + two * two)).exp() / std::f64::consts::TAU;
        density * (log_add(one_weight, two_weight) - 2.0_f64.ln())
    })
}

/// `E Σ_k w̃_k^power f(ε_k)`, w̃ the normalised weights of `setting`; both samples contribute the same.
fn weighted(setting: &Setting, power: i32, f: impl Fn(f64) -> f64) -> f64 {
    quadrature::plane(PLANE.0, PLANE.1, |one, two| {
        let [one_weight, two_weight] = [one, two].map(|noise| setting.log_weight(setting.z(noise)));
        let density = (-0.5 * (one * one + two * two)).exp() / std::f64::consts::TAU;
        let normalised = (one_weight - log_add(one_weight, two_weight)).exp();
        2.0 * density * normalised.powi(power) * f(one)
    })
}
