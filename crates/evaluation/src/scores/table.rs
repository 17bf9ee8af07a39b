//! Codes beside the levels of their factors: what every score looks at.

use elbo_data::Factors;
use tch::{Device, Kind, Tensor};

/// Codes `[n, D]` and factor levels `[n, K]` of n images, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Codes, row by row: `n · D` of them.
    codes: Vec<f64>,
    /// Levels, row by row: `n · K` of them; those of factor k run from 0 to `sizes[k]` − 1.
    levels: Vec<usize>,
    dimensions: usize,
    sizes: Vec<usize>,
    names: Vec<String>,
}

impl Table {
    /// From codes `[n, D]` of any float kind and the factors of the same images.
    pub fn new(codes: &Tensor, factors: &Factors) -> Self {
        let (codes_size, classes) = (codes.size(), factors.classes.size());
        assert!(
            codes_size.len() == 2 && codes_size[0] == classes[0],
            "codes must be [{}, D], got {codes_size:?}",
            classes[0]
        );
        let flat = codes.detach().to_device(Device::Cpu).to_kind(Kind::Double).reshape(-1);
        let levels = Vec::<i64>::try_from(&factors.classes.reshape(-1)).expect("classes are Int64");
        Self {
            codes: Vec::try_from(&flat).expect("float64 values"),
            levels: levels.into_iter().map(|level| level as usize).collect(),
            dimensions: codes_size[1] as usize,
            sizes: factors.sizes.iter().map(|&size| size as usize).collect(),
            names: factors.names.clone(),
        }
    }

    /// From rows of codes and of levels; factors are called `factor0`, `factor1`, … and have as many levels as the largest level says.
    pub fn from_rows(codes: &[Vec<f64>], levels: &[Vec<usize>]) -> Self {
        assert!(
            !codes.is_empty() && codes.len() == levels.len(),
            "as many rows of codes as of levels, and at least one"
        );
        let (dimensions, factors) = (codes[0].len(), levels[0].len());
        assert!(codes.iter().all(|row| row.len() == dimensions), "every row of codes must have {dimensions} entries");
        assert!(levels.iter().all(|row| row.len() == factors), "every row of levels must have {factors} entries");
        let largest = |k: usize| levels.iter().map(|row| row[k]).max().unwrap_or(0);
        Self {
            codes: codes.concat(),
            levels: levels.concat(),
            dimensions,
            sizes: (0..factors).map(|k| largest(k) + 1).collect(),
            names: (0..factors).map(|k| format!("factor{k}")).collect(),
        }
    }

    /// Number of images n.
    pub fn rows(&self) -> usize {
        self.codes.len() / self.dimensions
    }

    /// Number of latent dimensions D.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Number of factors K.
    pub fn factors(&self) -> usize {
        self.sizes.len()
    }

    /// Levels of each factor, K numbers.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Names of the factors.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The code of a row, D numbers.
    pub fn code(&self, row: usize) -> &[f64] {
        &self.codes[row * self.dimensions..][..self.dimensions]
    }

    /// The levels of a row, K numbers.
    pub fn levels(&self, row: usize) -> &[usize] {
        &self.levels[row * self.factors()..][..self.factors()]
    }

    /// All codes, row by row.
    pub fn codes(&self) -> &[f64] {
        &self.codes
    }

    /// One dimension of all codes, n numbers.
    pub fn dimension(&self, dimension: usize) -> Vec<f64> {
        self.codes.iter().skip(dimension).step_by(self.dimensions).copied().collect()
    }

    /// The level of one factor in all rows, n numbers.
    pub fn factor(&self, factor: usize) -> Vec<usize> {
        self.levels.iter().skip(factor).step_by(self.factors()).copied().collect()
    }

    /// Some of the rows, in that order; a row may come several times. Sizes and names stay.
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            codes: rows.iter().flat_map(|&row| self.code(row)).copied().collect(),
            levels: rows.iter().flat_map(|&row| self.levels(row)).copied().collect(),
            dimensions: self.dimensions,
            sizes: self.sizes.clone(),
            names: self.names.clone(),
        }
    }

    /// The table without one of its factors.
    pub fn without_factor(&self, factor: usize) -> Self {
        let kept = |k: &usize| *k != factor;
        let keep: Vec<usize> = (0..self.factors()).filter(kept).collect();
        Self {
            codes: self.codes.clone(),
            levels: self.levels.chunks(self.factors()).flat_map(|row| keep.iter().map(|&k| row[k])).collect(),
            dimensions: self.dimensions,
            sizes: keep.iter().map(|&k| self.sizes[k]).collect(),
            names: keep.iter().map(|&k| self.names[k].clone()).collect(),
        }
    }

    /// Rows drawn without replacement, `train` to learn from and `test` others to judge by: all of the table, two to one, where it has
    /// not so many.
    pub fn split(&self, train: usize, test: usize, seed: u64) -> (Self, Self) {
        let mut rows: Vec<usize> = (0..self.rows()).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut rows);
        let (train, test) = if train + test <= rows.len() {
            (train, test)
        } else {
            let train = train.min(rows.len() * 2 / 3);
            (train, test.min(rows.len() - train))
        };
        (self.select(&rows[..train]), self.select(&rows[train..train + test]))
    }

    /// At most `count` rows drawn without replacement; the table as it is where it has no more.
    pub fn sample(&self, count: usize, seed: u64) -> Self {
        if count >= self.rows() {
            return self.clone();
        }
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut rows: Vec<usize> = (0..self.rows()).collect();
        rng.shuffle(&mut rows);
        self.select(&rows[..count])
    }
}
