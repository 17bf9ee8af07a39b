//! The `FactorVAE` score (Kim & Mnih 2018, §4): can the factor that a batch shares be told from the dimension that varies least?
//!
//! ```text
//! vote: factor k uniform; 64 images with one level of v_k; d = argmin_d Var_batch(z_d) / Var_all(z_d)
//! score: share of test votes (d, k) for which k is the factor that most training votes of dimension d had      docs/mathematics.md §11
//! ```
//!
//! Protocol: mean codes; `Var_all` over 10 000 images; dimensions with a standard deviation below 0.05 are pruned, as Kim & Mnih do for
//! collapsed ones; 10 000 votes to train, 5000 to test. Chance is the share of the most frequent factor, about 1/K. Where no dimension is
//! left the score is 0: another implementation counts the mask's length instead of its true entries, and then lets a collapsed dimension,
//! whose ratio is noise, vote.

use super::{Score, Table, bootstrap, seed_of};
use rayon::prelude::*;

/// Sizes of the protocol.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Images of a vote.
    pub batch: usize,
    /// Votes to train with.
    pub train: usize,
    /// Votes to test with.
    pub test: usize,
    /// Images that the variances are normalised by.
    pub variance_points: usize,
    /// Dimensions with a smaller standard deviation are pruned.
    pub threshold: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { batch: 64, train: 10_000, test: 5_000, variance_points: 10_000, threshold: 0.05 }
    }
}

/// A batch that shares a factor, and the dimension that varied least in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// The factor.
    pub factor: usize,
    /// The dimension.
    pub dimension: usize,
}

/// The score over the images of `table`, the whole grid where there is one; the interval is over resamples of both sets of votes.
pub fn factor_vae(table: &Table, settings: &Settings, resamples: usize, seed: u64) -> Score {
    let sample = table.sample(settings.variance_points, seed_of(seed, 0));
    let variances = Variances::of(&sample, settings.threshold);
    let Some(batches) = Batches::new(table, settings.batch) else { return Score { value: 0.0, low: 0.0, high: 0.0 } };
    let votes = |count: usize, seed: u64| -> Vec<Vote> {
        let vote = |index: usize| {
            let (factor, rows) = batches.draw(&mut fastrand::Rng::with_seed(seed_of(seed, index as u64)));
            Some(Vote { factor, dimension: variances.least(table, &rows)? })
        };
        (0..count).into_par_iter().filter_map(vote).collect()
    };
    let (train, test) = (votes(settings.train, seed_of(seed, 1)), votes(settings.test, seed_of(seed, 2)));
    if train.is_empty() || test.is_empty() {
        return Score { value: 0.0, low: 0.0, high: 0.0 };
    }
    let size = (table.dimensions(), table.factors());
    let score = |train: &mut dyn Iterator<Item = Vote>, test: &mut dyn Iterator<Item = Vote>| {
        accuracy(&majority(train, size.0, size.1), test)
    };
    let value = score(&mut train.iter().copied(), &mut test.iter().copied());
    let resample = |rows: &[usize]| {
        // Test votes by the remainder of the same draw, which is as good as a draw of their own.
        let (first, second) = rows.split_at(train.len());
        score(
            &mut first.iter().map(|&row| train[row % train.len()]),
            &mut second.iter().map(|&row| test[row % test.len()]),
        )
    };
    let resamples = bootstrap(train.len() + test.len(), resamples, seed_of(seed, 3), resample);
    Score::with_resamples(value, &resamples)
}

/// The factor that most votes of each dimension had; the first of those that tie.
pub fn majority(votes: &mut dyn Iterator<Item = Vote>, dimensions: usize, factors: usize) -> Vec<usize> {
    let mut counts = vec![vec![0_usize; factors]; dimensions];
    votes.for_each(|vote| counts[vote.dimension][vote.factor] += 1);
    let most = |row: &Vec<usize>| (0..factors).rev().max_by_key(|&factor| row[factor]).unwrap_or(0);
    counts.iter().map(most).collect()
}

