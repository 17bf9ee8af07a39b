//! Bounds on log p(x), and estimates of it, over the selected images.

use super::Selection;
use super::report::{Report, estimate_text};
use super::request::{Latent, Likelihood};
use crate::codes::refuse;
use anyhow::Result;
use elbo_core::Generator;
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::likelihood::{
    Code, Refinement, Settings, annealed, bidirectional, bounds, elbo, importance_weighted, mean_over_images,
};
use elbo_runner::TrainedRun;
use elbo_runner::watch::{Stage, Watch};
use serde_json::json;
use tch::{Kind, Tensor};

/// Images whose chains run together.
const IMAGES: i64 = 100;
/// Images drawn from the model, for annealing both ways.
const SIMULATED: i64 = 100;

/// Computes what is asked for, and reports it.
///
/// # Errors
/// When a signal has come, or a request does not fit the others or the model.
pub fn likelihoods(
    run: &TrainedRun,
    selection: &Selection<'_>,
    requests: &[Likelihood],
    (latent, batch): (Latent, i64),
    noise: &Generator,
    (watch, report): (&Watch, &mut Report),
) -> Result<()> {
    check(requests)?;
    let mut rows = Vec::new();
    let mut dimensions = None;
    if requests.contains(&Likelihood::Elbo) {
        dimensions = whole_split(run, selection, (latent, batch), noise, (watch, report, &mut rows))?;
    }
    let found = by_image(run, selection, requests, noise, watch)?;
    let tell = |report: &mut Report, rows: &mut Vec<Vec<String>>, key: &str, title: String, values: &Tensor| {
        let estimate = mean_over_images(values);
        report.field(key, estimate.value);
        report.field(&format!("{key}_standard_error"), finite(estimate.standard_error));
        report.point(format!("likelihood/{key}"), estimate.value);
        rows.push(vec![title, estimate_text(&estimate)]);
    };
    if let Some((samples, values)) = &found.iwae {
        tell(report, &mut rows, "iwae", format!("bound of {samples} importance samples"), values);
        report.field("iwae_samples", *samples);
    }
    if let Some(ais) = &found.ais {
        let title = format!("log p(x), annealed over {} temperatures with {} chains", ais.temperatures, ais.chains);
        tell(report, &mut rows, "ais", title, &ais.log_likelihood);
        let size = ais.effective_sample_size.mean(Kind::Double).double_value(&[]);
        report.field("ais_effective_sample_size", size);
        report.field("ais_acceptance", finite(ais.acceptance));
        rows.push(vec![
            "  effective chains; share of proposals accepted".to_owned(),
            format!("{size:.2}; {:.2}", ais.acceptance),
        ]);
        rows.extend(adversarial_excess(run, &mean_over_images(&ais.log_likelihood), report));
    }
    if let Some((encoder, best, log_likelihood)) = &found.gaps {
        for (key, title, values) in [
            ("approximation_gap", "approximation gap: log p(x) − best Gaussian's ELBO", log_likelihood - best),
            ("amortization_gap", "amortisation gap: best Gaussian's ELBO − encoder's", best - encoder),
        ] {
            tell(report, &mut rows, key, title.to_owned(), &values);
        }
    }
    for request in requests {
        let Likelihood::Bdmc { temperatures, chains } = *request else { continue };
        let mut stage = watch.stage("annealing both ways");
        let settings = Settings::new(temperatures, chains);
        let found =
            bidirectional(&run.vae, SIMULATED, &settings, noise, &mut |done, total| stage.progress(done, total))?;
        report.field(
            "bdmc",
            json!({ "images": SIMULATED, "temperatures": temperatures, "chains": chains, "forward": found.forward,
                    "backward": found.backward, "gap": found.gap, "gap_standard_error": found.gap_standard_error }),
        );
        let gap = Estimate { value: found.gap, standard_error: found.gap_standard_error };
        rows.push(vec![format!("{SIMULATED} simulated images: annealed from below"), estimate_text(&found.forward)]);
        rows.push(vec!["  the same from above".to_owned(), estimate_text(&found.backward)]);
        rows.push(vec!["  gap, the error of both".to_owned(), estimate_text(&gap)]);
    }
    if !rows.is_empty() {
        report.table(&["nats, mean over images", ""], rows);
    }
    if let Some(line) = dimensions {
        report.section(line);
    }
    Ok(())
}

