//! log q(z) and each `log q(z_d)` under the mixture of all encodings, block by block.

use super::{MemoryBudget, Progress, Samples};
use elbo_core::Gaussian;
use elbo_core::posterior::normal_log_density;
use rayon::prelude::*;
use std::f64::consts::{LN_2, LOG2_E, PI};
use tch::{Device, Kind, Tensor};

/// Tensors of a block's size that are alive at a time.
const TENSORS: usize = 3;

/// Samples and encodings per block, for D dimensions of `kind`: encodings first, because sums run along them.
///
/// On a CPU a block stays in the cache and below the 32 768 elements from which libtorch would split every operator between threads; the
/// blocks themselves are spread over rayon's threads instead, which never wait for each other. A GPU takes enough to be filled.
fn block(budget: MemoryBudget, device: Device, latent: i64, kind: Kind) -> (i64, i64) {
    /// Longest run of encodings: long enough to vectorise, short enough that several samples share it.
    const ENCODINGS: i64 = 1024;
    let fitting = (budget.0 / (TENSORS * kind.elt_size_in_bytes())) as i64;
    let elements = if device == Device::Cpu { fitting.min(32_767) } else { fitting };
    let encodings = (elements / latent).clamp(1, ENCODINGS);
    ((elements / (latent * encodings)).max(1), encodings)
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
        Self::watched(encodings, samples, budget, &mut |_, _| Ok(())).expect("nothing interrupts it")
    }

    /// As [`Densities::of`], telling `progress`.
    ///
    /// # Errors
    /// `progress`'s own.
    ///
    /// # Panics
    /// For shapes that do not fit.
    pub fn watched(
        encodings: &Gaussian,
        samples: &Samples,
        budget: MemoryBudget,
        progress: &mut Progress<'_>,
    ) -> anyhow::Result<Self> {
        let points = samples.z.size();
        assert_eq!(samples.own.size(), points[..1], "own must be [S], a row of the encodings for each z");
        let (joint, marginals) = mixture_log_density(encodings, &samples.z, budget, progress)?;
        Ok(tch::no_grad(|| {
            let wide = |t: &Tensor| t.to_kind(Kind::Double);
            let own = |t: &Tensor| wide(&t.index_select(0, &samples.own));
            let z = wide(&samples.z);
            let conditional = normal_log_density(&z, &own(&encodings.mean), &own(&encodings.log_var));
            let zero = z.zeros_like();
            Self {
                conditional: conditional.sum_dim_intlist(-1, false, None),
                joint,
                marginals,
                prior: normal_log_density(&z, &zero, &zero),
            }
        }))
    }
}

/// log q(z), `[S]`, and every `log q(z_d)`, `[S, D]`, in float64, at `z` `[S, D]`, for the mixture of all rows of `encodings` `[N, D]`;
/// without gradients.
///
/// # Errors
/// `progress`'s own.
///
/// # Panics
/// For shapes that do not fit.
pub fn mixture_log_density(
    encodings: &Gaussian,
    z: &Tensor,
    budget: MemoryBudget,
    progress: &mut Progress<'_>,
) -> anyhow::Result<(Tensor, Tensor)> {
    /// Blocks between two calls of `progress`, for each thread.
    const BLOCKS: usize = 8;
    let (points, components) = (z.size(), encodings.mean.size());
    assert!(components[0] >= 1, "the mixture needs at least one encoding");
    assert!(points.len() == 2 && points[1] == components[1], "z must be [S, {}], got {points:?}", components[1]);
    tch::no_grad(|| {
        let mixture = Mixture::new(encodings);
        let (rows, columns) = block(budget, z.device(), points[1], encodings.mean.kind());
        let starts: Vec<i64> = (0..points[0]).step_by(rows as usize).collect();
        let parallel = z.device() == Device::Cpu;
        let group = if parallel { BLOCKS * rayon::current_num_threads() } else { BLOCKS };
        let (mut joint, mut marginals) = (Vec::new(), Vec::new());
        for starts in starts.chunks(group) {
            let blocks: Vec<(Tensor, Mixture)> = starts
                .iter()
                .map(|&start| (z.narrow(0, start, rows.min(points[0] - start)), mixture.share()))
                .collect();
            let density = |(z, mixture): (Tensor, Mixture)| tch::no_grad(|| mixture.log_density(&z, columns));
            let blocks: Vec<(Tensor, Tensor)> = if parallel {
                blocks.into_par_iter().map(density).collect()
            } else {
                blocks.into_iter().map(density).collect()
            };
            for (of_all, of_each) in blocks {
                joint.push(of_all);
                marginals.push(of_each);
            }
            progress(starts.last().map_or(0, |&start| (start + rows).min(points[0])) as usize, points[0] as usize)?;
        }
        Ok((Tensor::cat(&joint, 0), Tensor::cat(&marginals, 0)))
    })
}

/// `q(z) = 1/N Σ_n N(z; μ_n, σ_n²)`, its parameters laid out for the sums: `[D, 1, N]`.
///
/// Energies are in bits, −log₂ of a density, because libtorch takes powers of two in a fraction of the time of exponentials.
struct Mixture {
    mean: Tensor,
    /// 1/(σ √(2 ln 2)).
    scale: Tensor,
    /// log₂(σ √2π): minus the logarithm of the density's peak.
    offset: Tensor,
}

impl Mixture {
    fn new(encodings: &Gaussian) -> Self {
        let dimension_first = |t: &Tensor| t.detach().transpose(0, 1).contiguous().unsqueeze(1);
        let log_var = dimension_first(&encodings.log_var);
        Self {
            mean: dimension_first(&encodings.mean),
            scale: ((&log_var + (2.0 * LN_2).ln()) * -0.5).exp(),
            offset: (log_var + (2.0 * PI).ln()) * (0.5 * LOG2_E),
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
            // ((z − μ)/(σ √(2 ln 2)))² + log₂(σ √2π), the difference before the square: expanded, it would lose its digits at small σ.
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

/// `ln Σ_n 2^(−e_n)` along the last dimension, in float64; the powers in the kind of `energy`, whose memory they take.
fn log_sum_exp_of_minus(energy: Tensor) -> Tensor {
    // An energy beyond the largest number is infinite, and ∞ − ∞ has no value: the smallest is kept finite.
    let smallest = energy.amin([-1], true).clamp_max(1e30);
    // Below 2^−115 a summand is nothing beside the largest, which is 1; and powers that underflow take ten times as long.
    let mut shifted = energy;
    let _ = shifted.g_sub_(&smallest).neg_().clamp_min_(-115.0).exp2_();
    let sum = shifted.sum_dim_intlist(-1, false, None);
    sum.to_kind(Kind::Double).log() - smallest.squeeze_dim(-1).to_kind(Kind::Double) * LN_2
}
