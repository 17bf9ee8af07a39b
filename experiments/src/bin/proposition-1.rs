//! Proposition 1, looked at: does the classifier become log q(z|x) − log p(z)?
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]
#![allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]

use anyhow::{Context, Result};
use clap::Parser;
use elbo_core::choices;
use elbo_experiments::codes::refuse;
use elbo_experiments::proposition_1::measure::Contrast;
use elbo_experiments::proposition_1::study::Point;
use elbo_experiments::proposition_1::sweep::sweep;
use elbo_experiments::proposition_1::{
    Capacity, CriticName, KnownEncoder, LinearGaussian, Mixture, Problem, Settings, TrainedEncoder, pictures, report,
    train,
};
use elbo_runner::config::DeviceChoice;
use elbo_runner::files::write_atomically;
use elbo_runner::seed::{Stream, generator};
use elbo_runner::terminal::Mode;
use elbo_runner::watch::Watch;
use elbo_runner::{TrainedRun, cli, device, terminal};
use serde_json::json;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tch::Device;

choices! {
    enum EncoderName {
        LinearGaussian = "linear-gaussian",
        Mixture = "mixture",
    }
}

/// Trains a classifier T between q(z|x) and the prior, and shows it against log q(z|x) − log p(z)
///
/// Proposition 1 of adversarial variational Bayes says that the best T is that log ratio, whose mean
/// under q is the KL. Here the encoder is fixed and its density known, every step draws fresh pairs,
/// and T is measured: its error under q and under p, its mean against the KL in closed form, a bound
/// that holds for any T, and how much of it no batch can show.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// linear-gaussian: N(√(1−σ²) x, σ² I), so that q(z) is the prior; mixture: two such Gaussians, 3σ apart in every coordinate
    #[arg(long, value_name = "ENCODER", default_value = "linear-gaussian", conflicts_with = "run")]
    encoder: EncoderName,
    /// The encoder of a trained run in their place, over its training pictures
    #[arg(long, value_name = "RUN", conflicts_with_all = ["dimension", "sigma", "sweep", "check"])]
    run: Option<PathBuf>,
    /// Pictures of --run
    #[arg(long, value_name = "N", default_value_t = 16384, requires = "run", value_parser = clap::value_parser!(i64).range(1..))]
    pictures: i64,
    /// Dimensions D of x and z
    #[arg(long, value_name = "D", default_value_t = 2, value_parser = clap::value_parser!(i64).range(1..=64))]
    dimension: i64,
    /// Standard deviation σ of q(z|x), or of a component; above 0, at most 1
    #[arg(long, value_name = "SIGMA", default_value_t = 0.5)]
    sigma: f64,
    /// Which critics: quadratic, quadratic-adam, mlp, mlp-plain, mlp-small, mlp-large
    #[arg(long, value_name = "CRITICS", value_delimiter = ',', default_value = "quadratic,mlp")]
    critics: Vec<CriticName>,
    /// What q(z|x) is told apart from: prior, adaptive (the Gaussian of its moments), or both
    #[arg(long, value_name = "CONTRASTS", value_delimiter = ',', default_value = "prior,adaptive")]
    contrast: Vec<Contrast>,
    /// Updates of every critic
    #[arg(long, value_name = "STEPS", default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Fresh pairs of either side at each
    #[arg(long, value_name = "B", default_value_t = 1024, value_parser = clap::value_parser!(i64).range(2..))]
    batch_size: i64,
    /// Fresh samples of either side behind the final figures
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(i64).range(2..))]
    samples: i64,
    /// Width of the network mlp; mlp-small has a quarter of it, mlp-large twice as much
    #[arg(long, value_name = "WIDTH", default_value_t = 64, value_parser = clap::value_parser!(i64).range(1..=4096))]
    width: i64,
    /// Its residual blocks
    #[arg(long, value_name = "BLOCKS", default_value_t = 2)]
    blocks: usize,
    /// Its learning rate at the start; falls to 0
    #[arg(long, value_name = "RATE", default_value_t = 3e-3)]
    learning_rate: f64,
    /// Also train at other D, σ, batch sizes and widths
    #[arg(long)]
    sweep: bool,
    /// Exit with 1 unless quadratic and mlp come as near as the default case has to
    #[arg(long)]
    check: bool,
    /// Folder of the tables and pictures
    #[arg(long, value_name = "DIRECTORY", default_value = "runs/proposition-1")]
    out: PathBuf,
    /// Seed of networks, pairs and evaluations
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
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

const EPILOGUE: &str =
    "Files: proposition-1.png (T against T*), proposition-1-curves.png and .csv (while it learns), with
--sweep proposition-1-sweep.png and .csv.

quadratic has T* of a linear-Gaussian encoder in its family and is fitted to all pairs by Newton's
method: its error is that of so many pairs. quadratic-adam is the same family by gradients. mlp is a
network beside ½‖z‖²: what it errs more is its own. With --run the critic sees the encoder's mean
and log-variance as x; T* is then no quadratic, and of ten dimensions quadratic has 496 features,
which takes minutes.