/// For a method whose "ELBO" is a critic's word: how far its last value lies above log p(x), which no bound does (docs/mathematics.md §10).
fn adversarial_excess(run: &TrainedRun, ais: &Estimate, report: &mut Report) -> Option<Vec<String>> {
    let claimed = run.last_value("evaluate/elbo_adversarial")?;
    let excess = claimed - ais.value;
    report.field("elbo_adversarial", claimed);
    report.field("elbo_adversarial_minus_ais", excess);
    let error = ais.standard_error;
    let verdict = if excess > 3.0 * error {
        "above log p(x): T is not optimal, or the annealing has not converged"
    } else {
        "below log p(x), which says nothing about T"
    };
    Some(vec![
        format!("adversarial \"ELBO\" of the run's last evaluation, minus log p(x): {verdict}"),
        format!("{excess:.2}"),
    ])
}

/// One request of a kind, and gaps only beside what they are measured from.
fn check(requests: &[Likelihood]) -> Result<()> {
    for (place, request) in requests.iter().enumerate() {
        let kind = std::mem::discriminant(request);
        if requests[..place].iter().any(|other| std::mem::discriminant(other) == kind) {
            return refuse(
                "--likelihood",
                format!("expected each kind once, got {request} as a second one of its kind"),
            );
        }
    }
    let estimated = |request: &Likelihood| matches!(request, Likelihood::Iwae { .. } | Likelihood::Ais { .. });
    if requests.contains(&Likelihood::Gaps) && !requests.iter().any(estimated) {
        return refuse(
            "--likelihood",
            "gaps: expected ais:TEMPERATURES:CHAINS or iwae:K beside it, from which they are measured",
        );
    }
    Ok(())
}

/// ELBO, reconstruction and KL over all images; returns a line about the KL of each dimension.
fn whole_split(
    run: &TrainedRun,
    selection: &Selection<'_>,
    (latent, batch): (Latent, i64),
    noise: &Generator,
    (watch, report, rows): (&Watch, &mut Report, &mut Vec<Vec<String>>),
) -> Result<Option<String>> {
    let (code, name) = match latent {
        Latent::Mean => (Code::Mean, "mean codes"),
        Latent::Sample => (Code::Sample, "one sample each"),
    };
    let total = usize::try_from(selection.len())?;
    let mut stage = watch.stage("ELBO");
    let progress = &mut |done: i64| stage.progress(usize::try_from(done)?, total);
    let found = elbo(&run.vae, &selection.data.images, Some(&selection.rows), batch, code, noise, progress)?;
    drop(stage);
    let Some(found) = found else {
        report.section("No ELBO: q(z|x) is implicit and has no density; ais:TEMPERATURES:CHAINS estimates log p(x).");
        return Ok(None);
    };
    report.field("latent", latent.name());
    for (key, value) in [("elbo", found.elbo), ("reconstruction", found.reconstruction), ("kl", found.kl)] {
        report.field(key, value);
        report.point(format!("likelihood/{key}"), value);
    }
    report.field("kl_per_dimension", found.kl_per_dimension.clone());
    for (title, value) in [
        (format!("ELBO, {name}"), found.elbo),
        ("  reconstruction, −log p(x|z)".to_owned(), found.reconstruction),
        ("  KL(q(z|x) ‖ p(z))".to_owned(), found.kl),
    ] {
        rows.push(vec![title, format!("{value:.4}")]);
    }
    let mut order: Vec<usize> = (0..found.kl_per_dimension.len()).collect();
    order.sort_by(|&a, &b| found.kl_per_dimension[b].total_cmp(&found.kl_per_dimension[a]));
    let dimension = |&d: &usize| format!("z{d} {:.2}", found.kl_per_dimension[d]);
    Ok(Some(format!("KL per dimension: {}", order.iter().map(dimension).collect::<Vec<_>>().join(", "))))
}

/// Values for each image, `[n]` in nats.
#[derive(Default)]
struct ByImage {
    /// Samples, bounds.
    iwae: Option<(i64, Tensor)>,
    ais: Option<Annealing>,
    /// ELBO of the encoder, of the best Gaussian, and log p(x).
    gaps: Option<(Tensor, Tensor, Tensor)>,
}

struct Annealing {
    temperatures: usize,
    chains: i64,
    log_likelihood: Tensor,
    effective_sample_size: Tensor,
    acceptance: f64,
}

