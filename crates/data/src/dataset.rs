//! Images with what is known about them.

use std::collections::BTreeSet;

use elbo_native::Generator;
use tch::{Device, Tensor};

use crate::error::DataError;
use crate::images::Images;

/// Which part of the data a [`Dataset`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// What training reads.
    Train,
    /// What it never sees.
    Test,
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// Generative factors of each image. Factors with one level are left out: they say nothing.
#[derive(Debug)]
pub struct Factors {
    /// Names, `K` of them.
    pub names: Vec<String>,
    /// Levels of each factor that occur, at least 2.
    pub sizes: Vec<i64>,
    /// Int64 `[N, K]` on the CPU: levels from 0 to size − 1, in the order of the values they stand for.
    pub classes: Tensor,
    /// Float64 `[N, K]` on the CPU: what the levels mean (a size, an angle in radians, a position in [0, 1]); the level's own
    /// number in the file where nothing else is known.
    pub values: Tensor,
    full_grid: bool,
}

impl Factors {
    /// From one row of `names.len()` level numbers for each image, row by row. Levels that do not occur are closed up, so
    /// that each factor counts from 0; factors with one level are dropped. `values`, of the same size, else the levels as given.
    ///
    /// # Errors
    /// [`DataError::Tensor`] if the lengths do not fit.
    pub fn new(names: &[String], levels: &[i64], values: Option<&[f64]>) -> Result<Option<Self>, DataError> {
        let width = names.len();
        if width == 0
            || levels.is_empty()
            || !levels.len().is_multiple_of(width)
            || values.is_some_and(|v| v.len() != levels.len())
        {
            let got = (width, levels.len(), values.map(<[f64]>::len));
            return Err(DataError::Tensor(format!("expected K names, N·K levels and as many values, got {got:?}")));
        }
        let columns: Vec<(usize, Vec<i64>)> = (0..width)
            .map(|k| (k, levels.iter().skip(k).step_by(width).copied().collect::<BTreeSet<_>>().into_iter().collect()))
            .filter(|(_, occurring): &(usize, Vec<i64>)| occurring.len() > 1)
            .collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let count = levels.len() / width;
        let mut classes = Vec::with_capacity(count * columns.len());
        let mut kept_values = Vec::with_capacity(count * columns.len());
        for row in 0..count {
            for (k, occurring) in &columns {
                let level = levels[row * width + k];
                classes.push(occurring.partition_point(|&other| other < level) as i64);
                kept_values.push(values.map_or(level as f64, |values| values[row * width + k]));
            }
        }
        let sizes: Vec<i64> = columns.iter().map(|(_, occurring)| occurring.len() as i64).collect();
        let size = [count as i64, columns.len() as i64];
        Ok(Some(Self {
            names: columns.iter().map(|&(k, _)| names[k].clone()).collect(),
            full_grid: is_grid(&classes, &sizes),
            sizes,
            classes: Tensor::from_slice(&classes).view(size),
            values: Tensor::from_slice(&kept_values).view(size),
        }))
    }

    /// Whether every combination of levels occurs once, in order, the last factor fastest.
    pub fn is_full_grid(&self) -> bool {
        self.full_grid
    }

    /// The image with these levels, one for each factor; `None` unless this [is a full grid](Self::is_full_grid).
    pub fn index_of(&self, classes: &[i64]) -> Option<i64> {
        assert_eq!(classes.len(), self.sizes.len(), "one level for each factor");
        let inside = classes.iter().zip(&self.sizes).all(|(class, size)| (0..*size).contains(class));
        (self.full_grid && inside)
            .then(|| classes.iter().zip(&self.sizes).fold(0, |index, (class, size)| index * size + class))
    }

    /// What varies among some of the images, in the order of `rows` (Int64 `[M]`): levels that do not occur are closed up, factors with one
    /// level left out; `None` where nothing varies.
    pub fn varying(&self, rows: &Tensor) -> Option<Self> {
        let part = self.select(rows);
        let levels = Vec::<i64>::try_from(&part.classes.reshape(-1)).expect("classes are Int64");
        let values = Vec::<f64>::try_from(&part.values.reshape(-1)).expect("values are float64");
        Self::new(&part.names, &levels, Some(&values)).expect("as many levels as values")
    }

