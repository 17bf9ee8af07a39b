//! Draws what a trained run has learnt.
#![allow(clippy::doc_markdown, reason = "the comments on arguments are the text of --help")]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_evaluation::encode;
use elbo_evaluation::traversal::{Options, Span};
use elbo_experiments::evaluation::ModelArguments;
use elbo_runner::files::write_atomically;
use elbo_runner::gallery::Gallery;
use elbo_runner::{InputError, cli};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use tch::{Kind, Tensor};

/// Draws what a trained run has learnt
///
/// traversals.png        one row a latent dimension, ordered by its KL, which is printed
/// traversals.gif        all dimensions moving at once
/// reconstructions.png   data above, reconstruction below
/// prior_samples.png     decoded from N(0, I)
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Directory of the pictures [default: images/ of the run; needed for --weights]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Row of the training set whose code the traversals start from
    #[arg(long, value_name = "ROW", value_parser = clap::value_parser!(i64).range(0..))]
    example: Option<i64>,
    /// Values of each dimension
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(2..=101))]
    columns: u16,
    /// Dimensions shown at most, those with the largest KL
    #[arg(long, value_name = "D", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    dimensions: u16,
    /// A dimension runs from -LIMIT to LIMIT, in standard deviations of the prior
    #[arg(long, value_name = "LIMIT", default_value_t = 2.0, conflicts_with = "quantiles")]
    limit: f64,
    /// A dimension runs through the quantiles of its codes, where the model has seen it
    #[arg(long)]
    quantiles: bool,
}

const EPILOGUE: &str = "Examples:
  traverse runs/first
  traverse runs/first --example 300000 --limit 3
  traverse runs/first --quantiles --out pictures";

/// Codes that quantiles are taken of.
const CODED: i64 = 10_000;

fn main() -> ExitCode {
    cli::run(traverse)
}

fn traverse(arguments: &Arguments) -> Result<()> {
    if !(arguments.limit.is_finite() && arguments.limit > 0.0) {
        return Err(InputError::new(format!("--limit: expected a finite number > 0, got {}", arguments.limit)).into());
    }
    let run = arguments.model.open(&mut |text| eprintln!("{text}"))?;
    let (images, noise) = (&run.data.train.images, run.noise()?);
    if let Some(row) = arguments.example.filter(|&row| row >= images.len()) {
        return Err(InputError::new(format!("--example: expected a row below {}, got {row}", images.len())).into());
    }
    let rows = Tensor::arange(images.len(), (Kind::Int64, run.device));
    let gallery = Gallery::new(&run.vae, images, &rows, arguments.example, &noise)?;
    let codes;
    let span = if arguments.quantiles {
        let chosen = noise.permutation(images.len()).narrow(0, 0, CODED.min(images.len()));
        codes = encode::encode(&run.vae, images, Some(&chosen), 256, &noise);
        Span::Quantiles { codes: codes.representatives(), lowest: 0.02 }
    } else {
        Span::Prior { limit: arguments.limit }
    };
    let (columns, dimensions) = (usize::from(arguments.columns), usize::from(arguments.dimensions));
    let options = Options { span, columns, dimensions, ..Options::default() };

    let out = arguments.out.clone().or_else(|| arguments.model.run().map(|run| run.join("images")));
    let out = out.ok_or_else(|| InputError::new("--out: expected a directory for the pictures of --weights"))?;
    fs::create_dir_all(&out).with_context(|| format!("{}: cannot be made", out.display()))?;
    let pictures = [
        ("traversals.png", gallery.traversals(&options).png()),
        ("traversals.gif", gallery.animation(&options)),
        ("reconstructions.png", gallery.reconstructions().png()),
        ("prior_samples.png", gallery.prior_samples().png()),
    ];
    for (name, bytes) in pictures {
        let file = out.join(name);
        write_atomically(&file, &bytes)?;
        println!("{}", file.display());
    }
    Ok(())
}
