//! Integrals over the plane as sums over a grid, in float64.

use super::training::points;
use anyhow::{Result, ensure};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Posterior, Vae};
use tch::{Device, Kind, Tensor};

/// Points of the plane at equal distances.
#[derive(Debug)]
pub struct Grid {
    /// `[G, 2]`, float64.
    points: Tensor,
    /// log of the area that a point stands for.
    log_area: f64,
}

/// Every term of a model with a Gaussian posterior, in nats, means over the four points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianTerms {
    /// E[−log p(x|z)].
    pub reconstruction: f64,
    /// I(x; z) under q.
    pub mutual_information: f64,
    /// KL(q(z) ‖ p(z)).
    pub kl_aggregate_prior: f64,
}

impl Grid {
    /// From −`extent` to `extent` at distances of `step`, in both coordinates.
    pub fn new(extent: f64, step: f64, device: Device) -> Self {
        let count = (2.0 * extent / step).round() as i64 + 1;
        let axis = Tensor::linspace(-extent, extent, count, (Kind::Double, device));
        let step = 2.0 * extent / (count - 1) as f64;
        Self { points: Tensor::cartesian_prod(&[&axis, &axis]), log_area: 2.0 * step.ln() }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        self.points.device()
    }

    /// `log Σ exp(values) · area` over the last dimension `[.., G]`.
    fn log_integral(&self, values: &Tensor) -> Tensor {
        values.logsumexp(-1, false) + self.log_area
    }

    /// log `p(x_n|z)` of the four points at every point of the grid, `[4, G]`.
    fn log_likelihood(&self, vae: &Vae) -> Tensor {
        tch::no_grad(|| {
            let x = points(self.device());
            let each = |z: &Tensor| {
                let logits = vae.decode(&z.to_kind(Kind::Float)).to_kind(Kind::Double);
                let per_point = |n: i64| {
                    let x = x.narrow(0, n, 1).to_kind(Kind::Double).expand_as(&logits);
                    vae.likelihood().log_likelihood(&x, &logits)
                };
                Tensor::stack(&[0, 1, 2, 3].map(per_point), 0)
            };
            let parts: Vec<Tensor> = self.points.split(CHUNK, 0).iter().map(each).collect();
            Tensor::cat(&parts, 1)
        })
    }

    /// log p(x), the mean over the four points, in nats.
    pub fn log_evidence(&self, vae: &Vae) -> f64 {
        let joint = self.log_likelihood(vae) + standard_normal_log_density(&self.points);
        self.log_integral(&joint).mean(None).double_value(&[])
    }
}

impl GaussianTerms {
    /// The terms of `vae`.
    ///
    /// # Errors
    /// When a q(z|x) is too narrow for the grid, or reaches beyond it.
    ///
    /// # Panics
    /// When the posterior is not Gaussian.
    pub fn of(vae: &Vae, grid: &Grid) -> Result<Self> {
        let noise = elbo_core::Generator::new(grid.device(), 0)?;
        let posterior = tch::no_grad(|| vae.encode(&points(grid.device()), &noise).0);
        let Posterior::Gaussian(gaussian) = posterior else { panic!("a Gaussian posterior is needed") };
        let rows = |values: &Tensor| values.detach().to_kind(Kind::Double).unsqueeze(1);
        let z = grid.points.unsqueeze(0);
        let log_q = elbo_core::posterior::normal_log_density(&z, &rows(&gaussian.mean), &rows(&gaussian.log_var))
            .sum_dim_intlist(-1, false, None);
        let mass = grid.log_integral(&log_q).exp();
        let worst = (&mass - 1.0).abs().max().double_value(&[]);
        ensure!(worst < LARGEST_LOSS, "the grid does not hold the posteriors: a mass of 1 is off by {worst:.1e}");

        let density = (&log_q + grid.log_area).exp();
        let mean = |values: &Tensor| (&density * values).sum(None).double_value(&[]) / 4.0;
        let log_aggregate = log_q.logsumexp(0, true) - 4_f64.ln();
        let log_prior = standard_normal_log_density(&grid.points);
        Ok(Self {
            reconstruction: -mean(&grid.log_likelihood(vae)),
            mutual_information: mean(&(&log_q - &log_aggregate)),
            kl_aggregate_prior: mean(&(&log_aggregate - &log_prior)),
        })
    }

    /// The evidence lower bound.
    pub fn elbo(&self) -> f64 {
        -self.reconstruction - self.mutual_information - self.kl_aggregate_prior
    }
}

/// Points that are decoded at once.
const CHUNK: i64 = 65_536;
/// Of a density's mass, far below every figure that is shown.
const LARGEST_LOSS: f64 = 1e-6;
