//! The exact decomposition of the KL, with what minibatch estimators make of the same codes.

use super::report::{Report, estimate_json, estimate_text};
use anyhow::Result;
use elbo_core::{Gaussian, Generator};
use elbo_evaluation::exact::minibatch::{MinibatchTerms, minibatch_terms};
use elbo_evaluation::exact::{Decomposition, Densities, MemoryBudget, Samples};
use elbo_runner::watch::Watch;
use serde_json::{Map, Value, json};

/// Batches over which a minibatch estimate is averaged.
const BATCHES: usize = 20;

/// Decomposes the KL of `encodings` over `samples`; returns the densities, which MIG needs as well. `tag` ends the names of the curves.
///
/// # Errors
/// When a signal has come.
pub fn decompose(
    encodings: &Gaussian,
    samples: &Samples,
    batch: i64,
    noise: &Generator,
    (watch, report): (&Watch, &mut Report),
    tag: &str,
) -> Result<Densities> {
    let mut stage = watch.stage("exact decomposition");
    let budget = MemoryBudget::of(samples.z.device());
    let densities = Densities::watched(encodings, samples, budget, &mut |done, total| stage.progress(done, total))?;
    drop(stage);
    let exact = densities.decompose(encodings);
    let minibatch = minibatch_terms(encodings, batch, BATCHES, noise);
    tell(report, (&exact, &minibatch), batch, encodings.mean.size()[0], tag);
    Ok(densities)
}

fn tell(
    report: &mut Report,
    (exact, minibatch): (&Decomposition, &[MinibatchTerms]),
    batch: i64,
    images: i64,
    tag: &str,
) {
    report.field("exact", json!(exact));
    let object = |terms: &MinibatchTerms| {
        let fields = [
            ("mutual_information", &terms.mutual_information),
            ("total_correlation", &terms.total_correlation),
            ("dimension_wise_kl", &terms.dimension_wise_kl),
        ];
        let fields: Map<String, Value> =
            fields.into_iter().map(|(name, estimate)| (name.to_owned(), estimate_json(estimate))).collect();
        (terms.estimator.to_owned(), Value::Object(fields))
    };
    let estimators: Map<String, Value> = minibatch.iter().map(object).collect();
    report.field("minibatch", json!({ "batch_size": batch, "estimators": estimators }));
    let terms = [&exact.mutual_information, &exact.total_correlation, &exact.dimension_wise_kl];
    let mut rows = vec![std::iter::once(format!("exact, {images} images")).chain(terms.map(estimate_text)).collect()];
    for terms in minibatch {
        let values = [&terms.mutual_information, &terms.total_correlation, &terms.dimension_wise_kl];
        let name = format!("{}, batches of {batch}", terms.estimator);
        rows.push(std::iter::once(name).chain(values.map(estimate_text)).collect());
    }
    report.table(&["nats", "mutual information", "total correlation", "dimension-wise KL"], rows);
    report.section(format!(
        "The terms add up to {}; the KL in closed form is {:.4}. ± one standard error",
        estimate_text(&exact.kl_sampled),
        exact.kl_analytic
    ));
    let names = ["mutual_information", "total_correlation", "dimension_wise_kl"];
    for (name, term) in names.iter().zip(terms) {
        report.point(format!("evaluate/{name}{tag}"), term.value);
    }
}
