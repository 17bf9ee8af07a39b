//! §1: likelihoods are normalised densities, and the learnt σ² is the mean squared error.

use super::library::{number, numbers};
use super::quadrature::{self, argmax, interval, log_normal};
use super::random::Random;
use super::{Claim, Ledger, library};
use elbo_core::likelihood::{bernoulli_log_density, gaussian_log_density, laplace_log_density};
use tch::Tensor;

const BERNOULLI: Claim =
    Claim::equal("1", "", "bernoulli-normalised", "Σ_x p(x|z) over all binary pictures of 4 pixels = 1");
const GAUSSIAN: Claim = Claim::equal("1", "", "gaussian-normalised", "∫ N(x; f, σ²) dx = 1").by_quadrature();
const LAPLACE: Claim = Claim::equal("1", "", "laplace-normalised", "∫ Laplace(x; f, b) dx = 1").by_quadrature();
const CONTINUOUS: Claim =
    Claim::equal("1", "", "continuous-bernoulli", "∫_0^1 C(λ) λ^x (1 − λ)^(1−x) dx = 1").by_quadrature();
const GREY: Claim =
    Claim::equal("1", "", "bernoulli-on-grey-normalised", "∫_0^1 λ^x (1 − λ)^(1−x) dx = 1").refuted().by_quadrature();
const OPTIMUM: Claim =
    Claim::equal("1", "", "learnt-variance", "argmax over σ² of mean log N(x; f, σ²) = mean (x − f)²");
const STANDARD_KL: Claim =
    Claim::equal("1", "", "gaussian-kl-to-prior", "KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² − 1 − log σ²)").by_quadrature();
const KL_BETWEEN: Claim =
    Claim::equal("1", "", "gaussian-kl-between", "KL to N(m, s²) = log(s/σ) + (σ² + (μ − m)²)/(2 s²) − ½")
        .by_quadrature();

/// Pixels are few, so that all pictures can be listed.
pub(super) fn check(ledger: &mut Ledger, random: &mut Random) {
    let logits: Vec<f64> = (0..4).map(|_| 3.0 * random.normal()).collect();
    let pictures: Vec<f64> = (0..64).map(|i| f64::from(((i / 4) >> (i % 4)) & 1)).collect();
    let pictures = Tensor::from_slice(&pictures).view([16, 4]);
    let per_pixel = bernoulli_log_density(&pictures, &Tensor::from_slice(&logits).expand([16, 4], false));
    ledger.compare(BERNOULLI, number(&per_pixel.sum_dim_intlist(1, false, None).exp()), 1.0);

    let residuals: Vec<f64> = (0..10).map(|_| random.normal()).collect();
    let mean_squared = residuals.iter().map(|r| r * r).sum::<f64>() / residuals.len() as f64;
    let residuals = Tensor::from_slice(&residuals);
    let mean_log = |log_scale: f64| {
        number(&gaussian_log_density(&residuals, &residuals.zeros_like(), &Tensor::from(log_scale)).mean(None))
    };
    let log_scale = argmax(-4.0, 3.0, mean_log);
    ledger.compare(OPTIMUM, (2.0 * log_scale).exp(), mean_squared);
}

/// On the line, by quadrature.
pub(super) fn check_densities(ledger: &mut Ledger, random: &mut Random) {
    let (mean, deviation) = (random.normal(), random.uniform(0.3, 1.5));
    let (other_mean, other_deviation) = (random.normal(), random.uniform(0.5, 1.5));
    let nodes = Tensor::from_slice(&quadrature::nodes());
    let [centre, log_scale] = [mean, deviation.ln()].map(Tensor::from);
    let density = numbers(&gaussian_log_density(&nodes, &centre, &log_scale).exp());
    ledger.compare(GAUSSIAN, density.iter().sum::<f64>() * quadrature::weight(), 1.0);
    ledger.compare(LAPLACE, laplace_mass(mean, deviation), 1.0);

    let lambda = random.uniform(0.05, 0.45);
    let unnormalised = interval(0.0, 1.0, |x| lambda.powf(x) * (1.0 - lambda).powf(1.0 - x));
    let constant = 2.0 * (1.0 - 2.0 * lambda).atanh() / (1.0 - 2.0 * lambda);
    ledger.compare(CONTINUOUS, constant * unnormalised, 1.0);
    ledger.compare(GREY, unnormalised, 1.0);

    let kl = |m: f64, s: f64| {
        quadrature::line(|z| {
            let log_q = log_normal(z, mean, deviation);
            log_q.exp() * (log_q - log_normal(z, m, s))
        })
    };
    ledger.compare(STANDARD_KL, kl(0.0, 1.0), library::kl_to_prior(&[mean], &[deviation]));
    let closed = library::kl_between((&[mean], &[deviation]), (&[other_mean], &[other_deviation]));
    ledger.compare(KL_BETWEEN, kl(other_mean, other_deviation), closed);
}

/// The library's Laplace density, integrated on both sides of its kink.
fn laplace_mass(median: f64, scale: f64) -> f64 {
    let log_scale = Tensor::from(scale.ln());
    quadrature::line_with_kinks(&[median], |x| {
        number(&laplace_log_density(&Tensor::from(x), &Tensor::from(median), &log_scale)).exp()
    })
}
