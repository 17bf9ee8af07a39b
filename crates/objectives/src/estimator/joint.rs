//! log q(z) alone, by matrix products.
//!
//! ```text
//! Σ_d ℓ_ijd = −½ Σ_d z_id² a_jd + Σ_d z_id μ_jd a_jd + k_j,     a = 1/σ²,     k_j = −½ Σ_d (μ_jd² a_jd + log 2π σ_jd²)
//! ```
//!
//! The square is expanded, so terms as large as (z/σ)² cancel. In float32 that loses every digit at σ = 10⁻³; in float64 the error is about
//! 10⁻¹⁶ (z/σ)², which for float32 inputs stays below what the rounding of z alone does, 6·10⁻⁸ |z|/σ, as long as |z|/σ < 10⁸. So
//! float32 inputs are multiplied in float64, and float64 inputs, which hold more than that, go through the differences instead.

use super::{Estimator, MemoryBudget, Points};
use elbo_core::Gaussian;
use std::f64::consts::PI;
use tch::{Kind, Tensor, no_grad};

impl Estimator {
    /// The estimate of `log q(z_i)` at one sample of each row: `z` `[B, D]` → `[B]`, for terms that need no marginals (mutual information).
    ///
    /// For float32 inputs by matrix products in float64, in blocks of `budget`, with `2 D` multiplications a pair in the place of D
    /// exponentials; for others as in [`Estimator::group_densities`]. Differentiable once.
    ///
    /// # Panics
    /// As [`Estimator::group_densities`].
    pub fn log_joint(self, z: &Tensor, posterior: &Gaussian, dataset_len: i64, budget: MemoryBudget) -> Tensor {
        assert_eq!(
            z.size(),
            posterior.mean.size(),
            "z must have the shape of the posterior's mean: one sample per row"
        );
        if z.kind() != Kind::Float {
            let all: Vec<i64> = (0..z.size()[1]).collect();
            let points = Points::of_each_row(z);
            return self.group_densities(points, posterior, dataset_len, &[all], budget).groups.squeeze_dim(1);
        }
        let (products, joint) = no_grad(|| {
            let products = Products::new(z, posterior, (self, dataset_len), budget);
            let joint = products.log_joint();
            (products, joint)
        });
        let output = joint.to_kind(Kind::Float);
        let backward = move |cotangents: &[Option<Tensor>]| match &cotangents[0] {
            None => vec![None, None, None],
            Some(cotangent) => products.gradients(&joint, &cotangent.to_kind(Kind::Double)).map(Some).into(),
        };
        let outputs = elbo_native::with_gradient(&[z, &posterior.mean, &posterior.log_var], &[output], backward);
        outputs.expect("inputs and an output are there, and it has no graph").remove(0)
    }
}

/// What the products are made of, float64, detached.
struct Products {
    /// `[B, D]`.
    z: Tensor,
    mean: Tensor,
    /// 1/σ², `[B, D]`.
    precision: Tensor,
    /// z² beside z, `[B, 2 D]`.
    left: Tensor,
    /// −½ a beside μ a, `[B, 2 D]`.
    right: Tensor,
    /// k, `[B]`.
    constant: Tensor,
    weights: (Estimator, i64),
    rows: i64,
}

impl Products {
    fn new(z: &Tensor, posterior: &Gaussian, weights: (Estimator, i64), budget: MemoryBudget) -> Self {
        let wide = |t: &Tensor| t.detach().to_kind(Kind::Double);
        let (z, mean, log_var) = (wide(z), wide(&posterior.mean), wide(&posterior.log_var));
        let precision = (-&log_var).exp();
        let weighted = &mean * &precision;
        let constant = (&mean * &weighted + log_var + (2.0 * PI).ln()).sum_dim_intlist(-1, false, None) * -0.5;
        let rows = budget.rows(z.size()[0], Kind::Double).min(z.size()[0].max(1));
        Self {
            left: Tensor::cat(&[z.square(), z.shallow_clone()], 1),
            right: Tensor::cat(&[&precision * -0.5, weighted], 1),
            z,
            mean,
            precision,
            constant,
            weights,
            rows,
        }
    }

    fn starts(&self) -> impl Iterator<Item = (i64, i64)> {
        let (points, rows) = (self.z.size()[0], self.rows);
        (0..points).step_by(rows as usize).map(move |start| (start, rows.min(points - start)))
    }

    /// `log w_ij + Σ_d ℓ_ijd`, `[rows, B]`.
    fn logits(&self, start: i64, rows: i64) -> Tensor {
        let (estimator, dataset_len) = self.weights;
        let (components, options) = (self.z.size()[0], (Kind::Double, self.z.device()));
        let products = self.left.narrow(0, start, rows).matmul(&self.right.transpose(0, 1));
        products + &self.constant + estimator.log_weights(start..start + rows, components, dataset_len, options)
    }

    fn log_joint(&self) -> Tensor {
        let blocks: Vec<Tensor> =
            self.starts().map(|(start, rows)| self.logits(start, rows).logsumexp(-1, false)).collect();
        Tensor::cat(&blocks, 0)
    }

    /// Gradients of z, mean and log-variance, float32: the sums of the estimators' other form, as products with the responsibilities.
    fn gradients(&self, joint: &Tensor, cotangent: &Tensor) -> [Tensor; 3] {
        let latent = self.z.size()[1];
        let ones = self.z.ones_like().narrow(1, 0, 1);
        // z², z and 1, of which the components need the weighted sums.
        let moments = Tensor::cat(&[self.left.shallow_clone(), ones], 1);
        let mut of_z = Vec::new();
        let mut sums: Option<Tensor> = None;
        for (start, rows) in self.starts() {
            let column = |t: &Tensor| t.narrow(0, start, rows).unsqueeze(1);
            let mut share = self.logits(start, rows);
            let share = share.g_sub_(&column(joint)).exp_().g_mul_(&column(cotangent));
            let pulled = share.matmul(&self.right);
            of_z.push(
                pulled.narrow(1, 0, latent) * self.z.narrow(0, start, rows) * 2.0 + pulled.narrow(1, latent, latent),
            );
            let block = share.transpose(0, 1).matmul(&moments.narrow(0, start, rows));
            sums = Some(match sums {
                None => block,
                Some(sums) => sums + block,
            });
        }
        let sums = sums.expect("at least one point");
        let part = |start: i64, count: i64| sums.narrow(1, start, count);
        let (second, first, mass) = (part(0, latent), part(latent, latent), part(2 * latent, 1));
        let of_mean = (&first - &self.mean * &mass) * &self.precision;
        let squares = second - &first * &self.mean * 2.0 + self.mean.square() * &mass;
        let of_log_var = (squares * &self.precision - mass) * 0.5;
        [Tensor::cat(&of_z, 0), of_mean, of_log_var].map(|t| t.to_kind(Kind::Float))
    }
}
