//! Four points, two latent dimensions: a VAE beside adversarial variational Bayes.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::Result;
use clap::Parser;
use elbo_core::{Algorithm, Generator};
use elbo_experiments::avb_toy::grid::{GaussianTerms, Grid};
use elbo_experiments::avb_toy::histogram::ImplicitTerms;
use elbo_experiments::avb_toy::{Figures, Settings, training};
use elbo_runner::config::DeviceChoice;
use elbo_runner::terminal::{self, Mode};
use elbo_runner::watch::Watch;
use elbo_runner::{cli, device};
use serde_json::json;
use std::process::ExitCode;

/// Trains a VAE and AVB on four points, and measures what the Gaussian posterior costs
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// quick, published, or a JSON file of settings
    #[arg(long, value_name = "SETTINGS", default_value = "quick")]
    settings: String,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let settings = Settings::read(&arguments.settings)?;
    let device = device::resolve(arguments.device)?;
    let watch = Watch::new(Mode::detect(false))?;
    let grid = Grid::new(settings.measurement.extent, settings.measurement.grid_step, device);

    let vae = training::vae(&settings, &grid, &mut watch.stage("VAE"))?;
    let model = vae.algorithm.vae();
    let gaussian = Figures::of_gaussian(model, &grid, &GaussianTerms::of(model, &grid)?);
    eprintln!("{:#}", gaussian.json());

    let avb = training::avb(&settings, device, &mut watch.stage("AVB"))?;
    let mut sampling = watch.stage("samples");
    let total = settings.measurement.samples as usize;
    let noise = Generator::new(device, settings.seed)?;
    let terms = ImplicitTerms::of(avb.algorithm.vae(), &settings.measurement, &noise, &mut |done| {
        sampling.progress(done, total)
    })?;
    eprintln!("{terms:?}");
    let implicit = Figures::of_implicit(avb.algorithm.vae(), &grid, &terms);
    let object = json!({ "vae": gaussian.json(), "avb": implicit.json(), "settings": settings });
    terminal::present("", arguments.json.then_some(&object))?;
    Ok(())
}
