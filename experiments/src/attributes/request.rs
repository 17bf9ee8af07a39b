//! What is asked of `attributes`, as typed and as resolved.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use super::Settings;
use crate::codes::refuse;
use anyhow::Result;
use elbo_data::Dataset;
use elbo_evaluation::attributes::Attribute;
use elbo_evaluation::attributes::attribute::{listing, usual};
use elbo_evaluation::{classifier, encode};
use elbo_runner::TrainedRun;

/// Attributes looked at where none is asked for.
const USUAL: usize = 8;

/// Which attributes, which edits, how many pictures.
#[derive(Debug, Clone, clap::Args)]
pub struct AttributeArguments {
    /// Attributes, separated by commas: a column of the data's table (sunglasses), levels of a factor (shape=heart,
    /// position_x=16..32), a label (label=7) [default: up to eight]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    attributes: Vec<String>,
    /// Strengths s of the edit z + s v, separated by commas
    #[arg(
        long,
        value_name = "S,...",
        value_delimiter = ',',
        default_value = "0,0.5,1,1.5,2",
        allow_negative_numbers = true
    )]
    strengths: Vec<f64>,
    /// Strength of the edit that the indicator is about
    #[arg(long, value_name = "S", default_value_t = 1.0, allow_negative_numbers = true)]
    strength: f64,
    /// Pictures at most that make the vector and train the classifier, half of them with the attribute
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(i64).range(8..))]
    images: i64,
    /// Held-out pictures at most that are edited; as many with the attribute measure the classifier
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(2..))]
    edited: i64,
    /// Directions of either kind that the vector is compared with
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i64).range(1..))]
    directions: i64,
    /// Steps at most that train a classifier
    #[arg(long, value_name = "STEPS", default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    classifier_steps: u64,
    /// Rows of the sheet of edited pictures
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i64).range(1..=100))]
    examples: i64,
    /// Pictures at once [default: 64, on CUDA 2048]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(i64).range(1..))]
    batch_size: Option<i64>,
    /// Seed of all that is drawn
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
}

impl AttributeArguments {
    /// Names of the attributes, each of which the training data know, and the settings.
    ///
    /// # Errors
    /// One line for a strength that is none, or an attribute that is none or asked for twice.
    pub fn resolve(&self, run: &TrainedRun) -> Result<(Vec<String>, Settings)> {
        if let Some(strength) = self.strengths.iter().find(|strength| !strength.is_finite()) {
            return refuse("--strengths", format!("expected finite numbers, got {strength}"));
        }
        if !self.strength.is_finite() || self.strength == 0.0 {
            return refuse("--strength", format!("expected a finite number that is not 0, got {}", self.strength));
        }
        // The reconstruction is what every edit is compared with.
        // Plus 0, because −0 is the reconstruction too.
        let all = self.strengths.iter().chain([&0.0, &self.strength]);
        let mut strengths: Vec<f64> = all.map(|strength| strength + 0.0).collect();
        strengths.sort_by(f64::total_cmp);
        strengths.dedup();
        let shape = run.data.train.images.shape();
        if shape.height.min(shape.width) < classifier::SMALLEST {
            let smallest = classifier::SMALLEST;
            return refuse("RUN", format!("expected pictures of at least {smallest} × {smallest} pixels, got {shape}"));
        }
        let names = self.names(&run.data.train)?;
        let settings = Settings {
            strengths,
            strength: self.strength,
            images: self.images,
            edited: self.edited,
            directions: self.directions,
            examples: self.examples,
            batch: self.batch_size.unwrap_or(encode::batch_size(run.device)),
            seed: self.seed,
            classifier: classifier::Settings { steps: self.classifier_steps, ..classifier::Settings::default() },
        };
        Ok((names, settings))
    }

    fn names(&self, data: &Dataset) -> Result<Vec<String>> {
        if listing(data).is_empty() {
            return refuse("RUN", format!("expected data with attributes, factors or labels, got {}", data.name));
        }
        if self.attributes.is_empty() {
            return Ok(usual(data, USUAL));
        }
        for (place, name) in self.attributes.iter().enumerate() {
            if self.attributes[..place].contains(name) {
                return refuse("--attributes", format!("expected each attribute once, got {name} twice"));
            }
            if let Err(problem) = Attribute::named(data, name) {
                return refuse("--attributes", problem);
            }
        }
        Ok(self.attributes.clone())
    }
}
