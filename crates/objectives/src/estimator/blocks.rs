//! The mixture in blocks of points, with its gradient by hand: nothing of size `[R, B, D]` is kept.
//!
//! ```text
//! e_ijd = (z_id − μ_jd)²/(2 σ_jd²) + log(σ_jd √2π) = −ℓ_ijd
//! log q(z_id) = logsumexp_j(log w_ij − e_ijd)          log q(z_ig) = logsumexp_j(log w_ij − Σ_{d∈g} e_ijd)
//!
//! r_ijd = w_ij exp(−e_ijd)/q(z_id), s_ijg likewise     c_ijd = r_ijd ∂/∂log q(z_id) + Σ_{g∋d} s_ijg ∂/∂log q(z_ig)
//! ∂/∂z_id = −Σ_j c_ijd (z_id − μ_jd)/σ_jd²     ∂/∂μ_jd = Σ_i c_ijd (z_id − μ_jd)/σ_jd²     ∂/∂log σ_jd² = ½ Σ_i c_ijd ((z_id − μ_jd)²/σ_jd² − 1)
//! ```
//!
//! The backward pass computes the energies e of a block once more instead of keeping them (as Dao et al. 2022 do for attention).

use super::{Estimator, MemoryBudget};
use elbo_core::Gaussian;
use std::f64::consts::{LN_2, PI};
use tch::{Kind, Tensor};

/// Points, the mixture's components and weights: all that the densities depend on, detached.
pub(super) struct Problem {
    /// `[D, R, 1]`.
    z: Tensor,
    /// `[D, 1, B]`.
    mean: Tensor,
    /// 1/(σ √2), `[D, 1, B]`.
    scale: Tensor,
    /// log(σ √2π), minus the logarithm of the density's peak, `[D, 1, B]`.
    offset: Tensor,
    weights: Weights,
    /// Dimensions of each group.
    groups: Vec<Group>,
    /// Points in a block.
    rows: i64,
}

/// Which dimensions a group has.
enum Group {
    All,
    /// Indices, Int64 on the device.
    Some(Tensor),
}

/// `log w_ij`.
enum Weights {
    /// One number: added at the end.
    Constant(f64),
    /// For all points, where they fit the budget.
    Whole(Tensor),
    /// Made again for each block: estimator, own rows `[R]`, N.
    ByBlock(Estimator, Tensor, i64),
}

/// Log-densities: `[R, G]` of the groups, `[R, D]` of the coordinates.
pub(super) struct LogDensities {
    pub(super) groups: Tensor,
    pub(super) marginals: Tensor,
}

/// Below e^−80 a summand is nothing beside the largest, which is 1; and exponentials that underflow take ten times as long.
const SMALLEST_EXPONENT: f64 = -80.0;

impl Problem {
    /// Lays everything out for the sums: coordinates first, components along memory.
    pub(super) fn new(
        (z, own): (&Tensor, Option<&Tensor>),
        posterior: &Gaussian,
        (estimator, dataset_len): (Estimator, i64),
        groups: &[Vec<i64>],
        budget: MemoryBudget,
    ) -> Self {
        let [points, latent] = z.size()[..] else { panic!("z must be [R, D], got {:?}", z.size()) };
        let (components, device, kind) = (posterior.mean.size()[0], z.device(), z.kind());
        let dimension_first = |t: &Tensor| t.detach().transpose(0, 1).contiguous();
        let log_var = dimension_first(&posterior.log_var).unsqueeze(1);
        let rows = budget.rows(latent * components, kind).min(points.max(1));
        let [_, _, other] = estimator.log_weight_values(components, dataset_len);
        let weights = if estimator.is_constant() {
            Weights::Constant(other)
        } else {
            let own = own.map_or_else(|| Tensor::arange(points, (Kind::Int64, device)), Tensor::detach);
            if rows >= points {
                Weights::Whole(estimator.log_weights_of(&own, components, dataset_len, kind))
            } else {
                Weights::ByBlock(estimator, own, dataset_len)
            }
        };
        let group = |dimensions: &Vec<i64>| Group::new(dimensions, latent, device);
        Self {
            z: dimension_first(z).unsqueeze(2),
            mean: dimension_first(&posterior.mean).unsqueeze(1),
            scale: ((&log_var + LN_2) * -0.5).exp(),
            offset: (log_var + (2.0 * PI).ln()) * 0.5,
            weights,
            groups: groups.iter().map(group).collect(),
            rows,
        }
    }

