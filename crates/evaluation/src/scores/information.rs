//! Scores from a histogram's mutual information between every code dimension and every factor.
//!
//! ```text
//! I[d][k] = I(bin(z_d); v_k), nats, plug-in                                             docs/mathematics.md §11
//!
//! MIG-histogram = mean_k (I[d*][k] − max_{d ≠ d*} I[d][k]) / H(v_k),   d* = argmax_d I[d][k]       Locatello et al. 2019, App. C
//! modularity    = mean_d 1 − Σ_{k ≠ k*} I[d][k]² / (I[d][k*]² (K − 1)),   k* = argmax_k I[d][k]    Ridgeway & Mozer 2018, Eq. 2
//! ```
//!
//! Protocol: mean codes of 10 000 images, 20 bins of equal width between the smallest and the largest code of each dimension. A plug-in
//! estimate of information is biased upwards, by about (bins − 1)(levels − 1)/2n nats (Miller 1955): 0.04 nats for a factor of 40 levels
//! and 10 000 images, more for fewer, which is why n belongs to the protocol.

use super::{Score, Table, bootstrap, top_two};

/// Bins of a code dimension.
pub const BINS: usize = 20;

/// The bin of every value, from 0: `bins` of equal width from the smallest to the largest, each with its left edge, the last with both.
///
/// Values that are all equal share a bin.
pub fn discretise(values: &[f64], bins: usize) -> Vec<usize> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low) / bins as f64;
    // Against the edges themselves: a quotient would round values on an edge either way.
    let edges: Vec<f64> = (1..bins).map(|edge| edge as f64 * width + low).collect();
    let bin = |value: &f64| if width > 0.0 { edges.partition_point(|edge| edge <= value) } else { 0 };
    values.iter().map(bin).collect()
}

/// Entropy of whole numbers below `size`, plug-in, in nats.
pub fn entropy(values: &[usize], size: usize) -> f64 {
    let mut counts = vec![0_u32; size];
    for &value in values {
        counts[value] += 1;
    }
    entropy_of(&counts, values.len())
}

/// Codes in bins, with the factors they are counted against.
#[derive(Debug)]
pub struct Binned<'a> {
    table: &'a Table,
    /// `[D][n]`.
    bins: Vec<Vec<usize>>,
    /// `[K][n]`.
    factors: Vec<Vec<usize>>,
}

impl<'a> Binned<'a> {
    /// Every dimension in [`BINS`] bins.
    pub fn new(table: &'a Table) -> Self {
        Self {
            bins: (0..table.dimensions()).map(|d| discretise(&table.dimension(d), BINS)).collect(),
            factors: (0..table.factors()).map(|k| table.factor(k)).collect(),
            table,
        }
    }

    /// Mutual information of every dimension with every factor over all rows, `[D][K]`, in nats.
    pub fn mutual_information(&self) -> Vec<Vec<f64>> {
        self.over(None).0
    }

    /// Entropies of the factors, `[K]`, in nats.
    pub fn factor_entropies(&self) -> Vec<f64> {
        self.over(None).1
    }

    /// Mutual information `[D][K]` and entropies of the factors `[K]` over some rows (all for `None`), in nats.
    fn over(&self, rows: Option<&[usize]>) -> (Vec<Vec<f64>>, Vec<f64>) {
        let count = rows.map_or(self.table.rows(), <[usize]>::len);
        let row = |place: usize| rows.map_or(place, |rows| rows[place]);
        let histogram = |values: &[usize], size: usize| {
            let mut counts = vec![0_u32; size];
            (0..count).for_each(|place| counts[values[row(place)]] += 1);
            entropy_of(&counts, count)
        };
        let pair = |bins: &[usize], factor: usize| {
            let (levels, size) = (&self.factors[factor], self.table.sizes()[factor]);
            let mut counts = vec![0_u32; BINS * size];
            (0..count).for_each(|place| counts[bins[row(place)] * size + levels[row(place)]] += 1);
            entropy_of(&counts, count)
        };
        let entropies: Vec<f64> = (0..self.factors.len())
            .map(|factor| histogram(&self.factors[factor], self.table.sizes()[factor]))
            .collect();
        let information = |bins: &Vec<usize>| {
            let own = histogram(bins, BINS);
            // Not below zero but by rounding.
            entropies.iter().enumerate().map(|(k, entropy)| (own + entropy - pair(bins, k)).max(0.0)).collect()
        };
        (self.bins.iter().map(information).collect(), entropies)
    }
}

/// The gap between the two dimensions that know most of a factor, as a share of the factor's entropy, averaged over factors.
///
/// 1 where each factor is told by one dimension alone; 0 where every factor has two that tell the same. Factors of one level are left out.
/// Others divide by ln(levels) instead, and leave factors out; see [`super::mig_chen()`].
pub fn mig_histogram(table: &Table, resamples: usize, seed: u64) -> Score {
    let binned = Binned::new(table);
    let gap = |(information, entropies): (Vec<Vec<f64>>, Vec<f64>)| gap(&information, &entropies);
    let value = gap(binned.over(None));
    Score::with_resamples(value, &bootstrap(table.rows(), resamples, seed, |rows| gap(binned.over(Some(rows)))))
}

/// How far each dimension is from telling more than one factor, averaged over dimensions.
///
/// A dimension that tells nothing counts 0, as in the published evaluations: collapsed dimensions lower it. With a single factor, every
/// dimension that tells something counts 1.
pub fn modularity(table: &Table, resamples: usize, seed: u64) -> Score {
    let binned = Binned::new(table);
    let mean = |information: &[Vec<f64>]| {
        let scores = modularity_per_code(information);
        scores.iter().sum::<f64>() / scores.len() as f64
    };
    let value = mean(&binned.over(None).0);
    Score::with_resamples(value, &bootstrap(table.rows(), resamples, seed, |rows| mean(&binned.over(Some(rows)).0)))
}

/// The mean gap of `information` `[D][K]` over factors, each by its normaliser; factors whose normaliser is 0 are left out.
pub fn gap(information: &[Vec<f64>], normalisers: &[f64]) -> f64 {
    let gaps: Vec<f64> = normalisers
        .iter()
        .enumerate()
        .filter(|(_, normaliser)| **normaliser > 0.0)
        .map(|(k, normaliser)| {
            let (first, second) = top_two(information.iter().map(|row| row[k]));
            (first - second) / normaliser
        })
        .collect();
    if gaps.is_empty() { 0.0 } else { gaps.iter().sum::<f64>() / gaps.len() as f64 }
}

/// Modularity of each dimension from `information` `[D][K]`.
pub fn modularity_per_code(information: &[Vec<f64>]) -> Vec<f64> {
    let score = |row: &Vec<f64>| {
        let squares = row.iter().map(|value| value * value);
        let largest = squares.clone().fold(0.0, f64::max);
        // Smaller information than this is rounding, and says nothing about a factor.
        if largest.sqrt() < 1e-12 {
            return 0.0;
        }
        let others = (row.len() - 1).max(1) as f64;
        1.0 - (squares.sum::<f64>() - largest) / (largest * others)
    };
    information.iter().map(score).collect()
}

fn entropy_of(counts: &[u32], total: usize) -> f64 {
    let total = total as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|&count| {
            let share = f64::from(count) / total;
            -share * share.ln()
        })
        .sum()
}