    /// Those of some of the images, in the order of `rows` (Int64 `[M]`). Names and sizes stay.
    pub fn select(&self, rows: &Tensor) -> Self {
        let rows = rows.to_device(Device::Cpu);
        Self {
            names: self.names.clone(),
            sizes: self.sizes.clone(),
            classes: self.classes.index_select(0, &rows),
            values: self.values.index_select(0, &rows),
            full_grid: false,
        }
    }
}

/// Whether the rows count through all combinations, the last factor fastest.
fn is_grid(classes: &[i64], sizes: &[i64]) -> bool {
    let rows = classes.len() / sizes.len();
    let combinations = sizes.iter().try_fold(1_i64, |product, &size| product.checked_mul(size));
    let in_order = |(row, levels): (usize, &[i64])| {
        levels.iter().zip(sizes).fold(0, |index, (level, size)| index * size + level) == row as i64
    };
    combinations == Some(rows as i64) && classes.chunks_exact(sizes.len()).enumerate().all(in_order)
}

/// Yes-or-no properties of each image, such as "wears sunglasses".
#[derive(Debug)]
pub struct Attributes {
    /// Names, `K` of them.
    pub names: Vec<String>,
    /// uint8 `[N, K]` on the CPU, 0 or 1.
    pub values: Tensor,
}

impl Attributes {
    /// Those of some of the images, in the order of `rows` (Int64 `[M]`).
    pub fn select(&self, rows: &Tensor) -> Self {
        Self { names: self.names.clone(), values: self.values.index_select(0, &rows.to_device(Device::Cpu)) }
    }
}

/// Images on a device, and what is known about each of them.
#[derive(Debug)]
pub struct Dataset {
    /// What to call the data: the source's name, or the file's.
    pub name: String,
    /// The images.
    pub images: Images,
    /// Generative factors, where they are known.
    pub factors: Option<Factors>,
    /// Yes-or-no properties, where they are known.
    pub attributes: Option<Attributes>,
    /// Int64 `[N]` on the CPU: the class of each image, where it is known.
    pub labels: Option<Tensor>,
    /// Which part this is.
    pub split: Split,
}

impl Dataset {
    /// Images, and nothing known about them.
    pub fn new(name: impl Into<String>, images: Images, split: Split) -> Self {
        Self { name: name.into(), images, factors: None, attributes: None, labels: None, split }
    }

    /// Number of images.
    pub fn len(&self) -> i64 {
        self.images.len()
    }

    /// Never: there is an image at least.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// A copy of some of the images, in the order of `rows` (Int64 `[M]`), as `split`.
    pub fn select(&self, rows: &Tensor, split: Split) -> Self {
        Self {
            name: self.name.clone(),
            images: self.images.select(rows),
            factors: self.factors.as_ref().map(|factors| factors.select(rows)),
            attributes: self.attributes.as_ref().map(|attributes| attributes.select(rows)),
            labels: self.labels.as_ref().map(|labels| labels.index_select(0, &rows.to_device(Device::Cpu))),
            split,
        }
    }

    /// The data in two: a share of `test_fraction` (rounded, at least one image) drawn by `seed`, and the rest. Both keep the order
    /// of the file; the same seed gives the same split on every device.
    ///
    /// # Errors
    /// [`DataError::Field`] `test_fraction`, if one side would be empty.
    pub fn split(self, test_fraction: f64, seed: u64) -> Result<Splits, DataError> {
        let len = self.len();
        let test_len = ((len as f64 * test_fraction).round() as i64).max(1);
        if test_len >= len {
            let message =
                format!("expected a share that leaves images to train on, got {test_fraction} of {len} images");
            return Err(DataError::field("test_fraction", message));
        }
        let shuffled = Generator::new(Device::Cpu, seed)?.permutation(len);
        let rows = |start, length| shuffled.narrow(0, start, length).sort(0, false).0;
        let test = self.select(&rows(0, test_len), Split::Test);
        let train = self.select(&rows(test_len, len - test_len), Split::Train);
        Ok(Splits { train, test: Some(test) })
    }
}

/// What a configuration loads.
#[derive(Debug)]
pub struct Splits {
    /// What training reads.
    pub train: Dataset,
    /// What it never sees, if there is such a part.
    pub test: Option<Dataset>,
}
