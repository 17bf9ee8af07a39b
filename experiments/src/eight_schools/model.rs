//! Eight schools (Rubin 1981), non-centred: the joint density, and what a grid knows of it exactly.

use std::f64::consts::TAU;
use tch::{Device, Kind, Tensor};

/// Effects that the schools reported, in tens of points.
pub const EFFECTS: [f64; 8] = [2.8, 0.8, -0.3, 0.7, -0.1, 0.1, 1.8, 1.2];
/// Their standard errors.
pub const ERRORS: [f64; 8] = [0.8, 0.5, 0.8, 0.6, 0.5, 0.6, 0.5, 0.4];
/// Numbers of `z = (μ, τ, η_1, …, η_8)`.
pub const DIMENSIONS: i64 = 10;

/// The model.
///
/// ```text
/// y_j ~ N(θ_j, σ_j²),   θ_j = μ + τ η_j,   μ, τ, η_j ~ N(0, 1)          Mescheder et al. 2017, §5.1
/// ```
///
/// τ is not held positive, so that the posterior is the same under (τ, η) → (−τ, −η): it has two modes of the same weight.
#[derive(Debug)]
pub struct EightSchools {
    effects: Tensor,
    precisions: Tensor,
    /// The constant of log p(y|z).
    constant: f64,
}

impl EightSchools {
    /// The data on `device`, for z of this kind.
    pub fn new(device: Device, kind: Kind) -> Self {
        let to = |values: &[f64]| Tensor::from_slice(values).to_kind(kind).to_device(device);
        let precisions = ERRORS.map(|error| error.powi(-2));
        let constant = ERRORS.iter().map(|error| -0.5 * (TAU * error * error).ln()).sum();
        Self { effects: to(&EFFECTS), precisions: to(&precisions), constant }
    }

    /// log p(y|z), `[.., 10]` → `[..]`, in nats.
    pub fn log_likelihood(&self, z: &Tensor) -> Tensor {
        let (mean, scale) = (z.narrow(-1, 0, 1), z.narrow(-1, 1, 1));
        let residual = mean + scale * z.narrow(-1, 2, DIMENSIONS - 2) - &self.effects;
        (residual.square() * &self.precisions).sum_dim_intlist(-1, false, None) * -0.5 + self.constant
    }

    /// log p(z), `[.., 10]` → `[..]`, in nats.
    pub fn log_prior(z: &Tensor) -> Tensor {
        elbo_core::posterior::standard_normal_log_density(z)
    }

    /// log p(z, y), `[.., 10]` → `[..]`, in nats.
    pub fn log_joint(&self, z: &Tensor) -> Tensor {
        self.log_likelihood(z) + Self::log_prior(z)
    }
}

/// The posterior of (μ, τ) on a grid of even spacing.
///
/// ```text
/// p(μ, τ | y) ∝ N(μ; 0, 1) N(τ; 0, 1) Π_j N(y_j; μ, σ_j² + τ²)           η_j integrates out
/// ```
///
/// The trapezoidal rule on a density that is smooth and vanishes at the edges converges faster than any power of the spacing.
#[derive(Debug, Clone)]
pub struct Grid {
    /// Points of either axis, ascending.
    pub points: Vec<f64>,
    /// p(μ, τ | y): `density[i][j]` at μ = `points[i]`, τ = `points[j]`.
    pub density: Vec<Vec<f64>>,
    /// log p(y) in nats.
    pub log_evidence: f64,
}

impl Grid {
    /// Both axes from −`limit` to `limit` in steps of `spacing`.
    pub fn new(limit: f64, spacing: f64) -> Self {
        assert!(limit > 0.0 && spacing > 0.0, "a grid has an extent and a spacing");
        let half = (limit / spacing).round() as i32;
        let points: Vec<f64> = (-half..=half).map(|index| f64::from(index) * spacing).collect();
        let normal = |x: f64, variance: f64| -0.5 * (x * x / variance + (TAU * variance).ln());
        let log_joint = |mean: f64, scale: f64| {
            let schools = EFFECTS.iter().zip(ERRORS);
            let likelihood: f64 =
                schools.map(|(effect, error)| normal(effect - mean, error * error + scale * scale)).sum();
            normal(mean, 1.0) + normal(scale, 1.0) + likelihood
        };
        let mut density: Vec<Vec<f64>> =
            points.iter().map(|&mean| points.iter().map(|&scale| log_joint(mean, scale).exp()).collect()).collect();
        let evidence = density.iter().flatten().sum::<f64>() * spacing * spacing;
        density.iter_mut().flatten().for_each(|value| *value /= evidence);
        Self { points, density, log_evidence: evidence.ln() }
    }

    /// Distance between two points.
    pub fn spacing(&self) -> f64 {
        self.points[1] - self.points[0]
    }

    /// p(μ | y) at every point.
    pub fn mean_marginal(&self) -> Vec<f64> {
        self.density.iter().map(|row| row.iter().sum::<f64>() * self.spacing()).collect()
    }

    /// p(τ | y) at every point.
    pub fn scale_marginal(&self) -> Vec<f64> {
        (0..self.points.len()).map(|j| self.density.iter().map(|row| row[j]).sum::<f64>() * self.spacing()).collect()
    }
}
