//! How good the estimators of q(z) are, as values and as gradients.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_core::Generator;
use elbo_experiments::codes::refuse;
use elbo_experiments::estimator_study::{Measurement, Settings, StudyCodes, measure, report};
use elbo_runner::config::DeviceChoice;
use elbo_runner::files::write_atomically;
use elbo_runner::{TrainedRun, cli, device, terminal};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures every estimator of mutual information, total correlation and dimension-wise KL against the exact terms
///
/// On Gaussian codes of known terms (well separated, overlapping, correlated) and on those of trained
/// runs, by batch size: bias and spread of the value, and of the gradient its direction and length
/// beside the exact one's. The gradient is with respect to an affine map of all codes, which stands
/// for an encoder.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// Directories of trained runs whose codes are measured as well
    #[arg(value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder of estimators.csv and estimators.png
    #[arg(long, value_name = "DIRECTORY", default_value = "runs/estimators")]
    out: PathBuf,
    /// Examples N of each data set of codes
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(i64).range(4..))]
    data_size: i64,
    /// Batch sizes, from 2 to N
    #[arg(long, value_name = "B,...", value_delimiter = ',', default_value = "16,64,256,1024,4096")]
    batch_sizes: Vec<i64>,
    /// Rows drawn for each batch size: N-ROWS / B batches, at least 4 and at most 512
    #[arg(long, value_name = "ROWS", default_value_t = 32768, value_parser = clap::value_parser!(i64).range(1..))]
    rows: i64,
    /// Draws of noise for the exact gradient
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(i64).range(2..))]
    exact_draws: i64,
    /// Seed of codes, batches and noise
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
}

const EPILOGUE: &str = "Examples:
  estimators                                   # a few minutes on two cores
  estimators runs/first --out runs/estimators
  estimators --data-size 2048 --batch-sizes 16,64,256 --json

MWS and uniform have the same gradient; their values differ by multiples of ln N.";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let size = arguments.data_size;
    let mut batch_sizes = arguments.batch_sizes.clone();
    batch_sizes.sort_unstable();
    batch_sizes.dedup();
    if let Some(batch) = batch_sizes.iter().find(|batch| !(2..=size).contains(*batch)) {
        return refuse("--batch-sizes", format!("expected sizes from 2 to --data-size {size}, got {batch}"));
    }
    let settings = Settings { batch_sizes, rows: arguments.rows, exact_draws: arguments.exact_draws };
    let device = device::resolve(arguments.device)?;
    let noise = Generator::new(device, arguments.seed)?;
    let mut say = |line: &str| eprintln!("{line}");
    let mut all = vec![
        StudyCodes::separated(size, &noise),
        StudyCodes::overlapping(size, &noise),
        StudyCodes::correlated(size, &noise),
    ];
    for path in &arguments.runs {
        let run = TrainedRun::open(path, Some(arguments.device), &mut say)?;
        all.push(StudyCodes::of_run(&run, size)?);
    }
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("{}: cannot be made", arguments.out.display()))?;

    let mut measured = Vec::new();
    let mut text = String::new();
    for codes in &all {
        let rows = measure(codes, &settings, &noise, &mut say)?;
        writeln!(text, "{}", report::table(codes, &rows))?;
        measured.extend(rows);
    }
    let words = report::words(&measured);
    let (csv, picture) = (arguments.out.join("estimators.csv"), arguments.out.join("estimators.png"));
    write_atomically(&csv, &as_csv(&measured)?)?;
    write_atomically(&picture, &report::picture(&all, &measured)?.png())?;
    writeln!(text, "{}\n\n{words}\n\n{}\n{}", report::LEGEND, csv.display(), picture.display())?;
    let object = json!({ "settings": settings, "data_size": size, "seed": arguments.seed, "measurements": measured, "words": words });
    terminal::present(&text, arguments.json.then_some(&object))?;
    Ok(())
}

fn as_csv(measured: &[Measurement]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in measured {
        writer.serialize(row)?;
    }
    writer.flush()?;
    Ok(writer.into_inner()?)
}
