//! §2, §3, §5 on Gaussian posteriors, whose aggregate is a mixture: on a line and on a plane.

use super::quadrature::{self, log_normal};
use super::random::Random;
use super::{Claim, Ledger, library};
use crate::estimator::{Densities, Estimator};
use elbo_core::Gaussian;
use tch::Tensor;

const INFORMATION: Claim =
    Claim::equal("2", "(3)", "mutual-information-form-gaussian", "E KL(q(z|x) ‖ p(z)) = I_q + KL(q(z) ‖ p(z))")
        .by_quadrature();
const INFORMATION_PLANE: Claim =
    Claim::equal("2", "(3)", "mutual-information-form-plane", "E KL(q(z|x) ‖ p(z)) = I_q + KL(q(z) ‖ p(z))")
        .by_quadrature();
const LOG_N: Claim = Claim::at_most("2", "", "information-log-n-gaussian", "I_q ≤ log N").by_quadrature();
const CAPACITY: Claim =
    Claim::at_most("2", "", "capacity-from-above-gaussian", "I_q ≤ C when E KL = C").by_quadrature();
const DISENTANGLED: Claim =
    Claim::equal("3", "(4)", "disentangled-form-plane", "KL(q(z) ‖ p(z)) = TC + Σ_d KL(q(z_d) ‖ p(z_d))")
        .by_quadrature();
const SAMPLED: Claim =
    Claim::equal("3", "", "sampled-kl-plane", "E[MI + TC + DWKL at z] = closed-form E KL").by_quadrature();
const TC_NON_NEGATIVE: Claim = Claim::at_most("3", "(4)", "tc-non-negative-plane", "0 ≤ TC").by_quadrature();
const EXACT: Claim =
    Claim::equal("3.1", "", "balanced-whole-data-gaussian", "B = N: Balanced gives log q(z), log q(z_d)");
const COVARIANCE: Claim = Claim::equal("5", "", "dip-vae-covariance", "Cov[z] = Cov[μ] + E[diag σ²]").by_quadrature();

/// Posteriors of N examples in D dimensions: by example, (mean, deviation) of each dimension.
struct Posteriors(Vec<Vec<(f64, f64)>>);

impl Posteriors {
    fn random(random: &mut Random, dimensions: usize) -> Self {
        let mut one = || (random.uniform(-1.2, 1.2), random.uniform(0.5, 1.1));
        let examples = 3 + (one().0.abs() * 3.0) as usize;
        Self((0..examples).map(|_| (0..dimensions).map(|_| one()).collect()).collect())
    }

    fn len(&self) -> f64 {
        self.0.len() as f64
    }

    /// Mean over examples.
    fn mean(&self, f: impl Fn(&[(f64, f64)]) -> f64) -> f64 {
        self.0.iter().map(|example| f(example)).sum::<f64>() / self.len()
    }

    /// `E KL(q(z|x) ‖ N(0, I))`, the library's closed form.
    fn mean_kl(&self) -> f64 {
        self.mean(|example| {
            let (means, deviations): (Vec<f64>, Vec<f64>) = example.iter().copied().unzip();
            library::kl_to_prior(&means, &deviations)
        })
    }
}

pub(super) fn check_line(ledger: &mut Ledger, random: &mut Random) {
    let posteriors = Posteriors::random(random, 1);
    let (mut information, mut aggregate_kl) = (0.0, 0.0);
    for z in quadrature::nodes() {
        let densities: Vec<f64> = posteriors.0.iter().map(|q| log_normal(z, q[0].0, q[0].1).exp()).collect();
        let q = densities.iter().sum::<f64>() / posteriors.len();
        let conditional: f64 = densities.iter().map(|density| density * logarithm(density / q)).sum();
        information += conditional / posteriors.len();
        aggregate_kl += q * (logarithm(q) - log_normal(z, 0.0, 1.0));
    }
    let (information, aggregate_kl) = (information * quadrature::weight(), aggregate_kl * quadrature::weight());
    ledger.compare(INFORMATION, posteriors.mean_kl(), information + aggregate_kl);
    ledger.compare(LOG_N, information, posteriors.len().ln());
    ledger.compare(CAPACITY, information, posteriors.mean_kl());
    check_library(ledger, random);
}

