//! Random numbers that models are made of: fastrand, a small generator without dependencies. Every claim holds for any of its streams.

use fastrand::Rng;
use std::f64::consts::TAU;

/// A seeded stream.
#[derive(Debug)]
pub struct Random(Rng);

impl Random {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Uniform in `low..high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.0.f64()
    }

    /// A whole number of `low..=high`.
    pub fn whole(&mut self, low: usize, high: usize) -> usize {
        self.0.usize(low..=high)
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.0.f64()).ln()).sqrt();
        radius * (TAU * self.0.f64()).cos()
    }

    /// A distribution over `size` outcomes: near a flat Dirichlet, with no outcome near 0, where logarithms would lose digits.
    pub fn distribution(&mut self, size: usize) -> Vec<f64> {
        let weights: Vec<f64> = (0..size).map(|_| 0.02 - (1.0 - self.0.f64()).ln()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    /// `count` of them.
    pub fn distributions(&mut self, count: usize, size: usize) -> Vec<Vec<f64>> {
        (0..count).map(|_| self.distribution(size)).collect()
    }
}
