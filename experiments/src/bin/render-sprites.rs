//! Renders dSprites, bit for bit as it was published, into a file.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::{Context, Result};
use clap::{ArgGroup, Parser};
use elbo_data::Levels;
use elbo_data::sprites::{SHA256, Subset, write_archive, write_packed};
use elbo_runner::{InputError, cli};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

/// Renders the dSprites data set, or a part of it, into a file
///
/// dSprites is every combination of shape (3), scale (6), orientation (40), position_x (32) and
/// position_y (32): 737280 black and white images of 64 x 64, position_y varying fastest.
/// What is rendered here equals the published images bit for bit; the whole grid is held against
/// its SHA-256.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
#[command(group = ArgGroup::new("output").required(true).args(["packed", "npz"]))]
struct Arguments {
    /// Write bits: 512 bytes an image, 8 a row, the leftmost pixel the most significant bit, white = 1; nothing else
    #[arg(long, value_name = "FILE")]
    packed: Option<PathBuf>,
    /// Write the official archive's layout, for numpy.load: imgs (uint8 [N,64,64], 0 or 1), latents_classes (int64 [N,6]),
    /// latents_values (float64 [N,6]), latents_names, latents_sizes, metadata (a dictionary, for readers with allow_pickle)
    #[arg(long, value_name = "FILE")]
    npz: Option<PathBuf>,
    /// Keep some levels of a factor, for example shape=2, scale=0,5, orientation=0..40 or position_x=0..32/4; may be
    /// repeated for other factors
    #[arg(long = "subset", value_name = "FACTOR=LEVELS", value_parser = factor_levels)]
    subsets: Vec<(String, Levels)>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

const EPILOGUE: &str = "Levels are counted from 0; 0..32 is 0 to 31, and /4 takes every fourth.
Shapes: 0 square, 1 ellipse, 2 heart.

Examples:
  render-sprites --packed sprites.bits
  render-sprites --npz dsprites.npz
  render-sprites --npz hearts.npz --subset shape=2 --subset orientation=0..40/4

In Python:
  archive = numpy.load('dsprites.npz')
  images, levels = archive['imgs'], archive['latents_classes']";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let path = arguments.packed.as_ref().or(arguments.npz.as_ref()).context("--packed or --npz is required")?;
    if path.exists() && !arguments.force {
        return Err(InputError::new(format!("{}: exists; --force writes over it", path.display())).into());
    }
    let mut subset = Subset::default();
    for (factor, levels) in &arguments.subsets {
        subset.set(factor, levels.clone())?;
    }
    let grid = subset.grid()?;

    let shown = std::io::stderr().is_terminal();
    let mut progress = |done: usize| {
        if shown {
            eprint!("\r{done} of {} images", grid.len());
        }
    };
    let write = if arguments.packed.is_some() { write_packed } else { write_archive };
    let written = write(&grid, path, &mut progress);
    if shown {
        eprint!("\r\x1b[K");
    }
    let written = written?;
    let published = if written.sha256 == SHA256 { ", as published" } else { "" };
    // A reader that went away is no failure: the file is written.
    let _ = writeln!(
        std::io::stdout(),
        "{}\n  images  {}\n  bytes   {}\n  sha256  {} (of the packed images{published})\n  seconds {:.2}",
        path.display(),
        written.images,
        written.bytes,
        written.sha256,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

/// `FACTOR=LEVELS`, both held against the grid.
fn factor_levels(text: &str) -> Result<(String, Levels), String> {
    let (factor, levels) = text.split_once('=').ok_or("expected FACTOR=LEVELS, such as shape=0,2")?;
    let levels: Levels = levels.parse()?;
    let mut subset = Subset::default();
    subset.set(factor, levels.clone()).and_then(|()| subset.grid()).map_err(|error| error.to_string())?;
    Ok((factor.to_owned(), levels))
}