/// All terms of two dimensions, from one pass over the plane.
pub(super) fn check_plane(ledger: &mut Ledger, random: &mut Random) {
    let posteriors = Posteriors::random(random, 2);
    let (reach, step) = (12.0, 1.0 / 16.0);
    let half = (reach / step) as i32;
    let line: Vec<f64> = (-half..=half).map(|k| f64::from(k) * step).collect();
    // Densities of every example along each axis, [dimension][node][example], and of the marginals.
    let along = |d: usize, z: f64| posteriors.0.iter().map(|q| log_normal(z, q[d].0, q[d].1).exp()).collect();
    let axes: [Vec<Vec<f64>>; 2] = [0, 1].map(|d| line.iter().map(|&z| along(d, z)).collect());
    let marginals: [Vec<f64>; 2] = [0, 1].map(|d| {
        let axis: &Vec<Vec<f64>> = &axes[d];
        axis.iter().map(|densities| densities.iter().sum::<f64>() / posteriors.len()).collect()
    });

    let (mut joint_negentropy, mut product_term, mut prior_term) = (0.0, 0.0, 0.0);
    let (mut first, mut second) = ([0.0; 2], [[0.0; 2]; 2]);
    for (i, x) in line.iter().enumerate() {
        for (j, y) in line.iter().enumerate() {
            let pairs = axes[0][i].iter().zip(&axes[1][j]);
            let q = pairs.map(|(one, other)| one * other).sum::<f64>() / posteriors.len();
            joint_negentropy += q * logarithm(q);
            product_term += q * (logarithm(marginals[0][i]) + logarithm(marginals[1][j]));
            prior_term += q * (log_normal(*x, 0.0, 1.0) + log_normal(*y, 0.0, 1.0));
            let z = [*x, *y];
            for d in 0..2 {
                first[d] += q * z[d];
                (0..2).for_each(|e| second[d][e] += q * z[d] * z[e]);
            }
        }
    }
    let area = step * step;
    let (joint_negentropy, product_term, prior_term) =
        (joint_negentropy * area, product_term * area, prior_term * area);
    // −H(q(z|x)) = Σ_d −½ (1 + log 2πσ²).
    let entropy = |deviation: f64| deviation.ln() + 0.5 * (1.0 + std::f64::consts::TAU.ln());
    let conditional =
        -posteriors.0.iter().flatten().map(|(_, deviation)| entropy(*deviation)).sum::<f64>() / posteriors.len();
    let information = conditional - joint_negentropy;
    let aggregate_kl = joint_negentropy - prior_term;
    let total_correlation = joint_negentropy - product_term;
    let dimension_wise = [0, 1].map(|d| {
        let terms = line.iter().zip(&marginals[d]).map(|(z, q)| q * (logarithm(*q) - log_normal(*z, 0.0, 1.0)));
        terms.sum::<f64>() * step
    });
    ledger.compare(INFORMATION_PLANE, posteriors.mean_kl(), information + aggregate_kl);
    ledger.compare(LOG_N, information, posteriors.len().ln());
    ledger.compare(CAPACITY, information, posteriors.mean_kl());
    ledger.compare(DISENTANGLED, aggregate_kl, total_correlation + dimension_wise[0] + dimension_wise[1]);
    ledger.compare(SAMPLED, information + total_correlation + (product_term - prior_term), posteriors.mean_kl());
    ledger.compare(TC_NON_NEGATIVE, 0.0, total_correlation);
    for d in 0..2 {
        for e in 0..2 {
            let measured = second[d][e] * area - first[d] * first[e] * area * area;
            ledger.compare(COVARIANCE, measured, covariance(&posteriors, d, e));
        }
    }
}

/// `Cov[μ]_de + [d = e] E[σ_d²]`.
fn covariance(posteriors: &Posteriors, d: usize, e: usize) -> f64 {
    let of_means = posteriors.mean(|q| q[d].0 * q[e].0) - posteriors.mean(|q| q[d].0) * posteriors.mean(|q| q[e].0);
    if d == e { of_means + posteriors.mean(|q| q[d].1.powi(2)) } else { of_means }
}

/// The library's densities of a batch that is the whole data set, against the mixture written out.
fn check_library(ledger: &mut Ledger, random: &mut Random) {
    let posteriors = Posteriors::random(random, 2);
    let matrix = |f: &dyn Fn(&(f64, f64)) -> f64| {
        Tensor::from_slice(&posteriors.0.iter().flatten().map(f).collect::<Vec<f64>>()).view([-1, 2])
    };
    let (mean, log_var) = (matrix(&|q| q.0), matrix(&|q| 2.0 * q.1.ln()));
    let samples: Vec<f64> = posteriors.0.iter().flatten().map(|q| q.0 + q.1 * random.normal()).collect();
    let z = Tensor::from_slice(&samples).view([-1, 2]);
    let examples = posteriors.0.len() as i64;
    let densities = Densities::estimate(Estimator::Balanced, &Gaussian::new(mean, log_var), &z, examples);
    let (joint, marginals) = (library::numbers(&densities.joint), library::numbers(&densities.marginals));
    for (i, z) in samples.chunks(2).enumerate() {
        let at = |q: &[(f64, f64)], d: usize| log_normal(z[d], q[d].0, q[d].1).exp();
        ledger.compare(EXACT, joint[i], posteriors.mean(|q| at(q, 0) * at(q, 1)).ln());
        for d in 0..2 {
            ledger.compare(EXACT, marginals[2 * i + d], posteriors.mean(|q| at(q, d)).ln());
        }
    }
}

/// ln, where a density that has underflown stands before it as a factor: 0 · ln 0 = 0.
fn logarithm(x: f64) -> f64 {
    if x > 0.0 { x.ln() } else { 0.0 }
}