/// Share of the votes whose factor is the one that `classifier` has for their dimension.
pub fn accuracy(classifier: &[usize], votes: &mut dyn Iterator<Item = Vote>) -> f64 {
    let (right, all) = votes.fold((0_usize, 0_usize), |(right, all), vote| {
        (right + usize::from(classifier[vote.dimension] == vote.factor), all + 1)
    });
    right as f64 / all as f64
}

/// Variance of each dimension over all images; `None` for a pruned one.
#[derive(Debug, Clone, PartialEq)]
pub struct Variances(Vec<Option<f64>>);

impl Variances {
    /// Of all rows of `table`, unbiased; dimensions with a standard deviation below `threshold` are pruned.
    pub fn of(table: &Table, threshold: f64) -> Self {
        let rows: Vec<usize> = (0..table.rows()).collect();
        let kept = |d: usize| Some(variance(table, &rows, d)).filter(|variance| variance.sqrt() >= threshold);
        Self((0..table.dimensions()).map(kept).collect())
    }

    /// The dimension whose variance over `rows`, as a share of that over all, is least; `None` where all are pruned.
    pub fn least(&self, table: &Table, rows: &[usize]) -> Option<usize> {
        let ratio = |(d, whole): (usize, &Option<f64>)| whole.map(|whole| (d, variance(table, rows, d) / whole));
        let ratios = self.0.iter().enumerate().filter_map(ratio);
        ratios.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(d, _)| d)
    }
}

fn variance(table: &Table, rows: &[usize], dimension: usize) -> f64 {
    let count = rows.len() as f64;
    let mean = rows.iter().map(|&row| table.code(row)[dimension]).sum::<f64>() / count;
    rows.iter().map(|&row| (table.code(row)[dimension] - mean).powi(2)).sum::<f64>() / (count - 1.0)
}

/// Draws batches of images that share a factor.
#[derive(Debug)]
pub struct Batches<'a> {
    table: &'a Table,
    /// Factors with more than one level: the others share nothing.
    factors: Vec<usize>,
    /// Rows in the order of a factor's level, and where each level starts, by factor.
    by_level: Vec<(Vec<u32>, Vec<usize>)>,
    size: usize,
}

impl<'a> Batches<'a> {
    /// Batches of `size` rows; `None` where no factor has two levels.
    pub fn new(table: &'a Table, size: usize) -> Option<Self> {
        assert!(size >= 2, "a variance needs at least 2 images, got {size}");
        let by_level: Vec<(Vec<u32>, Vec<usize>)> = (0..table.factors()).map(|k| sorted(table, k)).collect();
        let varies = |k: &usize| by_level[*k].1.windows(2).filter(|level| level[1] > level[0]).count() > 1;
        let factors: Vec<usize> = (0..table.factors()).filter(varies).collect();
        (!factors.is_empty()).then_some(Self { table, factors, by_level, size })
    }

    /// A factor, uniformly, and rows that share its level, which is that of a row drawn uniformly; with replacement.
    pub fn draw(&self, rng: &mut fastrand::Rng) -> (usize, Vec<usize>) {
        let factor = self.factors[rng.usize(..self.factors.len())];
        let level = self.table.levels(rng.usize(..self.table.rows()))[factor];
        let (rows, starts) = &self.by_level[factor];
        let range = starts[level]..starts[level + 1];
        (factor, (0..self.size).map(|_| rows[rng.usize(range.clone())] as usize).collect())
    }
}

/// Rows in the order of the levels of `factor`, and where each level starts, with the end behind the last.
fn sorted(table: &Table, factor: usize) -> (Vec<u32>, Vec<usize>) {
    let mut starts = vec![0; table.sizes()[factor] + 1];
    (0..table.rows()).for_each(|row| starts[table.levels(row)[factor] + 1] += 1);
    for level in 1..starts.len() {
        starts[level] += starts[level - 1];
    }
    let (mut next, mut rows) = (starts.clone(), vec![0; table.rows()]);
    for row in 0..table.rows() {
        let place = &mut next[table.levels(row)[factor]];
        rows[*place] = row as u32;
        *place += 1;
    }
    (rows, starts)
}
