//! What each dimension of a code tells about each factor, as pictures and as labels.

use super::{Canvas, heat_map, latent_against_factor};
use crate::scores::Table;
use crate::scores::information::Binned;
use crate::scores::moments::{ACTIVE, variance};

/// Points that information is estimated from, as in the scores.
const POINTS: usize = 10_000;
/// Dimensions that the plots show at most.
const SHOWN: usize = 10;
/// Least share of a factor's entropy for which a dimension is called by the factor's name.
const MATCHED: f64 = 0.05;

/// Mutual information between the dimensions of a code and the factors, from histograms.
#[derive(Debug)]
pub struct Representation {
    table: Table,
    /// Nats, `[D][K]`.
    information: Vec<Vec<f64>>,
    /// Entropies of the factors, `[K]`.
    entropies: Vec<f64>,
    /// Dimensions, the most important first.
    order: Vec<usize>,
    /// Those of them that are shown, in the same order: the ones in use, or all where none is.
    active: Vec<usize>,
    /// How many are in use.
    in_use: usize,
}

impl Representation {
    /// Of all rows of `table`, or of 10 000 drawn by `seed`; dimensions in the order of `kl_per_dimension` (nats, `[D]`), else of the
    /// information they have.
    ///
    /// A histogram does not see scale: it finds information in the means of a collapsed dimension, tiny as they are, that no sample of it
    /// carries. So pictures and labels leave out dimensions that are not in use ([`ACTIVE`]), unless none is.
    pub fn new(table: &Table, kl_per_dimension: Option<&[f64]>, seed: u64) -> Self {
        let table = table.sample(POINTS, seed);
        let binned = Binned::new(&table);
        let (information, entropies) = (binned.mutual_information(), binned.factor_entropies());
        let importance = |d: usize| kl_per_dimension.map_or_else(|| information[d].iter().sum(), |kl| kl[d]);
        let mut order: Vec<usize> = (0..table.dimensions()).collect();
        order.sort_by(|&a, &b| importance(b).total_cmp(&importance(a)));
        let rows: Vec<usize> = (0..table.rows()).collect();
        let varies = |d: &usize| variance(&table.dimension(*d), &rows) > ACTIVE;
        let mut active: Vec<usize> = order.iter().copied().filter(varies).collect();
        let in_use = active.len();
        if active.is_empty() {
            active.clone_from(&order);
        }
        Self { table, information, entropies, order, active, in_use }
    }

    /// Dimensions, the most important first.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// For each dimension the factor that it has the largest share of, with the share: `position_x 0.63`; empty where it has none, or is not in use.
    pub fn labels(&self) -> Vec<String> {
        (0..self.table.dimensions())
            .map(|d| {
                if !self.active.contains(&d) {
                    return String::new();
                }
                let shares = self.shares(d).into_iter().enumerate();
                let best = shares.max_by(|(_, one), (_, other)| one.total_cmp(other));
                best.filter(|(_, share)| *share >= MATCHED)
                    .map_or_else(String::new, |(k, share)| format!("{} {share:.2}", self.table.names()[k]))
            })
            .collect()
    }

    /// Codes against the levels of every factor.
    pub fn latent_against_factor(&self) -> Canvas {
        let shown = &self.active[..self.active.len().min(SHOWN)];
        latent_against_factor(&self.table, shown, Some(&self.information))
    }

    /// Information as shares of the factors' entropies.
    pub fn mutual_information(&self) -> Canvas {
        let rows: Vec<String> = self.active.iter().map(|d| format!("z{d}")).collect();
        let values: Vec<Vec<f64>> = self.active.iter().map(|&d| self.shares(d)).collect();
        let (in_use, all) = (self.in_use, self.order.len());
        let title = format!("Mutual information of codes and factors: {in_use} of {all} dimensions in use");
        heat_map(&title, &rows, self.table.names(), &values, "share of the factor's entropy")
    }

    /// Share of each factor's entropy that a dimension tells, `[K]`.
    fn shares(&self, dimension: usize) -> Vec<f64> {
        let share = |(information, entropy): (&f64, &f64)| if *entropy > 0.0 { information / entropy } else { 0.0 };
        self.information[dimension].iter().zip(&self.entropies).map(share).collect()
    }
}
