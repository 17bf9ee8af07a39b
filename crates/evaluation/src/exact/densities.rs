//! log q(z) and each `log q(z_d)` under the mixture of all encodings, block by block.

use super::Samples;
use elbo_core::Gaussian;
use elbo_core::posterior::normal_log_density;
use rayon::prelude::*;
use std::f64::consts::{LN_2, PI};
use tch::{Device, Kind, Tensor};

/// Memory that one block of the mixture may take, in bytes. The result does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget(pub usize);

/// Tensors of a block's size that are alive at a time.
const TENSORS: usize = 3;

impl MemoryBudget {
    /// What is fast on a device.
    ///
    /// On a CPU a block stays in the cache and below the 32 768 elements from which libtorch would split every operator between threads; the
    /// blocks themselves are spread over rayon's threads instead, which never wait for each other. A GPU takes enough to be filled.
    pub fn of(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Self(1 << 30),
            _ => Self(TENSORS * 32_767 * size_of::<f32>()),
        }
    }

    /// Samples and encodings per block, for D dimensions of `kind`: encodings first, because sums run along them.
    fn block(self, latent: i64, kind: Kind) -> (i64, i64) {
        /// Longest run of encodings: long enough to vectorise, short enough that several samples share it.
        const ENCODINGS: i64 = 1024;
        let elements = (self.0 / (TENSORS * kind.elt_size_in_bytes())) as i64;
        let encodings = (elements / latent).clamp(1, ENCODINGS);
        ((elements / (latent * encodings)).max(1), encodings)
    }
}

/// Log-densities of S samples in nats, float64, on the device of the codes.
#[derive(Debug)]
pub struct Densities {
    /// `log q(z_i|x_i)`, `[S]`.
    pub conditional: Tensor,
    /// `log q(z_i)`, `[S]`.
    pub joint: Tensor,
    /// `log q(z_id)`, `[S, D]`.
    pub marginals: Tensor,
    /// `log p(z_id)`, `[S, D]`.
    pub prior: Tensor,
}

impl Densities {
    /// The densities of `samples` under the mixture of all rows of `encodings`, without gradients.
    ///
    /// # Panics
    /// For shapes that do not fit.
    pub fn of(encodings: &Gaussian, samples: &Samples, budget: MemoryBudget) -> Self {
        let (points, components) = (samples.z.size(), encodings.mean.size());
        assert!(components[0] >= 1, "the mixture needs at least one encoding");
        assert!(points.len() == 2 && points[1] == components[1], "z must be [S, {}], got {points:?}", components[1]);
        assert_eq!(samples.own.size(), points[..1], "own must be [S], a row of the encodings for each z");
        tch::no_grad(|| {
            let wide = |t: &Tensor| t.to_kind(Kind::Double);
            let own = |t: &Tensor| wide(&t.index_select(0, &samples.own));
            let z = wide(&samples.z);
            let conditional = normal_log_density(&z, &own(&encodings.mean), &own(&encodings.log_var));
            let zero = z.zeros_like();
            let mixture = Mixture::new(encodings);
            let (rows, columns) = budget.block(points[1], encodings.mean.kind());
            let blocks: Vec<(Tensor, Mixture)> = (0..points[0])
                .step_by(rows as usize)
                .map(|start| (samples.z.narrow(0, start, rows.min(points[0] - start)), mixture.share()))
                .collect();
            let density = |(z, mixture): (Tensor, Mixture)| tch::no_grad(|| mixture.log_density(&z, columns));
            let blocks: Vec<(Tensor, Tensor)> = match samples.z.device() {
                Device::Cpu => blocks.into_par_iter().map(density).collect(),
                _ => blocks.into_iter().map(density).collect(),
            };
            let (joint, marginals): (Vec<_>, Vec<_>) = blocks.into_iter().unzip();
            Self {
                conditional: conditional.sum_dim_intlist(-1, false, None),
                joint: Tensor::cat(&joint, 0),
                marginals: Tensor::cat(&marginals, 0),
                prior: normal_log_density(&z, &zero, &zero),
            }
        })
    }
}

/// `q(z) = 1/N Σ_n N(z; μ_n, σ_n²)`, its parameters laid out for the sums: `[D, 1, N]`.
struct Mixture {
    mean: Tensor,
    /// 1/(σ √2).
    scale: Tensor,
    /// log(σ √(2π)): minus the logarithm of the density's peak.
    offset: Tensor,
}

impl Mixture {
    fn new(encodings: &Gaussian) -> Self {
        let dimension_first = |t: &Tensor| t.detach().transpose(0, 1).contiguous().unsqueeze(1);
        let log_var = dimension_first(&encodings.log_var);
        Self {
            mean: dimension_first(&encodings.mean),
            scale: ((&log_var + LN_2) * -0.5).exp(),
            offset: (log_var + (2.0 * PI).ln()) * 0.5,
        }
    }

    /// The same tensors, for another thread.
    fn share(&self) -> Self {
        Self { mean: self.mean.shallow_clone(), scale: self.scale.shallow_clone(), offset: self.offset.shallow_clone() }
    }

    /// log q(z), `[R]`, and `log q(z_d)`, `[R, D]`, for `z` `[R, D]`, over `columns` encodings at a time.
    fn log_density(&self, z: &Tensor, columns: i64) -> (Tensor, Tensor) {
        let count = self.mean.size()[2];
        let z = z.detach().to_kind(self.mean.kind()).transpose(0, 1).contiguous().unsqueeze(2);
        let mut sums: Option<(Tensor, Tensor)> = None;
        for start in (0..count).step_by(columns as usize) {
            let part = |t: &Tensor| t.narrow(2, start, columns.min(count - start));
            // −ℓ = ((z − μ)/(σ √2))² + log(σ √(2π)), the difference before the square: expanded, it would lose its digits at small σ.
            let mut distance = &z - part(&self.mean);
            let _ = distance.g_mul_(&part(&self.scale));
            let energy = part(&self.offset).addcmul(&distance, &distance);
            drop(distance);
            let joint = log_sum_exp_of_minus(energy.sum_dim_intlist(0, false, None));
            let marginals = log_sum_exp_of_minus(energy);
            sums = Some(match sums {
                None => (joint, marginals),
                Some((all_joint, all_marginals)) => (all_joint.logaddexp(&joint), all_marginals.logaddexp(&marginals)),
            });
        }
        let (joint, marginals) = sums.expect("at least one encoding");
        let log_count = (count as f64).ln();
        (joint - log_count, marginals.transpose(0, 1) - log_count)
    }
}

/// `log Σ_n exp(−e_n)` along the last dimension, in float64; the exponentials in the kind of `energy`.
fn log_sum_exp_of_minus(energy: Tensor) -> Tensor {
    // An energy beyond the largest number is infinite, and ∞ − ∞ has no value: the smallest is kept finite.
    let smallest = energy.amin([-1], true).clamp_max(1e30);
    // Below e^−80 a summand is nothing beside the largest, which is 1; and exponentials that underflow take ten times as long.
    let mut shifted = &smallest - energy;
    let sum = shifted.clamp_min_(-80.0).exp_().sum_dim_intlist(-1, false, None);
    sum.to_kind(Kind::Double).log() - smallest.squeeze_dim(-1).to_kind(Kind::Double)
}