Examples:
  proposition-1                                             # under two minutes on two cores
  proposition-1 --encoder mixture --critics quadratic,mlp,mlp-plain
  proposition-1 --sigma 0.1 --critics quadratic,quadratic-adam,mlp,mlp-small,mlp-large
  proposition-1 --run runs/first --critics mlp,mlp-large
  proposition-1 --sweep --contrast prior                    # a quarter of an hour
  proposition-1 --contrast prior --check --json

Exit codes: 0 done, 1 --check does not hold, 2 bad input, 130 interrupted.";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    check_options(arguments)?;
    let watch = Watch::new(Mode::detect(arguments.quiet))?;
    let device = device::resolve(arguments.device)?;
    let encoder = encoder(arguments, device, &watch)?;
    // Batches this small are no work to share: threads would wait for each other, on a busy machine for most of the time.
    tch::set_num_threads(1);
    let capacity =
        Capacity { width: arguments.width, blocks: arguments.blocks, learning_rate: arguments.learning_rate };
    let Arguments { steps, batch_size, samples, seed, .. } = *arguments;
    let settings = Settings { steps, batch_size, samples, curve_samples: samples.min(1 << 16), capacity, seed };
    let description = encoder.description();
    watch.say(&description);
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("{}: cannot be made", arguments.out.display()))?;

    let mut outcomes = Vec::new();
    for &contrast in &arguments.contrast {
        for &critic in &arguments.critics {
            let problem = Problem { encoder: encoder.as_ref(), contrast };
            let mut stage = watch.stage(&format!("{critic}{}", contrast.suffix()));
            let mut progress = |done: u64, total: u64| stage.progress(done as usize, total as usize);
            outcomes.push(train(critic, &problem, &settings, device, true, &mut progress)?);
        }
    }
    let mut object = report::json(encoder.name(), &description, &settings, &outcomes);
    let mut text = format!("{description}\n{}\n{}\n\n", report::table(&outcomes), report::LEGEND);
    let mut write = |name: &str, bytes: &[u8]| -> Result<()> {
        let file = arguments.out.join(name);
        write_atomically(&file, bytes)?;
        writeln!(text, "{}", file.display())?;
        Ok(())
    };
    let history: Vec<&Point> = outcomes.iter().flat_map(|outcome| &outcome.history).collect();
    write("proposition-1.png", &pictures::scatter(&description, &settings, &outcomes)?.png())?;
    write("proposition-1-curves.png", &pictures::curves(&description, &outcomes)?.png())?;
    write("proposition-1-curves.csv", &report::csv(&history)?)?;
    if arguments.sweep {
        let case = (arguments.dimension, arguments.sigma);
        let mut stage = watch.stage("sweep");
        let found = sweep(case, &settings, device, &mut |_, done, total| stage.progress(done, total))?;
        write("proposition-1-sweep.png", &pictures::swept(case.0, case.1, &settings, &found)?.png())?;
        write("proposition-1-sweep.csv", &report::csv(&found)?)?;
        object["sweep"] = json!(found);
    }
    terminal::present(&text, arguments.json.then_some(&object))?;
    if arguments.check {
        report::check(&outcomes)?;
    }
    Ok(())
}

fn check_options(arguments: &Arguments) -> Result<()> {
    let sigma = arguments.sigma;
    let largest = match arguments.encoder {
        EncoderName::LinearGaussian => 1.0,
        EncoderName::Mixture => Mixture::largest_sigma(),
    };
    if !(sigma > 0.0 && sigma <= largest) {
        let expected = format!("expected a number above 0 and at most {}", (largest * 1000.0).floor() / 1000.0);
        return refuse("--sigma", format!("{expected} for {}, got {sigma}", arguments.encoder));
    }
    let rate = arguments.learning_rate;
    if !(rate > 0.0 && rate.is_finite()) {
        return refuse("--learning-rate", format!("expected a finite number above 0, got {rate}"));
    }
    if arguments.sweep && arguments.encoder != EncoderName::LinearGaussian {
        return refuse("--sweep", "is about the linear-gaussian encoder");
    }
    if arguments.check {
        let wanted = [CriticName::Quadratic, CriticName::Mlp].iter().all(|name| arguments.critics.contains(name));
        if !wanted || !arguments.contrast.contains(&Contrast::Prior) || arguments.encoder != EncoderName::LinearGaussian
        {
            return refuse("--check", "needs the linear-gaussian encoder, quadratic and mlp, and the contrast prior");
        }
    }
    Ok(())
}

fn encoder(arguments: &Arguments, device: Device, watch: &Watch) -> Result<Box<dyn KnownEncoder>> {
    let Arguments { dimension, sigma, .. } = *arguments;
    if let Some(path) = &arguments.run {
        let run = TrainedRun::open(path, Some(arguments.device), &mut |text| watch.say(text))?;
        let noise = generator(device, arguments.seed, Stream::Subset)?;
        let mut stage = watch.stage("encoding");
        let progress = &mut |done, total| stage.progress(done, total);
        return Ok(Box::new(TrainedEncoder::of(&run, arguments.pictures, &noise, progress)?));
    }
    Ok(match arguments.encoder {
        EncoderName::LinearGaussian => Box::new(LinearGaussian::new(dimension, sigma)),
        EncoderName::Mixture => Box::new(Mixture::new(dimension, sigma)),
    })
}
