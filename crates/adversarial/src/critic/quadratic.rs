//! T(x, z) by a quadratic polynomial: the family that holds the optimum of linear-Gaussian encoders.

mod newton;

pub use newton::{Fit, Pairs};

use super::Critic;
use elbo_core::NamedTensors;
use std::f64::consts::FRAC_1_SQRT_2;
use tch::{Device, Kind, Tensor};

/// A polynomial of degree two in u = (x, z), all its products included.
///
/// ```text
/// T(x, z) = w · φ(u),   φ = 1, u_i, (u_i² − 1)/√2, u_i u_j (i < j)          docs/mathematics.md §7
/// ```
/// For `q(z|x) = N(W x + b, S)` and the prior `N(0, I)` the optimum `T* = log q(z|x) − log p(z)` is in this family, whatever W, b and S,
/// and so it is in adaptive contrast. The features are the Hermite polynomials, orthonormal where x and z are standard normal, as they
/// are under p̂(x) p(z) when x is: the cost is then well conditioned for a method that follows gradients.
///
/// The cost is convex in w. [`QuadraticCritic::fit`] minimises it over given pairs to the last digit; as a [`Critic`] it can be trained by
/// gradients like any other.
#[derive(Debug)]
pub struct QuadraticCritic {
    weight: Tensor,
    /// Factors of every product, `[P]` each.
    factors: [Tensor; 2],
    /// What is taken off every product, 1 from squares, and what it is then multiplied by, `[P]` each.
    shift: Tensor,
    scale: Tensor,
}

impl QuadraticCritic {
    /// T = 0, for `observed` numbers of x and `latent` of z.
    pub fn new([observed, latent]: [i64; 2], (kind, device): (Kind, Device)) -> Self {
        let inputs = observed + latent;
        assert!(observed >= 0 && latent >= 1, "a critic needs a z, got {observed} numbers of x and {latent} of z");
        let pairs: Vec<(i64, i64)> = (0..inputs).flat_map(|i| (i..inputs).map(move |j| (i, j))).collect();
        let column = |of: fn(&(i64, i64)) -> i64| {
            Tensor::from_slice(&pairs.iter().map(of).collect::<Vec<_>>()).to_device(device)
        };
        let squares = |square: f64, product: f64| {
            let values: Vec<f64> = pairs.iter().map(|(i, j)| if i == j { square } else { product }).collect();
            Tensor::from_slice(&values).to_kind(kind).to_device(device)
        };
        Self {
            weight: Tensor::zeros([1 + inputs + pairs.len() as i64], (kind, device)).set_requires_grad(true),
            factors: [column(|pair| pair.0), column(|pair| pair.1)],
            shift: squares(1.0, 0.0),
            scale: squares(FRAC_1_SQRT_2, 1.0),
        }
    }

    /// Number of features: 1 + n + n (n + 1)/2 for n numbers of x and z together.
    pub fn features(&self) -> i64 {
        self.weight.size()[0]
    }

    /// φ, `[B, features]`: the constant, then u, then the products with i ≤ j, row by row.
    fn evaluate(&self, x: &Tensor, z: &Tensor) -> Tensor {
        let inputs = Tensor::cat(&[&x.flatten(1, -1), z], 1);
        let [first, second] = self.factors.each_ref().map(|indices| inputs.index_select(1, indices));
        let kind = inputs.kind();
        let products = (first * second - self.shift.to_kind(kind)) * self.scale.to_kind(kind);
        Tensor::cat(&[inputs.narrow(1, 0, 1).ones_like(), inputs, products], 1)
    }
}

impl Critic for QuadraticCritic {
    fn log_ratio(&self, x: &Tensor, z: &Tensor) -> Tensor {
        self.evaluate(x, z).mv(&self.weight)
    }

    fn parameters(&self) -> NamedTensors {
        vec![("weight".to_owned(), self.weight.shallow_clone())]
    }
}
