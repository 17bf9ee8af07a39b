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
//! Energies are kept in bits, e/ln 2, because libtorch takes powers of two in a fraction of the time of exponentials.
//!
//! The backward pass computes the energies e of a block once more instead of keeping them (as Dao et al. 2022 do for attention).

use super::{Estimator, MemoryBudget};
use elbo_core::Gaussian;
use std::f64::consts::{LN_2, LOG2_E, PI};
use std::ops::Range;
use tch::{Kind, Tensor};

/// Points, the mixture's components and weights: all that the densities depend on, detached.
pub(super) struct Problem {
    /// `[D, R, 1]`.
    z: Tensor,
    /// `[D, 1, B]`.
    mean: Tensor,
    /// 1/(σ √(2 ln 2)), `[D, 1, B]`.
    scale: Tensor,
    /// log₂(σ √2π), minus the logarithm of the density's peak, `[D, 1, B]`.
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

/// `log₂ w_ij`, but for the constant, which is in nats.
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

/// Below 2^−115 a summand is nothing beside the largest, which is 1; and exponentials that underflow take ten times as long.
const SMALLEST_EXPONENT: f64 = -115.0;

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
                Weights::Whole(estimator.log_weights_of(&own, 0..components, (components, dataset_len), kind) * LOG2_E)
            } else {
                Weights::ByBlock(estimator, own, dataset_len)
            }
        };
        let group = |dimensions: &Vec<i64>| Group::new(dimensions, latent, device);
        Self {
            z: dimension_first(z).unsqueeze(2),
            mean: dimension_first(&posterior.mean).unsqueeze(1),
            scale: ((&log_var + (2.0 * LN_2).ln()) * -0.5).exp(),
            offset: (log_var + (2.0 * PI).ln()) * (0.5 * LOG2_E),
            weights,
            groups: groups.iter().map(group).collect(),
            block,
        }
    }

    /// Gradients of z `[R, D]`, mean and log-variance `[B, D]`, from the cotangents of the densities.
    pub(super) fn gradients(
        &self,
        densities: &LogDensities,
        groups: Option<&Tensor>,
        marginals: Option<&Tensor>,
    ) -> [Tensor; 3] {
        // A cotangent beside its densities in bits, less the constant.
        let pair =
            |density: &Tensor, cotangent: &Tensor| ((density - self.constant()) * LOG2_E, cotangent.shallow_clone());
        let pulled = Pulled {
            groups: groups.map(|cotangent| pair(&densities.groups, cotangent)),
            marginals: marginals.map(|cotangent| pair(&densities.marginals, cotangent)),
        };
        let (of_z, [first, second, mass]) = self.sums(&pulled);
        let rows_first = |t: &Tensor, dimension: i64| t.squeeze_dim(dimension).transpose(0, 1).contiguous();
        let of_mean = first * &self.scale * (2.0 * LN_2);
        [-rows_first(&of_z, 2), rows_first(&of_mean, 1), rows_first(&(second * LN_2 - mass * 0.5), 1)]
    }

    fn blocks(count: i64, step: i64) -> impl Iterator<Item = Range<i64>> {
        (0..count).step_by(step as usize).map(move |start| start..count.min(start + step))
    }

    /// The densities at all points.
    pub(super) fn log_densities(&self) -> LogDensities {
        let [latent, points] = [self.z.size()[0], self.z.size()[1]];
        let empty = |columns: i64| Tensor::empty([points, columns], (self.z.kind(), self.z.device()));
        // Written in place, block by block: small results between large temporaries would leave holes in the memory.
        let (groups, marginals) = (empty(self.groups.len() as i64), empty(latent));
        for rows in Self::blocks(points, self.block.0) {
            let mut sums: Option<(Vec<Tensor>, Tensor)> = None;
            for columns in Self::blocks(self.mean.size()[2], self.block.1) {
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
            let place = |whole: &Tensor| whole.narrow(0, rows.start, rows.end - rows.start);
            for (index, density) in of_groups.iter().enumerate() {
                place(&groups).select(1, index as i64).copy_(density);
            }
            place(&marginals).copy_(&of_dimensions.transpose(0, 1));
        }
        LogDensities { groups: groups + self.constant(), marginals: marginals + self.constant() }
    }

    /// Minus the gradient of z, `[D, R, 1]`, and sums over the points, `[D, 1, B]` each, of c δ, c δ² and c, where δ is the distance of
    /// [`Problem::energy`].
    fn sums(&self, pulled: &Pulled) -> (Tensor, [Tensor; 3]) {
        let [latent, components, points] = [self.mean.size()[0], self.mean.size()[2], self.z.size()[1]];
        let zeros = |size: [i64; 3]| Tensor::zeros(size, (self.z.kind(), self.z.device()));
        let of_z = zeros([latent, points, 1]);
        let sums: [Tensor; 3] = std::array::from_fn(|_| zeros([latent, 1, components]));
        let pull = (&self.scale * (2.0 * LN_2)).transpose(1, 2);
        for rows in Self::blocks(points, self.block.0) {
            for columns in Self::blocks(components, self.block.1) {
                let width = columns.end - columns.start;
                let (distance, energy) = self.energy(&rows, &columns);
                let weights = self.log_weights(&rows, &columns);
                let coefficient = self.coefficient(energy, weights.as_ref(), &rows, pulled);
                let mut moment = &coefficient * &distance;
                let mut place = of_z.narrow(1, rows.start, rows.end - rows.start);
                let _ = place.g_add_(&moment.bmm(&pull.narrow(1, columns.start, width)));
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

    /// (z − μ)/(σ √(2 ln 2)) and e in bits, `[D, rows, columns]`: the first squared is the first half of the second. The difference is taken before the square: expanded, it would lose its digits at small σ.
    fn energy(&self, rows: &Range<i64>, columns: &Range<i64>) -> (Tensor, Tensor) {
        let part = |t: &Tensor| t.narrow(2, columns.start, columns.end - columns.start);
        let mut distance = self.z.narrow(1, rows.start, rows.end - rows.start) - part(&self.mean);
        let _ = distance.g_mul_(&part(&self.scale));
        let energy = part(&self.offset).addcmul(&distance, &distance);
        (distance, energy)
    }

    /// `log₂ w_ij` of a block, `[rows, columns]`; nothing where it is one number.
    fn log_weights(&self, rows: &Range<i64>, columns: &Range<i64>) -> Option<Tensor> {
        match &self.weights {
            Weights::Constant(_) => None,
            Weights::Whole(weights) => Some(weights.shallow_clone()),
            Weights::ByBlock(estimator, own, dataset_len) => {
                let own = own.narrow(0, rows.start, rows.end - rows.start);
                let sizes = (self.mean.size()[2], *dataset_len);
                Some(estimator.log_weights_of(&own, columns.clone(), sizes, self.mean.kind()) * LOG2_E)
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

/// Log-densities in bits, less the constant, and their cotangents, where they took part in the loss.
struct Pulled {
    groups: Option<(Tensor, Tensor)>,
    marginals: Option<(Tensor, Tensor)>,
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

/// `ln Σ_j w_ij 2^(−e_ij)` along the last dimension, in the memory of `energy`.
fn log_sum_exp_of_minus(mut energy: Tensor, log_weights: Option<&Tensor>) -> Tensor {
    if let Some(weights) = log_weights {
        let _ = energy.g_sub_(weights);
    }
    // An energy beyond the largest number is infinite, and ∞ − ∞ has no value: the smallest is kept finite.
    let smallest = energy.amin([-1], true).clamp_max(1e30);
    let mut shifted = energy.neg_().g_add_(&smallest);
    let sum = shifted.clamp_min_(SMALLEST_EXPONENT).exp2_().sum_dim_intlist(-1, false, None);
    sum.log() - smallest.squeeze_dim(-1) * LN_2
}

/// `w_ij 2^(−e_ij)/q_i`, in the memory of `energy`; `log_density` is log₂ q, broadcast along j.
fn responsibility(mut energy: Tensor, log_weights: Option<&Tensor>, log_density: &Tensor) -> Tensor {
    if let Some(weights) = log_weights {
        let _ = energy.g_sub_(weights);
    }
    energy.neg_().g_sub_(log_density).clamp_min_(SMALLEST_EXPONENT).exp2_()
}
