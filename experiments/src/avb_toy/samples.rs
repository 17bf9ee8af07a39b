//! The terms of an implicit posterior, from its samples: in bins of two widths, and by nearest neighbours.

use super::histogram::Counts;
use super::report::Measured;
use super::settings::{BLOCK, Measurement};
use super::training::points;
use anyhow::Result;
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Generator, Vae};
use elbo_evaluation::nearest_neighbours::{entropy, kl_to_density};
use tch::{Kind, Tensor};

/// The terms of an implicit posterior, in nats.
#[derive(Debug, Clone, Copy)]
pub struct ImplicitTerms {
    /// E[−log p(x|z)], from all samples.
    pub reconstruction: Measured,
    /// I(x; z).
    pub mutual_information: ThreeWays,
    /// KL(q(z) ‖ p(z)).
    pub kl_aggregate_prior: ThreeWays,
}

/// One quantity, estimated in three ways.
#[derive(Debug, Clone, Copy)]
pub struct ThreeWays {
    /// With the finer bins.
    pub fine: Measured,
    /// With bins of twice the width.
    pub coarse: Measured,
    /// By nearest neighbours, from fewer samples.
    pub neighbours: Measured,
}

impl ThreeWays {
    /// The finer bins' value; its error holds the distance to the coarser bins' too.
    pub fn value(&self) -> Measured {
        let error = self.fine.standard_error.unwrap_or(0.0);
        Measured::with_error(self.fine.value, error.hypot(self.fine.value - self.coarse.value))
    }
}

impl ImplicitTerms {
    /// Draws the samples, and measures.
    ///
    /// # Errors
    /// Those of `progress`, which is told how many samples have been drawn; or samples that have no density.
    pub fn of(
        vae: &Vae,
        measurement: &Measurement,
        noise: &Generator,
        progress: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        let mut counts = Counts::new(measurement.extent, measurement.bin_width);
        let x = points(noise.device());
        let rounds = measurement.samples / (4 * BLOCK);
        let mut sums = Tensor::zeros([2], (Kind::Double, noise.device()));
        for round in 0..rounds {
            tch::no_grad(|| {
                for point in 0..4 {
                    let x = x.narrow(0, point, 1).expand([BLOCK, 4, 1, 1], false);
                    let pass = vae.forward(&x, noise, 1);
                    let loss = -pass.log_likelihood().to_kind(Kind::Double);
                    sums += Tensor::stack(&[loss.sum(None), loss.square().sum(None)], 0);
                    counts.add(point, &pass.z);
                }
            });
            progress(((round + 1) * 4 * BLOCK) as usize)?;
        }
        let total = (rounds * 4 * BLOCK) as f64;
        let (mean, square) = (sums.double_value(&[0]) / total, sums.double_value(&[1]) / total);
        let coarse = counts.coarser();
        let [information, divergence] = neighbours(&draw(vae, measurement.neighbour_samples / 4, noise))?;
        Ok(Self {
            reconstruction: Measured::with_error(mean, ((square - mean * mean).max(0.0) / total).sqrt()),
            mutual_information: ThreeWays {
                fine: counts.mutual_information(),
                coarse: coarse.mutual_information(),
                neighbours: information,
            },
            kl_aggregate_prior: ThreeWays {
                fine: counts.kl_to_prior(),
                coarse: coarse.kl_to_prior(),
                neighbours: divergence,
            },
        })
    }
}

/// `count` samples of q(z|x) for each point: `[4, count, 2]`.
pub fn draw(vae: &Vae, count: i64, noise: &Generator) -> Tensor {
    let x = points(noise.device());
    let of = |point: i64| vae.encode(&x.narrow(0, point, 1).expand([count, 4, 1, 1], false), noise).1;
    tch::no_grad(|| Tensor::stack(&[0, 1, 2, 3].map(of), 0))
}

/// I(x; z) = H(z) − H(z|x) and KL(q(z) ‖ p(z)) of samples `[4, n, 2]`.
///
/// # Errors
/// Samples that repeat, or are not finite.
pub fn neighbours(z: &Tensor) -> Result<[Measured; 2]> {
    // The four points in turn, so that every run of rows is a sample of q(z).
    let together = z.transpose(0, 1).reshape([-1, 2]);
    let whole = entropy(&together, NEIGHBOURS)?;
    let mut own = Vec::new();
    for point in 0..4 {
        own.push(entropy(&z.select(0, point), NEIGHBOURS)?);
    }
    let mean = own.iter().map(|entropy| entropy.value).sum::<f64>() / 4.0;
    let error = own.iter().map(|entropy| entropy.standard_error / 4.0).fold(whole.standard_error, f64::hypot);
    let divergence =
        kl_to_density(&together, &standard_normal_log_density(&together.to_kind(Kind::Double)), NEIGHBOURS)?;
    Ok([
        Measured::with_error(whole.value - mean, error),
        Measured::with_error(divergence.value, divergence.standard_error),
    ])
}

/// Which neighbour's distance is taken (k).
pub const NEIGHBOURS: usize = 3;