    fn starts(&self) -> impl Iterator<Item = (i64, i64)> {
        let (points, rows) = (self.z.size()[1], self.rows);
        (0..points).step_by(rows as usize).map(move |start| (start, rows.min(points - start)))
    }

    pub(super) fn log_densities(&self) -> LogDensities {
        let blocks = self.starts().map(|(start, rows)| {
            let (_, energy) = self.energy(start, rows);
            let weights = self.log_weights(start, rows);
            let groups: Vec<Tensor> =
                self.groups.iter().map(|group| log_sum_exp_of_minus(group.sum(&energy), weights.as_ref())).collect();
            // Last, because it works in the energies' own memory.
            let marginals = log_sum_exp_of_minus(energy, weights.as_ref()).transpose(0, 1);
            let groups = if groups.is_empty() { marginals.narrow(1, 0, 0) } else { Tensor::stack(&groups, 1) };
            (groups, marginals)
        });
        let (groups, marginals): (Vec<_>, Vec<_>) = blocks.unzip();
        let whole = |blocks: &[Tensor]| Tensor::cat(blocks, 0) + self.constant();
        LogDensities { groups: whole(&groups), marginals: whole(&marginals) }
    }

    /// Gradients of z `[R, D]`, mean and log-variance `[B, D]`, from the cotangents of the densities.
    pub(super) fn gradients(
        &self,
        densities: &LogDensities,
        groups: Option<&Tensor>,
        marginals: Option<&Tensor>,
    ) -> [Tensor; 3] {
        let mut of_z = Vec::new();
        let mut of_components: Option<[Tensor; 3]> = None;
        let twice_scale = (&self.scale * 2.0).transpose(1, 2);
        for (start, rows) in self.starts() {
            let (distance, mut energy) = self.energy(start, rows);
            let weights = self.log_weights(start, rows);
            let group_parts: Vec<(usize, Tensor)> = groups
                .iter()
                .flat_map(|cotangent| {
                    self.groups.iter().enumerate().map(move |(index, group)| (index, group, *cotangent))
                })
                .map(|(index, group, cotangent)| {
                    let column = |t: &Tensor| t.narrow(0, start, rows).narrow(1, index as i64, 1);
                    let share = responsibility(
                        group.sum(&energy),
                        weights.as_ref(),
                        &(column(&densities.groups) - self.constant()),
                    );
                    (index, share * column(cotangent))
                })
                .collect();
            let mut coefficient = match marginals {
                None => energy.zero_(),
                Some(cotangent) => {
                    let column = |t: &Tensor| t.narrow(0, start, rows).transpose(0, 1).unsqueeze(2);
                    let mut share =
                        responsibility(energy, weights.as_ref(), &(column(&densities.marginals) - self.constant()));
                    share.g_mul_(&column(cotangent))
                }
            };
            for (index, part) in &group_parts {
                coefficient = self.groups[*index].add(coefficient, part);
            }
            let mut moment = &coefficient * &distance;
            of_z.push(moment.bmm(&twice_scale).neg().squeeze_dim(2));
            let first = moment.sum_dim_intlist(1, true, None);
            let second = moment.g_mul_(&distance).sum_dim_intlist(1, true, None);
            let mass = coefficient.sum_dim_intlist(1, true, None);
            of_components = Some(match of_components {
                None => [first, second, mass],
                Some([a, b, c]) => [a + first, b + second, c + mass],
            });
        }
        let [first, second, mass] = of_components.expect("at least one point");
        let rows_first = |t: &Tensor| t.squeeze_dim(1).transpose(0, 1).contiguous();
        let of_z = Tensor::cat(&of_z, 1).transpose(0, 1).contiguous();
        [of_z, rows_first(&(first * &self.scale * 2.0)), rows_first(&(second - mass * 0.5))]
    }

