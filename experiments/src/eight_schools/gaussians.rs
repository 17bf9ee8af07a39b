//! The best Gaussians, by exact gradients of an exact ELBO.
//!
//! `log p(z, y)` has terms of fourth order at most, so that its mean under a Gaussian is a polynomial of means and covariances: nothing is
//! sampled, and the divergence from the posterior is known to the precision of log p(y).

use super::model::{DIMENSIONS, EFFECTS, ERRORS};
use anyhow::Result;
use elbo_core::config::count;
use elbo_core::optimizer::OptimizerName;
use elbo_core::schedule::Shape;
use elbo_core::{Generator, OptimizerConfig, Player, Schedule, Weight};
use serde::{Deserialize, Serialize};
use std::f64::consts::{E, TAU};
use tch::{Device, Kind, Tensor};

/// How Gaussians are fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GaussianSettings {
    /// Random starts; the best end is taken.
    #[serde(deserialize_with = "count")]
    pub starts: i64,
    /// Updates of Adam.
    #[serde(deserialize_with = "count")]
    pub steps: i64,
}

/// Which covariances are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Diagonal.
    MeanField,
    /// Any.
    FullRank,
}

/// N(m, L Lᵀ).
#[derive(Debug)]
pub struct GaussianFit {
    /// m, `[10]`, float64.
    pub mean: Tensor,
    /// L, lower triangular, `[10, 10]`.
    pub factor: Tensor,
    /// The ELBO, nats: exact.
    pub elbo: f64,
    /// Length of its gradient where the ascent ended.
    pub gradient_norm: f64,
    /// The ELBO that every start ended at, descending.
    pub ends: Vec<f64>,
}

/// Adam's first learning rate.
const LEARNING_RATE: f64 = 0.05;

/// `E_q log p(z, y)` for q = N(`mean`, `covariance`), `[S, 10]` and `[S, 10, 10]` → `[S]`, in nats.
///
/// ```text
/// E (y − μ − τη)² = (y − E[μ] − E[τη])² + Var(μ) + Var(τη) + 2 Cov(μ, τη)                Isserlis 1918
/// E[τη]    = m_τ m_η + c_τη
/// Var(τη)  = m_τ² v_η + m_η² v_τ + 2 m_τ m_η c_τη + v_τ v_η + c_τη²,    Cov(μ, τη) = m_τ c_μη + m_η c_μτ
/// ```
pub fn expected_log_joint(mean: &Tensor, covariance: &Tensor) -> Tensor {
    let schools = DIMENSIONS - 2;
    let to = |values: &[f64]| Tensor::from_slice(values).to_kind(mean.kind()).to_device(mean.device());
    let precisions = to(&ERRORS.map(|error| error.powi(-2)));
    let at = |row: i64, column: i64, width: i64| covariance.select(1, row).narrow(1, column, width);
    let (m_mean, m_scale, m_eta) = (mean.narrow(1, 0, 1), mean.narrow(1, 1, 1), mean.narrow(1, 2, schools));
    let variance = covariance.diagonal(0, 1, 2);
    let (v_mean, v_scale, v_eta) = (variance.narrow(1, 0, 1), variance.narrow(1, 1, 1), variance.narrow(1, 2, schools));
    let (c_mean_scale, c_mean_eta, c_scale_eta) = (at(0, 1, 1), at(0, 2, schools), at(1, 2, schools));
    let product = &m_scale * &m_eta + &c_scale_eta;
    let product_variance = m_scale.square() * &v_eta
        + m_eta.square() * &v_scale
        + &m_scale * &m_eta * &c_scale_eta * 2.0
        + &v_scale * &v_eta
        + c_scale_eta.square();
    let with_mean = &m_scale * c_mean_eta + &m_eta * c_mean_scale;
    let squares = (to(&EFFECTS) - m_mean - product).square() + v_mean + product_variance + with_mean * 2.0;
    let constant: f64 = ERRORS.iter().map(|error| -0.5 * (TAU * error * error).ln()).sum();
    let likelihood = (squares * precisions).sum_dim_intlist(-1, false, None) * -0.5 + constant;
    let prior = (mean.square() + variance + TAU.ln()).sum_dim_intlist(-1, false, None) * -0.5;
    likelihood + prior
}

