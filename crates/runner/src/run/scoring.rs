//! Disentanglement scores between steps, over the evaluation's examples.

use super::{Note, Run};
use crate::method::Method;
use crate::seed::{Stream, generator};
use anyhow::Result;
use elbo_evaluation::encode;
use elbo_evaluation::pictures::Representation;
use elbo_evaluation::scores::suite::{Encoded, Protocol, Subject};
use elbo_evaluation::scores::{ScoreName, Table};
use elbo_evaluation::statistics;
use std::time::Instant;

impl<M: Method> Run<M> {
    /// The scores that the configuration names, and pictures of what each dimension tells.
    pub(super) fn score(&mut self) -> Result<()> {
        let (step, started) = (self.step(), Instant::now());
        let Some(factors) = self.data.train.factors.as_ref().and_then(|factors| factors.varying(&self.subset)) else {
            let text =
                format!("step {step}: no scores, because no factor varies among the examples of train.evaluate_subset");
            self.notes.push(Note::Warning(text));
            return Ok(());
        };
        let noise = generator(self.device, self.config.seed, Stream::Scores(step))?;
        let batch = encode::batch_size(self.device);
        let codes = encode::encode(self.algorithm().vae(), &self.data.train.images, Some(&self.subset), batch, &noise);
        let table = Table::new(codes.representatives(), &factors);
        let samples = codes.draw(i64::try_from(self.config.train.evaluate_samples)?, &noise);
        let encoded = codes.gaussian().zip(samples.as_ref()).map(|(encodings, samples)| Encoded {
            encodings,
            factors: &factors,
            samples,
            marginals: None,
        });
        let subject = Subject { table: &table, means: codes.moments().map(|_| &table), encoded };
        // A curve shows its own spread from point to point.
        let protocol = Protocol { resamples: 0, refits: 0, seed: self.config.seed, ..Protocol::default() };
        let whole = codes.len() == self.data.train.len();
        let mut scalars = Vec::new();
        for &name in &self.config.train.scores {
            if let Some(outcome) = name.compute(&subject, &protocol, &mut |_, _| Ok(()))? {
                // Its densities are over the whole data set, or the tag says over how much of it.
                let subset = if name == ScoreName::MigChen && !whole {
                    format!("/subset_{}", codes.len())
                } else {
                    String::new()
                };
                scalars.extend(
                    outcome.entries(name).into_iter().map(|(tag, score)| (format!("score/{tag}{subset}"), score.value)),
                );
            }
        }
        self.curves.scalars(step, &scalars)?;
        let kl = statistics::kl_per_dimension(&codes);
        let representation = Representation::new(&table, kl.as_deref(), self.config.seed);
        self.curves.picture("latent_against_factor", step, &representation.latent_against_factor().png())?;
        self.curves.picture("mutual_information", step, &representation.mutual_information().png())?;
        let words: Vec<String> =
            scalars.iter().map(|(tag, value)| format!("{} {value:.3}", tag.trim_start_matches("score/"))).collect();
        let seconds = started.elapsed().as_secs_f64();
        self.notes.push(Note::Information(format!("step {step}: {} ({seconds:.0} s)", words.join(", "))));
        Ok(())
    }
}
