//! Evaluates a trained model: bounds and likelihoods, the exact decomposition of its KL, disentanglement scores.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::Result;
use clap::Parser;
use elbo_core::Generator;
use elbo_evaluation::encode;
use elbo_evaluation::pictures::Canvas;
use elbo_evaluation::scores::suite::Protocol;
use elbo_experiments::evaluation::exact::decompose;
use elbo_experiments::evaluation::likelihood::likelihoods;
use elbo_experiments::evaluation::pictures::pictures;
use elbo_experiments::evaluation::request::{Latent, Likelihood, Scores};
use elbo_experiments::evaluation::scoring::Evaluated;
use elbo_experiments::evaluation::selection::SelectionArguments;
use elbo_experiments::evaluation::{ModelArguments, Report, Selection};
use elbo_runner::terminal::Mode;
use elbo_runner::watch::Watch;
use elbo_runner::{TrainedRun, cli, terminal};
use std::path::PathBuf;
use std::process::ExitCode;

/// Evaluates a trained model
///
/// A run of ours, or weights from PyTorch beside a configuration. Without --likelihood, --exact and
/// --scores it computes the ELBO, the exact decomposition of the KL and, where the data have
/// factors, every disentanglement score; with any of them, those alone.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Which of elbo, iwae:K, ais:TEMPERATURES:CHAINS, bdmc:TEMPERATURES:CHAINS (100 images drawn from the model, annealed
    /// both ways) and gaps (approximation and amortisation, beside ais or iwae); separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    likelihood: Vec<Likelihood>,
    /// The exact decomposition of the KL over all images that are evaluated
    #[arg(long)]
    exact: bool,
    /// Which scores, separated by commas, or all
    #[arg(long, value_name = "NAMES")]
    scores: Option<Scores>,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Which code stands for an image: mean or sample [default: mean for scores, sample for the ELBO]
    #[arg(long, value_name = "CODE")]
    latent: Option<Latent>,
    /// Samples of q(z) behind the exact terms and mig_chen [default: 2000, on CUDA 10000]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(i64).range(2..))]
    samples: Option<i64>,
    /// Images at once [default: 64, on CUDA 2048]
    #[arg(long, value_name = "B", value_parser = clap::value_parser!(i64).range(1..))]
    batch_size: Option<i64>,
    /// Folder for pictures and evaluation.json [default: evaluation/ of the run; none for --weights]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Seed of all that is drawn
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object on standard output, and the tables on standard error
    #[arg(long)]
    json: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

const EPILOGUE: &str =
    "Everything is over the images of --split, --first or --indices, and over all of them. Pictures and
evaluation.json go to the run's folder evaluation/, values and pictures to its TensorBoard page too;
weights from elsewhere leave nothing behind without --out.

Examples:
  evaluate runs/first
  evaluate runs/first --scores mig_histogram,factor_vae,dci,sap,modularity
  evaluate runs/mnist --likelihood elbo,iwae:5000,ais:1000:16 --first 100
  evaluate --weights model.safetensors --config run.json --names names.json --json

docs/scores.md says what each score measures, and what other code bases do differently.";

fn main() -> ExitCode {
    cli::run(evaluate)
}

/// What is to be computed.
struct Plan {
    likelihoods: Vec<Likelihood>,
    exact: bool,
    scores: Option<Scores>,
}

impl Plan {
    fn of(arguments: &Arguments) -> Self {
        let everything = arguments.likelihood.is_empty() && !arguments.exact && arguments.scores.is_none();
        if everything {
            return Self { likelihoods: vec![Likelihood::Elbo], exact: true, scores: Some(Scores::all()) };
        }
        Self { likelihoods: arguments.likelihood.clone(), exact: arguments.exact, scores: arguments.scores.clone() }
    }
}

fn evaluate(arguments: &Arguments) -> Result<()> {
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    let plan = Plan::of(arguments);
    let run = arguments.model.open(&mut |text| watch.say(text))?;
    let selection = Selection::of(&run, &arguments.selection)?;
    let mut report = Report::new();
    selection.introduce(&run, &mut report);
    let noise = run.noise_of(arguments.seed)?;
    let batch = arguments.batch_size.unwrap_or(encode::batch_size(run.device));

    let code = arguments.latent.unwrap_or(Latent::Sample);
    likelihoods(&run, &selection, &plan.likelihoods, (code, batch), &noise, (&watch, &mut report))?;
    let mut drawn = Vec::new();
    if plan.exact || plan.scores.is_some() {
        drawn = representation(arguments, &plan, &run, &selection, (batch, &noise), (&watch, &mut report))?;
    }
    let out = arguments.out.clone().or_else(|| arguments.model.run().map(|run| run.join("evaluation")));
    if let Some(out) = &out {
        let record = arguments.model.run().map(|directory| (directory.as_path(), run.step));
        report.write(out, record, &drawn)?;
    }
    terminal::present(&report.text(), arguments.json.then(|| report.json()).as_ref())?;
    Ok(())
}

/// What the codes say: the exact decomposition, the scores, and pictures of them.
fn representation(
    arguments: &Arguments,
    plan: &Plan,
    run: &TrainedRun,
    selection: &Selection<'_>,
    (batch, noise): (i64, &Generator),
    (watch, report): (&Watch, &mut Report),
) -> Result<Vec<(&'static str, Canvas)>> {
    let mut stage = watch.stage("encoding");
    let (images, rows) = (&selection.data.images, Some(&selection.rows));
    let codes =
        encode::encode_watched(&run.vae, images, rows, batch, noise, &mut |done, total| stage.progress(done, total))?;
    drop(stage);
    let samples = codes.draw(arguments.samples.unwrap_or(if run.device.is_cuda() { 10_000 } else { 2_000 }), noise);
    let densities = match (codes.gaussian(), &samples) {
        (Some(encodings), Some(samples)) if plan.exact => {
            let tag = selection.tag();
            Some(decompose(encodings, samples, run.config.data.batch_size, noise, (watch, report), &tag)?)
        }
        (None, _) if plan.exact => {
            report.section("No exact decomposition: q(z|x) is implicit and has no density.");
            None
        }
        _ => None,
    };
    let mut table = None;
    if let Some(scores) = &plan.scores {
        let evaluated = Evaluated { codes: &codes, samples: samples.as_ref(), densities: densities.as_ref() };
        let protocol = Protocol { seed: arguments.seed, ..Protocol::default() };
        let latent = arguments.latent.unwrap_or(Latent::Mean);
        table = evaluated.score(scores, selection, latent, &protocol, (watch, report))?;
    }
    if arguments.out.is_none() && arguments.model.run().is_none() {
        return Ok(Vec::new());
    }
    pictures(run, selection, &codes, table.as_ref(), noise)
}
