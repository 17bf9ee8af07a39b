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
use rayon::prelude::*;
use std::f64::consts::{LN_2, PI};
use std::ops::Range;
use tch::{Device, Kind, Tensor, no_grad};

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
    /// Points and components of a block.
    block: (i64, i64),
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
    /// For all pairs, where they are one block.
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
        let block = budget.block(latent, (points, components), kind);
        let [_, _, other] = estimator.log_weight_values(components, dataset_len);
        let weights = if estimator.is_constant() {
            Weights::Constant(other)
        } else {
            let own = own.map_or_else(|| Tensor::arange(points, (Kind::Int64, device)), Tensor::detach);
            if block == (points, components) {
                Weights::Whole(estimator.log_weights_of(&own, 0..components, (components, dataset_len), kind))
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
            block,
        }
    }

    /// The densities at all points.
    pub(super) fn log_densities(&self) -> LogDensities {
        let parts = self.on_threads(|| (), |problem, (), points| problem.log_densities_of(points));
        let whole = |part: fn(&LogDensities) -> &Tensor| {
            Tensor::cat(&parts.iter().map(part).collect::<Vec<_>>(), 0) + self.constant()
        };
        LogDensities { groups: whole(|part| &part.groups), marginals: whole(|part| &part.marginals) }
    }

    /// Gradients of z `[R, D]`, mean and log-variance `[B, D]`, from the cotangents of the densities.
    pub(super) fn gradients(
        &self,
        densities: &LogDensities,
        groups: Option<&Tensor>,
        marginals: Option<&Tensor>,
    ) -> [Tensor; 3] {
        // A cotangent beside its densities less the constant: what a thread needs of them.
        let pair = |density: &Tensor, cotangent: &Tensor| (density - self.constant(), cotangent.shallow_clone());
        let pulled = Pulled {
            groups: groups.map(|cotangent| pair(&densities.groups, cotangent)),
            marginals: marginals.map(|cotangent| pair(&densities.marginals, cotangent)),
        };
        let parts = self.on_threads(|| pulled.share(), |problem, pulled, points| problem.gradients_of(points, pulled));
        let (of_z, sums): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        // In the order of the points, so that equal runs add up equally.
        let total = |index: usize| {
            let mut parts = sums.iter().map(|sums| &sums[index]);
            let first = parts.next().expect("at least one part").shallow_clone();
            parts.fold(first, |sum, part| sum + part)
        };
        let rows_first = |t: &Tensor, dimension: i64| t.squeeze_dim(dimension).transpose(0, 1).contiguous();
        let [first, second, mass] = [0, 1, 2].map(total);
        let of_mean = first * &self.scale * 2.0;
        [-rows_first(&Tensor::cat(&of_z, 1), 2), rows_first(&of_mean, 1), rows_first(&(second - mass * 0.5), 1)]
    }

    /// Runs `work` on parts of the points, one for each of libtorch's threads on a CPU, and gives the results in the order of the points.
    ///
    /// Every thread gets tensors of its own through `share`. One thread, or a GPU, is served by the calling thread itself.
    fn on_threads<C: Send, T: Send>(
        &self,
        share: impl Fn() -> C,
        work: impl Fn(&Self, &C, &Range<i64>) -> T + Sync,
    ) -> Vec<T> {
        let points = self.z.size()[1];
        let blocks = (points + self.block.0 - 1) / self.block.0;
        let threads = if self.z.device() == Device::Cpu { i64::from(tch::get_num_threads()).min(blocks) } else { 1 };
        if threads <= 1 {
            return vec![work(self, &share(), &(0..points))];
        }
        let cut = |part: i64| (blocks * part / threads * self.block.0).min(points);
        let parts: Vec<(Self, C, Range<i64>)> =
            (0..threads).map(|part| (self.share(), share(), cut(part)..cut(part + 1))).collect();
        // Whether a graph is made is each thread's own.
        parts.into_par_iter().map(|(problem, shared, points)| no_grad(|| work(&problem, &shared, &points))).collect()
    }

    /// The same tensors, for another thread.
    fn share(&self) -> Self {
        Self {
            z: self.z.shallow_clone(),
            mean: self.mean.shallow_clone(),
            scale: self.scale.shallow_clone(),
            offset: self.offset.shallow_clone(),
            weights: self.weights.share(),
            groups: self.groups.iter().map(Group::share).collect(),
            block: self.block,
        }
    }

    fn blocks(range: &Range<i64>, step: i64) -> impl Iterator<Item = Range<i64>> + use<> {
        let end = range.end;
        range.clone().step_by(step as usize).map(move |start| start..end.min(start + step))
    }

    /// The densities at some points, without the constant.
    fn log_densities_of(&self, points: &Range<i64>) -> LogDensities {
        let count = points.end - points.start;
        let empty = |columns: i64| Tensor::empty([count, columns], (self.z.kind(), self.z.device()));
        // Written in place, block by block: small results between large temporaries would leave holes in the memory.
        let (groups, marginals) = (empty(self.groups.len() as i64), empty(self.z.size()[0]));
        for rows in Self::blocks(points, self.block.0) {
            let mut sums: Option<(Vec<Tensor>, Tensor)> = None;
            for columns in Self::blocks(&(0..self.mean.size()[2]), self.block.1) {
                let (_, energy) = self.energy(&rows, &columns);
                let weights = self.log_weights(&rows, &columns);
                let density = |group: &Group| log_sum_exp_of_minus(group.sum(&energy), weights.as_ref());
                let of_groups: Vec<Tensor> = self.groups.iter().map(density).collect();
                // Last, because it works in the energies' own memory.
                let of_dimensions = log_sum_exp_of_minus(energy, weights.as_ref());
                sums = Some(match sums {
                    None => (of_groups, of_dimensions),
                    Some((groups, dimensions)) => (
                        groups.iter().zip(&of_groups).map(|(sum, block)| sum.logaddexp(block)).collect(),
                        dimensions.logaddexp(&of_dimensions),
                    ),
                });
            }
            let (of_groups, of_dimensions) = sums.expect("at least one component");
            let place = |whole: &Tensor| whole.narrow(0, rows.start - points.start, rows.end - rows.start);
            for (index, density) in of_groups.iter().enumerate() {
                place(&groups).select(1, index as i64).copy_(density);
            }
            place(&marginals).copy_(&of_dimensions.transpose(0, 1));
        }
        LogDensities { groups, marginals }
    }

    /// Minus the gradient of z at some points, `[D, points, 1]`, and what they add to the sums over points, `[D, 1, B]` each: of c δ, c δ² and
    /// c, where δ = (z − μ)/(σ √2).
    fn gradients_of(&self, points: &Range<i64>, pulled: &Pulled) -> (Tensor, [Tensor; 3]) {
        let [latent, components] = [self.mean.size()[0], self.mean.size()[2]];
        let zeros = |size: [i64; 3]| Tensor::zeros(size, (self.z.kind(), self.z.device()));
        let of_z = zeros([latent, points.end - points.start, 1]);
        let sums: [Tensor; 3] = std::array::from_fn(|_| zeros([latent, 1, components]));
        let twice_scale = (&self.scale * 2.0).transpose(1, 2);
        for rows in Self::blocks(points, self.block.0) {
            for columns in Self::blocks(&(0..components), self.block.1) {
                let width = columns.end - columns.start;
                let (distance, energy) = self.energy(&rows, &columns);
                let weights = self.log_weights(&rows, &columns);
                let coefficient = self.coefficient(energy, weights.as_ref(), &rows, pulled);
                let mut moment = &coefficient * &distance;
                let mut place = of_z.narrow(1, rows.start - points.start, rows.end - rows.start);
                let _ = place.g_add_(&moment.bmm(&twice_scale.narrow(1, columns.start, width)));
                let first = moment.sum_dim_intlist(1, true, None);
                let second = moment.g_mul_(&distance).sum_dim_intlist(1, true, None);
                let mass = coefficient.sum_dim_intlist(1, true, None);
                for (sum, block) in sums.iter().zip([first, second, mass]) {
                    let _ = sum.narrow(2, columns.start, width).g_add_(&block);
                }
            }
        }
        (of_z, sums)
    }

    /// c of a block, `[D, rows, columns]`, in the memory of `energy`.
    fn coefficient(&self, mut energy: Tensor, weights: Option<&Tensor>, rows: &Range<i64>, pulled: &Pulled) -> Tensor {
        let part = |t: &Tensor| t.narrow(0, rows.start, rows.end - rows.start);
        let of_groups: Vec<Tensor> = match &pulled.groups {
            None => Vec::new(),
            Some((densities, cotangents)) => {
                let column = |t: &Tensor, index: usize| part(t).narrow(1, index as i64, 1);
                let share = |(index, group): (usize, &Group)| {
                    responsibility(group.sum(&energy), weights, &column(densities, index))
                        .g_mul_(&column(cotangents, index))
                };
                self.groups.iter().enumerate().map(share).collect()
            }
        };
        let mut coefficient = match &pulled.marginals {
            None => energy.zero_(),
            Some((densities, cotangents)) => {
                let column = |t: &Tensor| part(t).transpose(0, 1).unsqueeze(2);
                responsibility(energy, weights, &column(densities)).g_mul_(&column(cotangents))
            }
        };
        for (group, of_group) in self.groups.iter().zip(&of_groups) {
            coefficient = group.add(coefficient, of_group);
        }
        coefficient
    }

    /// (z − μ)/(σ √2) and e, `[D, rows, columns]`. The difference is taken before the square: expanded, it would lose its digits at small σ.
    fn energy(&self, rows: &Range<i64>, columns: &Range<i64>) -> (Tensor, Tensor) {
        let part = |t: &Tensor| t.narrow(2, columns.start, columns.end - columns.start);
        let mut distance = self.z.narrow(1, rows.start, rows.end - rows.start) - part(&self.mean);
        let _ = distance.g_mul_(&part(&self.scale));
        let energy = part(&self.offset).addcmul(&distance, &distance);
        (distance, energy)
    }

    /// `log w_ij` of a block, `[rows, columns]`; nothing where it is one number.
    fn log_weights(&self, rows: &Range<i64>, columns: &Range<i64>) -> Option<Tensor> {
        match &self.weights {
            Weights::Constant(_) => None,
            Weights::Whole(weights) => Some(weights.shallow_clone()),
            Weights::ByBlock(estimator, own, dataset_len) => {
                let own = own.narrow(0, rows.start, rows.end - rows.start);
                let sizes = (self.mean.size()[2], *dataset_len);
                Some(estimator.log_weights_of(&own, columns.clone(), sizes, self.mean.kind()))
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

/// Log-densities less the constant, and their cotangents, where they took part in the loss.
struct Pulled {
    groups: Option<(Tensor, Tensor)>,
    marginals: Option<(Tensor, Tensor)>,
}

impl Pulled {
    /// The same tensors, for another thread.
    fn share(&self) -> Self {
        let pair = |(a, b): &(Tensor, Tensor)| (a.shallow_clone(), b.shallow_clone());
        Self { groups: self.groups.as_ref().map(pair), marginals: self.marginals.as_ref().map(pair) }
    }
}

impl Weights {
    fn share(&self) -> Self {
        match self {
            Self::Constant(weight) => Self::Constant(*weight),
            Self::Whole(weights) => Self::Whole(weights.shallow_clone()),
            Self::ByBlock(estimator, own, dataset_len) => Self::ByBlock(*estimator, own.shallow_clone(), *dataset_len),
        }
    }
}

impl Group {
    /// The same tensor, for another thread.
    fn share(&self) -> Self {
        match self {
            Self::All => Self::All,
            Self::Some(dimensions) => Self::Some(dimensions.shallow_clone()),
        }
    }

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
