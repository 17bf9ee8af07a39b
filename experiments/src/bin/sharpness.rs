//! Sets the reconstructions of several runs beside each other: how sharp, and how alike the data.
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the text of --help")]

use anyhow::Result;
use clap::Parser;
use elbo_experiments::evaluation::Report;
use elbo_experiments::sharpness::compare;
use elbo_runner::config::DeviceChoice;
use elbo_runner::terminal::Mode;
use elbo_runner::watch::Watch;
use elbo_runner::{TrainedRun, cli, terminal};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Sets the reconstructions of several runs beside each other: how sharp, and how alike the data
///
/// Of held-out pictures and their reconstructions: the Laplacian energy (edges have it, blurred
/// pictures little), the distance to the data in the features of a classifier that is trained on data
/// alone, as a share of that between two pictures, and how often that classifier still tells the
/// class.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// Directories of runs on the same data, which must know labels or factors
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// Held-out pictures to look at
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(i64).range(10..))]
    examples: i64,
    /// Seed of the classifier and of the choice of pictures
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX [default: where the runs were trained]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Print one JSON object on standard output, and the table on standard error
    #[arg(long)]
    json: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

const EPILOGUE: &str = "A sharper picture has a higher energy, up to that of the data; noise has it too, so look at the
classifier's columns as well, and at the pictures.

Example:
  sharpness runs/vae_gan_quick runs/pixel_vae";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    let open = |path: &PathBuf| TrainedRun::open(path, arguments.device, &mut |text| watch.say(text));
    let runs = arguments.runs.iter().map(open).collect::<Result<Vec<TrainedRun>>>()?;
    let rows = compare(&runs, arguments.examples, arguments.seed, &watch)?;
    let mut report = Report::new();
    let cells = rows.iter().map(|row| {
        let (energy, distance) = (&row.laplacian_energy, &row.feature_distance);
        vec![
            row.name.clone(),
            if row.step == 0 { String::new() } else { row.step.to_string() },
            format!("{:.4} ± {:.4}", energy.value, energy.standard_error),
            format!("{:.3} ± {:.3}", distance.value, distance.standard_error),
            format!("{:.3}", row.classifier_accuracy),
        ]
    });
    let header = ["pictures of", "steps", "Laplacian energy", "distance in features", "class told"];
    report.table(&header, cells.collect());
    report.field("examples", arguments.examples);
    report.field("rows", json!(rows));
    terminal::present(&report.text(), arguments.json.then(|| report.json()).as_ref())?;
    Ok(())
}
