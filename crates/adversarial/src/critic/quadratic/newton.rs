//! Logistic regression by Newton's method: the quadratic critic that its pairs determine, without an optimiser between them.

use super::QuadraticCritic;
use anyhow::{Result, ensure};
use tch::{Kind, Tensor};

/// Feature values that are computed at a time: what stays in a processor's cache in float64.
const BLOCK: i64 = 1 << 18;
/// Half the squared length of a step, in the metric of the curvature: what the cost has left to fall, in nats. Below it the step is
/// taken and is the last; near the minimum every step squares the distance.
const DECREMENT: f64 = 1e-10;
/// Weight of `‖w‖²/2` in the cost. Without it samples that a quadratic separates have no minimum. It moves w by a relative 1e−9 over the
/// least curvature, below the error of 1e6 pairs by orders of magnitude.
const RIDGE: f64 = 1e-9;
const LARGEST_NUMBER_OF_STEPS: usize = 100;

/// Pairs (x, z) that are fitted to.
#[derive(Debug, Clone, Copy)]
pub struct Pairs<'a> {
    /// `[N, ..]`.
    pub x: &'a Tensor,
    /// `[N, D]`.
    pub z: &'a Tensor,
    /// What each counts, `[N]`, not negative; all the same if left out. Only proportions matter, so that a density on a grid will do.
    pub weight: Option<&'a Tensor>,
}

/// What a fit came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Steps of Newton's method.
    pub steps: usize,
    /// The logistic cost of the pairs at the end, in nats, as [`logistic_cost`](crate::ratio::logistic_cost).
    pub cost: f64,
    /// What the cost had left to fall before the last step, in nats, to second order.
    pub decrement: f64,
}

/// Cost, gradient `[K]` and curvature `[K, K]` at a weight.
struct Terms {
    cost: f64,
    gradient: Tensor,
    curvature: Tensor,
}

impl QuadraticCritic {
    /// Moves w from where it is to the minimum of the logistic cost of these pairs (docs/mathematics.md §7; note (7)).
    ///
    /// Newton's method in float64 (iteratively reweighted least squares), its steps halved until the cost falls. The result depends on the
    /// pairs only, not on where w was: it is the maximum-likelihood estimate, whose error is that of the sample and of nothing else.
    /// The host waits for the result, so this is no part of a training step. `progress` is told of every pass over the pairs.
    ///
    /// # Errors
    /// `progress`'s own, and where the cost is not finite or its curvature not positive: pairs that are not finite.
    pub fn fit(
        &mut self,
        numerator: Pairs<'_>,
        denominator: Pairs<'_>,
        progress: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Fit> {
        let mut weight = self.weight.detach().to_kind(Kind::Double);
        progress()?;
        let mut here = self.terms(&weight, [numerator, denominator]);
        ensure!(here.cost.is_finite(), "the logistic cost is not finite: the pairs have values that are not");
        let mut fit = Fit { steps: 0, cost: here.cost, decrement: f64::INFINITY };
        while fit.steps < LARGEST_NUMBER_OF_STEPS && fit.decrement > DECREMENT {
            let factor = here.curvature.f_linalg_cholesky(false)?;
            let step = here.gradient.unsqueeze(1).f_cholesky_solve(&factor, false)?.squeeze_dim(1);
            fit.decrement = 0.5 * here.gradient.dot(&step).double_value(&[]);
            let mut share = 1.0;
            loop {
                progress()?;
                let proposed = &weight - &step * share;
                let there = self.terms(&proposed, [numerator, denominator]);
                // Rounding may raise the cost of a step that is all but zero.
                if there.cost <= here.cost + 1e-13 || share < 1e-9 {
                    (weight, here) = (proposed, there);
                    break;
                }
                share *= 0.5;
            }
            fit.steps += 1;
        }
        fit.cost = here.cost;
        tch::no_grad(|| self.weight.copy_(&weight));
        Ok(fit)
    }

    /// The two sides count the same, however many pairs they have.
    fn terms(&self, weight: &Tensor, sides: [Pairs<'_>; 2]) -> Terms {
        let options = (Kind::Double, weight.device());
        let features = self.features();
        let mut cost = weight.square().sum(None) * (0.5 * RIDGE);
        let mut gradient = weight * RIDGE;
        let mut curvature = Tensor::eye(features, options) * RIDGE;
        tch::no_grad(|| {
            // The numerator's label is 1: its cost is softplus(−T), the denominator's softplus(T).
            for (side, sign) in sides.iter().zip([-1.0, 1.0]) {
                let rows = side.z.size()[0];
                let total =
                    side.weight.map_or_else(|| Tensor::full([], rows as f64, options), |all| all.sum(Kind::Double));
                let block = (BLOCK / features).max(1);
                for start in (0..rows).step_by(block as usize) {
                    let part = |t: &Tensor| t.narrow(0, start, block.min(rows - start)).to_kind(Kind::Double);
                    let values = self.evaluate(&part(side.x), &part(side.z));
                    let share = side.weight.map_or_else(|| total.reciprocal(), |weight| part(weight) / &total);
                    let ratio = values.mv(weight) * sign;
                    let probability = ratio.sigmoid();
                    cost += (ratio.softplus() * &share).sum(None);
                    gradient += values.transpose(0, 1).mv(&(&probability * &share * sign));
                    let bend = (&probability - probability.square()) * &share;
                    curvature += values.transpose(0, 1).matmul(&(values * bend.unsqueeze(1)));
                }
            }
        });
        Terms { cost: cost.double_value(&[]), gradient, curvature }
    }
}
