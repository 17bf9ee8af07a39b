//! Writes the codes of a trained run, for any other tool.

use anyhow::{Context, Result};
use clap::Parser;
use elbo_core::Posterior;
use elbo_data::Dataset;
use elbo_experiments::archive::Archive;
use elbo_runner::config::DeviceChoice;
use elbo_runner::{InputError, TrainedRun, cli};
use std::path::PathBuf;
use std::process::ExitCode;
use tch::{Kind, Tensor};

/// Writes the codes of a trained run to an npz archive, for numpy and everything that reads it
///
/// Arrays: codes (the posterior means), mean, log_var, z (one sample of q(z|x)), all float32 [n, D];
/// index (int64 [n], the row of the data set);
/// where the data have them, factors (int64 [n, K]) with factor_names, labels (int64 [n]), attributes (uint8 [n, A]).
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// Directory of the run
    run: PathBuf,
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
    #[arg(long, value_name = "B", default_value_t = 256, value_parser = clap::value_parser!(i64).range(1..))]
    batch_size: i64,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX [default: where the run was trained]
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Write over an archive that is there
    #[arg(long)]
    force: bool,
}

const EPILOGUE: &str = "Examples:
  encode runs/first --out codes.npz
  encode runs/first --out codes.npz --first 10000

In Python:
  archive = numpy.load('codes.npz'); codes, factors = archive['codes'], archive['factors']";

fn main() -> ExitCode {
    cli::run(encode)
}

fn encode(arguments: &Arguments) -> Result<()> {
    let out = &arguments.out;
    if out.exists() && !arguments.force {
        return Err(InputError::new(format!("{}: exists; --force writes over it", out.display())).into());
    }
    let mut say = |text: &str| eprintln!("{text}");
    let run = TrainedRun::open(&arguments.run, arguments.device, &mut say)?;
    let data = if arguments.test {
        let no_split = || InputError::new("--test: the run has no test split; its data.test_fraction makes one");
        run.data.test.as_ref().ok_or_else(no_split)?
    } else {
        &run.data.train
    };
    let count = arguments.first.map_or(data.len(), |first| first.min(data.len()));
    let indices = Tensor::arange(count, (Kind::Int64, run.device));
    let codes = elbo_evaluation::encode::encode(&run.vae, &data.images, &indices, arguments.batch_size, &run.noise()?)?;
    write(arguments, data, &indices, &codes)?;
    println!("{}: {count} codes of {} dimensions, after {} steps", out.display(), run.vae.latent(), run.step);
    Ok(())
}

/// The arrays that the help describes.
fn write(arguments: &Arguments, data: &Dataset, indices: &Tensor, codes: &Codes) -> Result<()> {
    let rows = indices.to_device(Device::Cpu);
    let mut archive = Archive::new()
        .with("codes", &codes.mean)
        .with("mean", &codes.mean)
        .with("log_var", &codes.log_var)
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
    archive.write(&arguments.out)
}
