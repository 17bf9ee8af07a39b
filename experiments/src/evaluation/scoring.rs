//! Scores with progress.

use super::Selection;
use super::report::Report;
use super::request::{Latent, Scores};
use anyhow::Result;
use elbo_evaluation::encode::Codes;
use elbo_evaluation::exact::{Densities, Samples};
use elbo_evaluation::scores::suite::{Encoded, Outcome, Protocol, Subject};
use elbo_evaluation::scores::{ScoreName, Table};
use elbo_runner::watch::Watch;

/// Codes of a model, with what is known of them already.
#[derive(Debug, Clone, Copy)]
pub struct Evaluated<'a> {
    /// Of the selected images.
    pub codes: &'a Codes,
    /// Samples of q(z), where it is a mixture of Gaussians.
    pub samples: Option<&'a Samples>,
    /// Densities of the samples, where they have been computed.
    pub densities: Option<&'a Densities>,
}

impl Evaluated<'_> {
    /// Computes scores of the selected images and reports them.
    ///
    /// # Errors
    /// When a signal has come, or the factors are not known.
    pub fn score(
        &self,
        scores: &Scores,
        selection: &Selection<'_>,
        latent: Latent,
        protocol: &Protocol,
        (watch, report): (&Watch, &mut Report),
    ) -> Result<Option<Table>> {
        let Some(factors) = selection.factors() else {
            report.section("No disentanglement scores: no factor of these images is known, or none varies among them.");
            return Ok(None);
        };
        let code = match latent {
            Latent::Mean => self.codes.representatives(),
            Latent::Sample => &self.codes.z,
        };
        let table = Table::new(code, &factors);
        let means = self.codes.moments().map(|moments| Table::new(&moments.mean, &factors));
        let encoded = self.codes.gaussian().zip(self.samples).map(|(encodings, samples)| Encoded {
            encodings,
            factors: &factors,
            samples,
            marginals: self.densities.map(|densities| &densities.marginals),
        });
        let subject = Subject { table: &table, means: means.as_ref(), encoded };
        score(scores, &subject, protocol, (watch, report))?;
        Ok(Some(table))
    }
}

/// Computes scores one after the other and reports them; those that need what is not there are named.
///
/// # Errors
/// When a signal has come.
pub fn score(
    scores: &Scores,
    subject: &Subject<'_>,
    protocol: &Protocol,
    (watch, report): (&Watch, &mut Report),
) -> Result<()> {
    let mut outcomes: Vec<(ScoreName, Outcome)> = Vec::new();
    let mut missing = Vec::new();
    for &name in &scores.0 {
        let mut stage = watch.stage(name.name());
        match name.compute(subject, protocol, &mut |done, total| stage.progress(done, total))? {
            Some(outcome) => outcomes.push((name, outcome)),
            None => missing.push(name.name()),
        }
    }
    report.scores(&outcomes);
    if !missing.is_empty() {
        report.section(format!(
            "Not computed, because the posterior's mean and variance are not known: {}",
            missing.join(", ")
        ));
    }
    Ok(())
}