    /// (z − μ)/(σ √2) and e, `[D, rows, B]`. The difference is taken before the square: expanded, it would lose its digits at small σ.
    fn energy(&self, start: i64, rows: i64) -> (Tensor, Tensor) {
        let mut distance = self.z.narrow(1, start, rows) - &self.mean;
        let _ = distance.g_mul_(&self.scale);
        let energy = self.offset.addcmul(&distance, &distance);
        (distance, energy)
    }

    /// `log w_ij` of a block, `[rows, B]`; nothing where it is one number.
    fn log_weights(&self, start: i64, rows: i64) -> Option<Tensor> {
        let (components, kind) = (self.mean.size()[2], self.mean.kind());
        match &self.weights {
            Weights::Constant(_) => None,
            Weights::Whole(weights) => Some(weights.narrow(0, start, rows)),
            Weights::ByBlock(estimator, own, dataset_len) => {
                Some(estimator.log_weights_of(&own.narrow(0, start, rows), components, *dataset_len, kind))
            }
        }
    }

    fn constant(&self) -> f64 {
        match self.weights {
            Weights::Constant(weight) => weight,
            _ => 0.0,
        }
    }
}

impl Group {
    fn new(dimensions: &[i64], latent: i64, device: tch::Device) -> Self {
        assert!(
            !dimensions.is_empty() && dimensions.iter().all(|dimension| (0..latent).contains(dimension)),
            "a group must have dimensions below {latent}, got {dimensions:?}"
        );
        if dimensions.len() as i64 == latent && dimensions.iter().enumerate().all(|(index, &d)| index as i64 == d) {
            return Self::All;
        }
        // Runs of neighbours, put together on the device: no copy from the host.
        let options = (Kind::Int64, device);
        let runs: Vec<Tensor> = dimensions.iter().map(|&d| Tensor::full([1], d, options)).collect();
        Self::Some(Tensor::cat(&runs, 0))
    }

    /// Σ over the group's dimensions of `[D, rows, B]`.
    fn sum(&self, energy: &Tensor) -> Tensor {
        match self {
            Self::All => energy.sum_dim_intlist(0, false, None),
            Self::Some(dimensions) => energy.index_select(0, dimensions).sum_dim_intlist(0, false, None),
        }
    }

    /// Adds `[rows, B]` to the group's dimensions of `[D, rows, B]`.
    fn add(&self, mut coefficient: Tensor, part: &Tensor) -> Tensor {
        match self {
            Self::All => coefficient.g_add_(part),
            Self::Some(dimensions) => {
                let size = coefficient.size();
                let part = part.unsqueeze(0).expand([dimensions.size()[0], size[1], size[2]], false);
                coefficient.index_add_(0, dimensions, &part)
            }
        }
    }
}

/// `logsumexp_j(log w_ij − e_ij)` along the last dimension, in the memory of `energy`.
fn log_sum_exp_of_minus(mut energy: Tensor, log_weights: Option<&Tensor>) -> Tensor {
    if let Some(weights) = log_weights {
        let _ = energy.g_sub_(weights);
    }
    // An energy beyond the largest number is infinite, and ∞ − ∞ has no value: the smallest is kept finite.
    let smallest = energy.amin([-1], true).clamp_max(1e30);
    let mut shifted = energy.neg_().g_add_(&smallest);
    let sum = shifted.clamp_min_(SMALLEST_EXPONENT).exp_().sum_dim_intlist(-1, false, None);
    sum.log() - smallest.squeeze_dim(-1)
}

/// `w_ij exp(−e_ij)/q_i`, in the memory of `energy`; `log_density` is log q, broadcast along j.
fn responsibility(mut energy: Tensor, log_weights: Option<&Tensor>, log_density: &Tensor) -> Tensor {
    if let Some(weights) = log_weights {
        let _ = energy.g_sub_(weights);
    }
    energy.neg_().g_sub_(log_density).clamp_min_(SMALLEST_EXPONENT).exp_()
}
