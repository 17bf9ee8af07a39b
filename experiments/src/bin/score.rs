//! Scores the codes of any framework.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::Result;
use clap::Parser;
use elbo_core::Generator;
use elbo_evaluation::encode::Codes;
use elbo_evaluation::scores::suite::{Encoded, Protocol, Subject};
use elbo_evaluation::scores::udr::udr;
use elbo_evaluation::scores::{Table, seed_of};
use elbo_experiments::codes::{FactorFile, informative, refuse};
use elbo_experiments::evaluation::Report;
use elbo_experiments::evaluation::request::Scores;
use elbo_experiments::evaluation::scoring::score;
use elbo_runner::terminal::Mode;
use elbo_runner::watch::Watch;
use elbo_runner::{cli, terminal};
use serde_json::{Map, json};
use std::path::PathBuf;
use std::process::ExitCode;
use tch::Device;

/// Scores how far codes are disentangled, from any framework
///
/// CODES is an .npz or safetensors file:
///   codes          [n, D]  float32 or float64: the representation, such as posterior means
///   factors        [n, K]  whole numbers: the level of each generative factor
///   mean, log_var  [n, D]  the Gaussian posteriors q(z|x), needed by mig_chen alone
///   factor_names   [K]     in an .npz; mig_chen leaves out a factor that is called shape
///
/// Rows are drawn at the published sizes where there are enough of them, else all are used:
/// learners take two thirds to learn from and the rest to be judged by. Every score carries its
/// protocol in its name, and a 95% interval over resamples.
///
/// With several files, of the same images row by row, it computes UDR: which of the models the
/// others agree with.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// Files of codes
    #[arg(value_name = "CODES", required = true)]
    codes: Vec<PathBuf>,
    /// Which scores, separated by commas [default: all]
    #[arg(long, value_name = "NAMES")]
    scores: Option<Scores>,
    /// Resamples behind an interval; 0 for none
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = parse_resamples)]
    resamples: usize,
    /// Seed of all that is drawn
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    seed: u64,
    /// Print one JSON object on standard output, and the table on standard error
    #[arg(long)]
    json: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

const EPILOGUE: &str = "Examples:
  encode runs/first --out codes.npz && score codes.npz
  score codes.safetensors --scores mig_histogram,sap,dci --json
  score seed1.npz seed2.npz seed3.npz

In Python:
  numpy.savez('codes.npz', codes=codes, factors=factors)

docs/scores.md says what each score measures, and what other code bases do differently.";

/// Samples of q(z) behind mig_chen.
const SAMPLES: i64 = 2_000;

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.codes.len() > 1 {
        return rank(arguments);
    }
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    let file = FactorFile::read(&arguments.codes[0])?;
    let table = Table::new(&file.codes, &file.factors);
    let mut report = Report::new();
    let (rows, dimensions) = (table.rows(), table.dimensions());
    let factors: Vec<String> =
        table.names().iter().zip(table.sizes()).map(|(name, size)| format!("{name} ({size} levels)")).collect();
    report.field("rows", rows);
    report.section(format!(
        "{}: {rows} codes of {dimensions} dimensions; {}",
        arguments.codes[0].display(),
        factors.join(", ")
    ));
    let noise = Generator::new(Device::Cpu, seed_of(arguments.seed, 0))?;
    let codes = file.posterior.map(|posterior| Codes::from_gaussian(posterior, &noise));
    let means = codes.as_ref().and_then(Codes::moments).map(|moments| Table::new(&moments.mean, &file.factors));
    let samples = codes.as_ref().and_then(|codes| codes.draw(SAMPLES, &noise));
    let encodings = codes.as_ref().and_then(Codes::gaussian);
    let encoded = encodings.zip(samples.as_ref()).map(|(encodings, samples)| Encoded {
        encodings,
        factors: &file.factors,
        samples,
        marginals: None,
    });
    let subject = Subject { table: &table, means: Some(means.as_ref().unwrap_or(&table)), encoded };
    let refits = if arguments.resamples == 0 { 0 } else { Protocol::default().refits };
    let protocol = Protocol { resamples: arguments.resamples, refits, seed: arguments.seed, ..Protocol::default() };
    let scores = arguments.scores.clone().unwrap_or_else(Scores::all);
    score(&scores, &subject, &protocol, (&watch, &mut report))?;
    terminal::present(&report.text(), arguments.json.then(|| report.json()).as_ref())?;
    Ok(())
}

/// UDR of several models.
fn rank(arguments: &Arguments) -> Result<()> {
    if let Some(scores) = &arguments.scores {
        return refuse(
            "--scores",
            format!("expected one file of codes for {scores}; several files are compared by UDR"),
        );
    }
    let models = arguments.codes.iter().map(|path| informative(path)).collect::<Result<Vec<_>>>()?;
    let first = models.iter().find_map(|model| model.first()).map_or(0, Vec::len);
    for (path, model) in arguments.codes.iter().zip(&models) {
        if let Some(found) = model.first().map(Vec::len).filter(|found| *found != first) {
            return refuse(
                &path.display().to_string(),
                format!("expected codes of the same {first} images as in the others, got {found}"),
            );
        }
    }
    let values = udr(&models);
    let mut report = Report::new();
    let names: Vec<String> = arguments.codes.iter().map(|path| path.display().to_string()).collect();
    let object: Map<_, _> = names.iter().zip(&values).map(|(name, value)| (name.clone(), json!(value))).collect();
    report.field("udr", object);
    let row = |((name, value), model): ((&String, &f64), &Vec<Vec<f64>>)| {
        vec![name.clone(), format!("{value:.4}"), model.len().to_string()]
    };
    report
        .table(&["codes", "UDR", "informative dimensions"], names.iter().zip(&values).zip(&models).map(row).collect());
    report.section("UDR: median agreement with the other models, 0 to 1; for choosing among runs of one data set.");
    terminal::present(&report.text(), arguments.json.then(|| report.json()).as_ref())?;
    Ok(())
}

/// No resamples, or enough for a standard deviation.
fn parse_resamples(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(1) | Err(_) => Err(format!("expected 0 or a whole number ≥ 2, got \"{text}\"")),
        Ok(count) => Ok(count),
    }
}
