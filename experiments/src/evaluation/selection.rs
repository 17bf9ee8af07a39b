//! Which images of a data set are evaluated.

use super::Report;
use crate::codes::refuse;
use anyhow::Result;
use elbo_data::{Dataset, Factors, Split};
use elbo_runner::{InputError, TrainedRun};
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Images of one split.
#[derive(Debug)]
pub struct Selection<'a> {
    /// The split.
    pub data: &'a Dataset,
    /// Rows of it, Int64 `[n]`, on the device of the images.
    pub rows: Tensor,
}

elbo_core::choices! {
    /// A part of the data.
    pub enum SplitName {
        /// What training reads.
        Train = "train",
        /// What it never sees.
        Test = "test",
    }
}

/// How images are chosen on a command line.
#[derive(Debug, Clone, clap::Args)]
pub struct SelectionArguments {
    /// Part of the data: train or test [default: test where the run has one, else train]
    #[arg(long, value_name = "SPLIT")]
    split: Option<SplitName>,
    /// Evaluate only the first N images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..), conflicts_with = "indices")]
    first: Option<i64>,
    /// Evaluate only the images whose numbers (from 0) stand in this text file
    #[arg(long, value_name = "FILE")]
    indices: Option<PathBuf>,
}

impl<'a> Selection<'a> {
    /// The images of `run` that the command line asks for.
    ///
    /// # Errors
    /// When there is no such split or image.
    pub fn of(run: &'a TrainedRun, arguments: &SelectionArguments) -> Result<Self> {
        let data = match (arguments.split, &run.data.test) {
            (Some(SplitName::Test) | None, Some(test)) => test,
            (Some(SplitName::Test), None) => {
                return refuse(
                    "--split",
                    "expected train: the run has no test split; its data.test_fraction makes one",
                );
            }
            (Some(SplitName::Train) | None, _) => &run.data.train,
        };
        let rows = match (&arguments.indices, arguments.first) {
            (Some(file), _) => Tensor::from_slice(&read_indices(file, data.len())?),
            (None, first) => {
                let count = first.map_or(data.len(), |first| first.min(data.len()));
                Tensor::arange(count, (Kind::Int64, Device::Cpu))
            }
        };
        Ok(Self { data, rows: rows.to_device(run.device) })
    }

    /// Number of images.
    pub fn len(&self) -> i64 {
        self.rows.size()[0]
    }

    /// Never: there is an image at least.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether these are all images of the split, in its order.
    pub fn is_whole(&self) -> bool {
        self.len() == self.data.len() && self.rows.equal(&Tensor::arange(self.len(), (Kind::Int64, self.rows.device())))
    }

    /// Says which model and images are evaluated.
    pub fn introduce(&self, run: &TrainedRun, report: &mut Report) {
        report.field("model", run.path.display().to_string());
        report.field("step", run.step);
        report.field("data", self.data.name.clone());
        report.field("split", self.data.split.to_string());
        report.field("images", self.len());
        let steps = if run.step > 0 { format!(" after {} steps", run.step) } else { String::new() };
        let all = if self.is_whole() { "all " } else { "" };
        let (name, split) = (&self.data.name, self.data.split);
        report.section(format!("{}{steps}; {name}, {split} split, {all}{} images", run.path.display(), self.len()));
    }

    /// What the names of curves end with: nothing for all training images, else which ones.
    pub fn tag(&self) -> String {
        match self.data.split {
            Split::Train if self.is_whole() => String::new(),
            Split::Train => format!("/subset_{}", self.len()),
            Split::Test => format!("/test_{}", self.len()),
        }
    }

    /// Factors of the images that vary among them, where they are known.
    pub fn factors(&self) -> Option<Factors> {
        self.data.factors.as_ref()?.varying(&self.rows)
    }
}

/// Whole numbers below `count`, separated by white space or commas.
fn read_indices(file: &Path, count: i64) -> Result<Vec<i64>> {
    let refuse = |problem: String| InputError::new(format!("{}: {problem}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    let words = text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty());
    let number = |word: &str| match word.parse::<i64>() {
        Ok(index) if (0..count).contains(&index) => Ok(index),
        _ => Err(refuse(format!("expected whole numbers from 0 to {}, got \"{word}\"", count - 1))),
    };
    let indices = words.map(number).collect::<Result<Vec<i64>, InputError>>()?;
    if indices.is_empty() {
        return Err(refuse("expected at least one number, got none".to_owned()).into());
    }
    Ok(indices)
}
