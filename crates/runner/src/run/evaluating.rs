//! What is measured and drawn between steps, from generators of their own: training does not notice.

use super::{Note, Run, tag};
use crate::gallery::Gallery;
use crate::method::Method;
use crate::seed::{Stream, generator};
use anyhow::Result;
use elbo_core::BatchContext;
use elbo_data::Images;
use elbo_evaluation::encode::{self, Codes};
use elbo_evaluation::exact::{self, Decomposition, Estimate, MemoryBudget};
use elbo_evaluation::statistics;
use elbo_evaluation::traversal::Options;
use elbo_native::Generator;
use tch::{Kind, Tensor};

impl<M: Method> Run<M> {
    /// The terms over held-out data, the exact decomposition of the KL, and histograms of the posterior.
    pub(super) fn evaluate(&mut self) -> Result<()> {
        let step = self.step();
        let noise = generator(self.device, self.config.seed, Stream::Evaluation(step))?;
        let mut scalars = self.averages(&noise)?;
        let batch = self.config.data.batch_size;
        let codes = encode::encode(self.algorithm().vae(), &self.data.train.images, Some(&self.subset), batch, &noise);
        scalars.extend(self.exact_terms(&codes, &noise)?);
        self.curves.scalars(step, &scalars)?;
        if let Some(values) = statistics::posterior_values(&codes) {
            for (dimension, (means, scales)) in values.means.iter().zip(&values.scales).enumerate() {
                self.curves.histogram(&format!("posterior_mean/{dimension}"), step, means)?;
                self.curves.histogram(&format!("posterior_scale/{dimension}"), step, scales)?;
            }
        }
        Ok(())
    }

    /// The training terms over the test split, or over the evaluation's examples where there is none.
    fn averages(&self, noise: &Generator) -> Result<Vec<(String, f64)>> {
        let (images, rows): (&Images, Option<&Tensor>) = match &self.data.test {
            Some(test) => (&test.images, None),
            None => (&self.data.train.images, Some(&self.subset)),
        };
        let step = Tensor::full([], i64::try_from(self.step())?, (Kind::Int64, self.device));
        let context = BatchContext { step: &step, dataset_len: images.len(), noise };
        let batch = self.config.data.batch_size;
        let means = encode::evaluate(self.algorithm(), images, rows, batch, &context)?;
        // An estimate from batches is no evaluation, nor is a loss that may be made of them; a schedule has its curve already.
        let leave = |name: &str| name == "loss" || name.starts_with("estimate/") || name.starts_with("schedule/");
        let kept = means.entries().iter().filter(|(name, _)| !leave(name));
        let mut scalars = Vec::new();
        for (name, value) in kept {
            let values = Vec::<f64>::try_from(value.reshape([-1]))?;
            match value.dim() {
                0 => scalars.push((tag("evaluate", name), values[0])),
                _ => {
                    scalars
                        .extend(values.iter().enumerate().map(|(d, &value)| (format!("evaluate/{name}/{d}"), value)));
                }
            }
        }
        Ok(scalars)
    }

    /// Mutual information, total correlation and dimension-wise KL under q(z) over all examples, or over the fixed subset that the tag
    /// then names; nothing where q(z|x) has no density.
    fn exact_terms(&mut self, codes: &Codes, noise: &Generator) -> Result<Vec<(String, f64)>> {
        let samples = i64::try_from(self.config.train.evaluate_samples)?;
        let (Some(gaussian), Some(samples)) = (codes.gaussian(), codes.draw(samples, noise)) else {
            return Ok(Vec::new());
        };
        let Decomposition { mutual_information, total_correlation, dimension_wise_kl, .. } =
            exact::decompose(gaussian, &samples, MemoryBudget::of(self.device));
        let terms = [
            ("mutual_information", mutual_information),
            ("total_correlation", total_correlation),
            ("dimension_wise_kl", dimension_wise_kl),
        ];
        let whole = codes.len() == self.data.train.len();
        let subset = if whole { String::new() } else { format!("/subset_{}", codes.len()) };
        let values = terms.iter().map(|(name, term)| (format!("evaluate/{name}{subset}"), term.value));
        let errors = terms.iter().map(|(name, term)| (format!("evaluate/standard_error/{name}"), term.standard_error));
        self.notes.push(Note::Information(describe(self.step(), &terms)));
        Ok(values.chain(errors).collect())
    }

    /// Reconstructions, prior samples and traversals.
    pub(super) fn draw(&mut self) -> Result<()> {
        let step = self.step();
        let noise = generator(self.device, self.config.seed, Stream::Pictures(step))?;
        let gallery = Gallery::new(self.algorithm().vae(), &self.data.train.images, &self.subset, None, &noise)?;
        let pictures = [
            ("reconstructions", gallery.reconstructions()),
            ("prior_samples", gallery.prior_samples()),
            ("traversals", gallery.traversals(&Options::default())),
        ];
        for (name, picture) in pictures {
            self.curves.picture(name, step, &picture.png())?;
        }
        Ok(())
    }
}

/// `step 500: mutual information 7.50 ± 0.03, total correlation …, nats (exact)`.
fn describe(step: u64, terms: &[(&str, Estimate)]) -> String {
    let word = |(name, term): &(&str, Estimate)| {
        let name = name.replace("dimension_wise_kl", "dimension-wise KL").replace('_', " ");
        format!("{name} {:.2} ± {:.2}", term.value, term.standard_error)
    };
    let words: Vec<String> = terms.iter().map(word).collect();
    format!("step {step}: {} nats (exact)", words.join(", "))
}
