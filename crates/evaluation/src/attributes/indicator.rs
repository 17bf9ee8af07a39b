//! How often an edit gives a picture the attribute, by the word of a classifier that knows nothing of the model.

use super::direction;
use crate::classifier::Classifier;
use crate::exact::{Estimate, Progress};
use anyhow::Result;
use elbo_core::Vae;
use elbo_native::Generator;
use serde::Serialize;
use tch::{Kind, Tensor};

/// Codes that are edited, and who makes and judges the pictures.
#[derive(Debug, Clone, Copy)]
pub struct Edits<'a> {
    /// Decodes.
    pub vae: &'a Vae,
    /// Judges.
    pub classifier: &'a Classifier,
    /// The class that stands for the attribute.
    pub class: i64,
    /// Codes of pictures without the attribute, `[n, D]`.
    pub codes: &'a Tensor,
    /// Pictures at once.
    pub batch: i64,
}

/// Shares of the pictures that are said to have the attribute, by strength of the edit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Indicator {
    /// Length of the attribute vector: every comparison goes as far.
    pub length: f64,
    /// Strengths s of the edit.
    pub strengths: Vec<f64>,
    /// Along the attribute vector, for each strength.
    pub attribute: Vec<Estimate>,
    /// Along directions that are uniform on the sphere: for each strength, one share for each direction.
    pub random: Vec<Vec<f64>>,
    /// Along directions from one picture without the attribute to another, likewise.
    pub between: Vec<Vec<f64>>,
}

/// Mean and standard deviation of the shares of several directions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation between directions; NaN of one.
    pub standard_deviation: f64,
}

impl Edits<'_> {
    /// E[x|z + `shift`] of codes (`[n, D]`): `[n, C, H, W]`, values in `[0, 1]` as the classifier knows them.
    pub fn pictures(&self, codes: &Tensor, shift: &Tensor) -> Tensor {
        tch::no_grad(|| self.vae.decode_mean(&(codes + shift)).clamp(0.0, 1.0))
    }

    /// The share that is said to have the attribute after an edit by `shift` (`[D]`); zeros: of the reconstructions.
    pub fn share(&self, shift: &Tensor) -> Estimate {
        let count = self.codes.size()[0];
        assert!(count >= 1, "a share needs at least one picture");
        let mut assigned = Tensor::zeros([], (Kind::Int64, self.codes.device()));
        for start in (0..count).step_by(self.batch as usize) {
            let codes = self.codes.narrow(0, start, self.batch.min(count - start));
            assigned += self.classifier.predict(&self.pictures(&codes, shift)).eq(self.class).sum(Kind::Int64);
        }
        let value = assigned.int64_value(&[]) as f64 / count as f64;
        Estimate { value, standard_error: (value * (1.0 - value) / count as f64).sqrt() }
    }

    /// The shares along `vector` (`[D]`) and along `directions` others of its length of either kind, at every strength.
    ///
    /// # Errors
    /// `progress`'s own.
    pub fn indicator(
        &self,
        vector: &Tensor,
        strengths: &[f64],
        directions: i64,
        noise: &Generator,
        progress: &mut Progress<'_>,
    ) -> Result<Indicator> {
        let length = vector.square().sum(None).sqrt().double_value(&[]);
        let random = direction::random(directions, self.vae.latent(), length, noise);
        let between = direction::between(self.codes, directions, length, noise);
        let total = strengths.iter().filter(|strength| **strength != 0.0).count() * (1 + 2 * directions as usize) + 1;
        let mut done = 0;
        let unedited = self.share(&vector.zeros_like());
        let mut share = |direction: &Tensor, strength: f64| -> Result<Estimate> {
            if strength == 0.0 {
                return Ok(unedited);
            }
            done += 1;
            progress(done, total)?;
            Ok(self.share(&(direction * strength)))
        };
        let mut along = |directions: &Tensor| -> Result<Vec<Vec<f64>>> {
            let one = |strength: &f64| {
                (0..directions.size()[0]).map(|k| Ok(share(&directions.get(k), *strength)?.value)).collect()
            };
            strengths.iter().map(one).collect()
        };
        let (random, between) = (along(&random)?, along(&between)?);
        let attribute = strengths.iter().map(|&strength| share(vector, strength)).collect::<Result<_>>()?;
        Ok(Indicator { length, strengths: strengths.to_vec(), attribute, random, between })
    }
}

impl Spread {
    /// Of some shares, at least one.
    pub fn of(shares: &[f64]) -> Self {
        let count = shares.len() as f64;
        let mean = shares.iter().sum::<f64>() / count;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { mean, standard_deviation: variance.sqrt() }
    }
}