/// Everything that is estimated image by image: of the same draw of images that are binarised at every read.
fn by_image(
    run: &TrainedRun,
    selection: &Selection<'_>,
    requests: &[Likelihood],
    noise: &Generator,
    watch: &Watch,
) -> Result<ByImage> {
    let mut all = ByImage::default();
    let per_image = |request: &&Likelihood| !matches!(request, Likelihood::Elbo | Likelihood::Bdmc { .. });
    // The gaps last: they are measured from the others.
    let mut wanted: Vec<&Likelihood> = requests.iter().filter(per_image).collect();
    wanted.sort_by_key(|request| matches!(request, Likelihood::Gaps));
    if wanted.is_empty() {
        return Ok(all);
    }
    let chunks: Vec<Tensor> = (0..selection.len())
        .step_by(IMAGES as usize)
        .map(|start| selection.rows.narrow(0, start, IMAGES.min(selection.len() - start)))
        .collect();
    let mut stage = watch.stage("likelihood");
    let parts = chunks.len() * wanted.len();
    for (index, rows) in chunks.iter().enumerate() {
        let x = selection.data.images.gather(rows, noise);
        for (place, request) in wanted.iter().enumerate() {
            let done = index * wanted.len() + place;
            part(run, request, &x, noise, &mut all, &mut |inner, whole| {
                within(&mut stage, (done, parts), (inner, whole))
            })?;
        }
    }
    Ok(all)
}

/// Progress of a part that is done by `inner` of `whole`.
fn within(stage: &mut Stage<'_>, (done, parts): (usize, usize), (inner, whole): (usize, usize)) -> Result<()> {
    const FINE: usize = 1000;
    stage.progress(done * FINE + inner * FINE / whole.max(1), parts * FINE)
}

/// One request for the images `x`; its values join those of the images before.
fn part(
    run: &TrainedRun,
    request: &Likelihood,
    x: &Tensor,
    noise: &Generator,
    all: &mut ByImage,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<()> {
    let joined = |earlier: Option<&Tensor>, new: &Tensor| match earlier {
        Some(earlier) => Tensor::cat(&[earlier, new], 0),
        None => new.shallow_clone(),
    };
    match *request {
        Likelihood::Iwae { samples } => {
            progress(0, 1)?;
            let Some(values) = importance_weighted(&run.vae, x, samples, noise) else {
                return refuse("--likelihood", "iwae: expected a model whose q(z|x) has a density; ais takes any");
            };
            all.iwae = Some((samples, joined(all.iwae.as_ref().map(|(_, earlier)| earlier), &values)));
        }
        Likelihood::Ais { temperatures, chains } => {
            let found = annealed(&run.vae, x, &Settings::new(temperatures, chains), noise, progress)?;
            let (earlier, count) = (all.ais.as_ref(), x.size()[0] as f64);
            let before = earlier.map_or(0.0, |earlier| earlier.log_likelihood.size()[0] as f64);
            let sum = found.acceptance * count + earlier.map_or(0.0, |earlier| earlier.acceptance * before);
            all.ais = Some(Annealing {
                temperatures,
                chains,
                log_likelihood: joined(earlier.map(|earlier| &earlier.log_likelihood), &found.log_likelihood),
                effective_sample_size: joined(
                    earlier.map(|earlier| &earlier.effective_sample_size),
                    &found.effective_sample_size,
                ),
                acceptance: sum / (count + before),
            });
        }
        Likelihood::Gaps => {
            let Some(found) = bounds(&run.vae, x, noise, &Refinement::default(), progress)? else {
                return refuse("--likelihood", "gaps: expected a model whose q(z|x) has a density");
            };
            let estimated = all.ais.as_ref().map(|ais| &ais.log_likelihood);
            let estimated = estimated.or(all.iwae.as_ref().map(|(_, values)| values));
            let Some(estimated) = estimated else { return Ok(()) };
            // Those of the images at hand are the newest.
            let log_likelihood = estimated.narrow(0, estimated.size()[0] - x.size()[0], x.size()[0]);
            let earlier = all.gaps.as_ref();
            all.gaps = Some((
                joined(earlier.map(|(encoder, _, _)| encoder), &found.encoder),
                joined(earlier.map(|(_, best, _)| best), &found.best),
                joined(earlier.map(|(_, _, log_likelihood)| log_likelihood), &log_likelihood),
            ));
        }
        Likelihood::Elbo | Likelihood::Bdmc { .. } => {}
    }
    Ok(())
}

/// A number, or null where it is none: the standard error of a single image.
fn finite(value: f64) -> serde_json::Value {
    if value.is_finite() { value.into() } else { serde_json::Value::Null }
}