/// The entropy of N(·, L Lᵀ) from log diagonals `[S, 10]`: `[S]`, in nats.
fn entropy(log_diagonal: &Tensor) -> Tensor {
    log_diagonal.sum_dim_intlist(-1, false, None) + 0.5 * DIMENSIONS as f64 * (TAU * E).ln()
}

/// Free numbers of S Gaussians.
struct Parameters {
    mean: Tensor,
    log_diagonal: Tensor,
    /// Below the diagonal; none for a diagonal covariance.
    below: Option<Tensor>,
}

impl Parameters {
    fn factor(&self) -> Tensor {
        let diagonal = Tensor::diag_embed(&self.log_diagonal.exp(), 0, -2, -1);
        match &self.below {
            Some(below) => diagonal + below.tril(-1),
            None => diagonal,
        }
    }

    fn elbo(&self) -> Tensor {
        let factor = self.factor();
        expected_log_joint(&self.mean, &factor.matmul(&factor.transpose(1, 2))) + entropy(&self.log_diagonal)
    }
}

/// Ascends the ELBO from random starts, all at once.
///
/// # Errors
/// When libtorch does.
pub fn fit(family: Family, settings: &GaussianSettings, noise: &Generator, device: Device) -> Result<GaussianFit> {
    let leaf = |values: Tensor| values.set_requires_grad(true);
    let starts = settings.starts;
    let mean = leaf(noise.normal(&[starts, DIMENSIONS], Kind::Double));
    let log_diagonal = leaf(Tensor::full([starts, DIMENSIONS], 0.5_f64.ln(), (Kind::Double, device)));
    let below = (family == Family::FullRank)
        .then(|| leaf(Tensor::zeros([starts, DIMENSIONS, DIMENSIONS], (Kind::Double, device))));
    let parameters = Parameters { mean, log_diagonal, below };
    let mut named = vec![
        ("mean".to_owned(), parameters.mean.shallow_clone()),
        ("log_diagonal".to_owned(), parameters.log_diagonal.shallow_clone()),
    ];
    named.extend(parameters.below.iter().map(|below| ("below".to_owned(), below.shallow_clone())));
    let steps = settings.steps as u64;
    let decay = Schedule::Ramp { shape: Shape::Cosine, from: LEARNING_RATE, to: 0.0, steps };
    let learning_rate = Weight::new(decay).expect("a schedule of non-negative rates");
    let mut player = Player::new(named, &OptimizerConfig::new(OptimizerName::Adam, learning_rate))?;
    for step in 0..settings.steps {
        // The starts do not see each other: the gradient of the sum is theirs, one beside the other.
        let gradients = player.gradients(&-parameters.elbo().sum(None))?;
        player.step(gradients, &Tensor::from(step).to_device(device), None)?;
    }
    let elbos = parameters.elbo();
    let best = elbos.argmax(0, false).int64_value(&[]);
    let gradients = player.gradients(&elbos.get(best))?;
    let squares: f64 = gradients.iter().map(|gradient| gradient.square().sum(None).double_value(&[])).sum();
    let mut ends: Vec<f64> = Vec::try_from(parameters.elbo().detach())?;
    ends.sort_by(|a, b| b.total_cmp(a));
    Ok(GaussianFit {
        mean: parameters.mean.detach().get(best).copy(),
        factor: parameters.factor().detach().get(best).copy(),
        elbo: ends[0],
        gradient_norm: squares.sqrt(),
        ends,
    })
}

impl GaussianFit {
    /// KL(q ‖ posterior) in nats, exact: `log p(y) − ELBO`.
    pub fn kl(&self, log_evidence: f64) -> f64 {
        log_evidence - self.elbo
    }

    /// `count` draws, `[count, 10]`, float64.
    pub fn sample(&self, count: i64, noise: &Generator) -> Tensor {
        &self.mean + noise.normal(&[count, DIMENSIONS], Kind::Double).matmul(&self.factor.transpose(0, 1))
    }

    /// log q, `[n, 10]` → `[n]`, in nats.
    pub fn log_density(&self, z: &Tensor) -> Tensor {
        let centred = (z - &self.mean).transpose(0, 1);
        let whitened = self.factor.linalg_solve_triangular(&centred, false, true, false);
        let log_determinant = self.factor.diagonal(0, 0, 1).log().sum(None);
        elbo_core::posterior::standard_normal_log_density(&whitened.transpose(0, 1)) - log_determinant
    }
}
