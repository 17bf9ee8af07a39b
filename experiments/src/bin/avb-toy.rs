//! Four points, two latent dimensions: a VAE beside adversarial variational Bayes.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_core::{Algorithm, Generator};
use elbo_experiments::avb_toy::grid::{GaussianTerms, Grid};
use elbo_experiments::avb_toy::report::{estimates, failures, table};
use elbo_experiments::avb_toy::samples::ImplicitTerms;
use elbo_experiments::avb_toy::{Figures, Settings, picture, training};
use elbo_runner::config::DeviceChoice;
use elbo_runner::files::write_atomically;
use elbo_runner::terminal::{self, Mode};
use elbo_runner::watch::Watch;
use elbo_runner::{CheckFailed, cli, device};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Trains a VAE and AVB on four one-hot points, and measures what the Gaussian posterior costs
///
/// The published nets (Mescheder et al. 2017, Sec. 5.1). log p(x) of both and every term of the
/// Gaussian posterior are sums over a grid; the terms of the implicit posterior come from ten million
/// samples in bins of two widths, with nearest neighbours beside them. An error bar holds the sampling
/// error and the distance between the two widths.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// quick, published (100 000 updates, hours), or a JSON file of settings
    #[arg(long, value_name = "SETTINGS", default_value = "quick")]
    settings: String,
    /// Folder of avb_toy.json and posteriors.png
    #[arg(long, value_name = "DIRECTORY", default_value = "runs/avb-toy")]
    out: PathBuf,
    /// Exit with 1 where a figure is not where the paper's and the best possible ones say it must be
    #[arg(long)]
    check: bool,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

const EPILOGUE: &str = "Exit codes: 0 done, 1 --check does not hold, 2 bad input, 130 interrupted.

Examples:
  avb-toy --check                              # at most 20 minutes on two cores
  avb-toy --settings published --out runs/avb-toy-published
  avb-toy --settings mine.json --json          # experiments/configs/avb_toy/quick.json is a start";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let settings = Settings::read(&arguments.settings)?;
    let device = device::resolve(arguments.device)?;
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("{}: cannot be made", arguments.out.display()))?;
    let grid = Grid::new(settings.measurement.extent, settings.measurement.grid_step, device);

    let vae = training::vae(&settings, &grid, &mut watch.stage("VAE"))?;
    let gaussian = vae.algorithm.vae();
    let vae_figures = Figures::of_gaussian(gaussian, &grid, &GaussianTerms::of(gaussian, &grid)?);

    let avb = training::avb(&settings, device, &mut watch.stage("AVB"))?;
    let implicit = avb.algorithm.vae();
    let noise = Generator::new(device, settings.seed)?;
    let mut sampling = watch.stage("samples");
    let total = settings.measurement.samples as usize;
    let mut progress = |done| sampling.progress(done, total);
    let terms = ImplicitTerms::of(implicit, &settings.measurement, &noise, &mut progress)?;
    let avb_figures = Figures::of_implicit(implicit, &grid, &terms);

    let (file, posteriors) = (arguments.out.join("avb_toy.json"), arguments.out.join("posteriors.png"));
    let failures = failures(&vae_figures, &avb_figures);
    let object = json!({ "vae": vae_figures.json(), "avb": avb_figures.json(), "estimates": estimates(&terms),
        "seeds": { "vae": vae.seed, "avb": avb.seed }, "failures": failures, "settings": settings });
    write_atomically(&posteriors, &picture::posteriors(gaussian, implicit, &noise)?.png())?;
    write_atomically(&file, format!("{object:#}\n").as_bytes())?;
    let table = table(&vae_figures, &avb_figures, &terms);
    let text = format!("{table}\n\n{}\n{}", posteriors.display(), file.display());
    terminal::present(&text, arguments.json.then_some(&object))?;
    if arguments.check && !failures.is_empty() {
        return Err(CheckFailed(failures.join("; ")).into());
    }
    Ok(())
}
