//! Writes the codes of a trained run, for any other tool.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_data::Dataset;
use elbo_evaluation::encode::{self, Codes};
use elbo_experiments::archive::Archive;
use elbo_experiments::evaluation::ModelArguments;
use elbo_runner::{InputError, cli};
use std::path::PathBuf;
use std::process::ExitCode;
use tch::{Device, Kind, Tensor};

/// Writes the codes of a trained run to an npz archive, for numpy and everything that reads it
///
/// Arrays: codes (the posterior means), mean, log_var and z (one sample of q(z|x)), float32 [n, D];
/// where the data have them, factors (int64 [n, K]) with factor_names, attributes (uint8 [n, A]) with
/// attribute_names, labels (int64 [n]). Rows are in the order of the data set.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The archive to write
    #[arg(long, value_name = "FILE.npz")]
    out: PathBuf,
    /// Encode the test split
    #[arg(long)]
    test: bool,
    /// Encode only the first N examples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    first: Option<i64>,
    /// Examples encoded at once
    #[arg(long, value_name = "B", default_value_t = 64, value_parser = clap::value_parser!(i64).range(1..))]
    batch_size: i64,
    /// Write over an archive that is there
    #[arg(long)]
    force: bool,
}

const EPILOGUE: &str = "Examples:
  encode runs/first --out codes.npz
  encode runs/first --out codes.npz --first 10000
  encode --weights model.safetensors --config run.json --names names.json --out codes.npz

In Python:
  archive = numpy.load('codes.npz'); codes, factors = archive['codes'], archive['factors']";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let out = &arguments.out;
    if out.exists() && !arguments.force {
        return Err(InputError::new(format!("{}: exists; --force writes over it", out.display())).into());
    }
    let run = arguments.model.open(&mut |text| eprintln!("{text}"))?;
    let data = if arguments.test {
        let no_split = || InputError::new("--test: the run has no test split; its data.test_fraction makes one");
        run.data.test.as_ref().ok_or_else(no_split)?
    } else {
        &run.data.train
    };
    let count = arguments.first.map_or(data.len(), |first| first.min(data.len()));
    let rows = Tensor::arange(count, (Kind::Int64, run.device));
    let codes = encode::encode(&run.vae, &data.images, Some(&rows), arguments.batch_size, &run.noise()?);
    archive(data, &rows, &codes)?.write(out)?;
    println!("{}: {count} codes of {} dimensions", out.display(), run.vae.latent());
    Ok(())
}

/// The arrays that the help describes.
fn archive(data: &Dataset, rows: &Tensor, codes: &Codes) -> Result<Archive> {
    let rows = rows.to_device(Device::Cpu);
    let moments = codes.moments().context("the posterior's mean and variance are not known")?;
    let mut archive = Archive::new()
        .with("codes", &moments.mean)
        .with("mean", &moments.mean)
        .with("log_var", &moments.log_var)
        .with("z", &codes.z);
    if let Some(factors) = &data.factors {
        let factors = factors.select(&rows);
        archive = archive.with("factors", &factors.classes).with_words("factor_names", &factors.names);
    }
    if let Some(attributes) = &data.attributes {
        let attributes = attributes.select(&rows);
        archive = archive.with("attributes", &attributes.values).with_words("attribute_names", &attributes.names);
    }
    if let Some(labels) = &data.labels {
        archive = archive.with("labels", &labels.index_select(0, &rows));
    }
    Ok(archive)
}
