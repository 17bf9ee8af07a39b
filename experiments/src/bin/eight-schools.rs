//! Eight schools: adversarial variational Bayes beside Hamiltonian Monte Carlo and the best Gaussians.
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the text of --help")]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_experiments::eight_schools::pictures::picture;
use elbo_experiments::eight_schools::{Settings, study};
use elbo_runner::config::{DeviceChoice, Override};
use elbo_runner::files::write_atomically;
use elbo_runner::terminal::Mode;
use elbo_runner::watch::Watch;
use elbo_runner::{cli, device, terminal};
use std::path::PathBuf;
use std::process::ExitCode;

/// Approximates the posterior of eight schools by AVB, and says how far from it every approximation is
///
/// The model has ten unknowns and a posterior of two modes. A grid gives log p(y) and the posterior of
/// (μ, τ) exactly; a long run of Hamiltonian Monte Carlo gives samples, with R̂ and effective sample
/// sizes; mean-field and full-rank Gaussians are fitted to an exact ELBO; AVB is trained with and
/// without adaptive contrast. One nearest-neighbour estimator reads KL(q ‖ posterior) of all of them,
/// and stands beside the exact figures of the Gaussians.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// quick, published (the paper's learning rates and 50 000 iterations; hours), or a JSON file
    #[arg(long, value_name = "SETTINGS", default_value = "quick")]
    settings: String,
    /// Changes a field of the settings, for example --set avb.iterations=20000; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    overrides: Vec<Override>,
    /// Folder of eight_schools.json and eight_schools.png
    #[arg(long, value_name = "DIRECTORY", default_value = "runs/eight-schools")]
    out: PathBuf,
    /// Seed of all that is drawn
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
    /// End with exit code 1 unless everything below the tables holds
    #[arg(long)]
    check: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

const EPILOGUE: &str = "Exit codes: 0 done, 1 --check does not hold, 2 bad input, 130 interrupted.

Examples:
  eight-schools                                # minutes on two cores
  eight-schools --check --json > schools.json
  eight-schools --settings published --device cuda
  eight-schools --set avb.iterations=20000 --set estimator.samples=50000";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let settings = Settings::read(&arguments.settings, &arguments.overrides)?;
    let device = device::resolve(arguments.device)?;
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("{}: cannot be made", arguments.out.display()))?;

    let study = study(&settings, arguments.seed, device, &watch)?;

    let object = study.json(&settings, arguments.seed);
    let (record, page) = (arguments.out.join("eight_schools.json"), arguments.out.join("eight_schools.png"));
    write_atomically(&record, format!("{object:#}\n").as_bytes())?;
    write_atomically(&page, &picture(&study)?.png())?;
    let text = format!("{}\n{}\n{}", study.text(), record.display(), page.display());
    terminal::present(&text, arguments.json.then_some(&object))?;
    if arguments.check {
        study.check()?;
    }
    Ok(())
}
