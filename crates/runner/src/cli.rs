//! Command lines: arguments, exit codes, and what a person reads.
//!
//! Exit codes: 0 done, 1 a check failed, 2 bad input, 3 diverged, 4 another process of the run is lost, 130 interrupted.

use crate::config::{DeviceChoice, Override};
use crate::records::summary::Status;
use crate::run::Note;
use crate::signals::{EXIT_INTERRUPTED, Interruption};
use crate::terminal::{self, Mode, Terminal};
use crate::{
    CheckFailed, Diverged, Event, InputError, Interrupted, Method, RankLost, Run, RunConfig, RunOptions, World,
};
use anyhow::Result;
use clap::{Arg, Command, CommandFactory, Parser, value_parser};
use clap_complete::Shell;
use elbo_core::networks::LikelihoodName;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

mod out_of_memory;
mod processes;

/// Exit code of a check that failed.
pub const EXIT_CHECK: u8 = 1;
/// Exit code of bad input.
pub const EXIT_INPUT: u8 = 2;
/// Exit code of a run whose loss was not finite.
pub const EXIT_DIVERGED: u8 = 3;

/// Exit code where another process of the run is gone.
pub const EXIT_RANK_LOST: u8 = 4;

/// Arguments of `train`, for every binary that trains.
#[derive(Debug, Parser)]
#[command(version)]
pub struct TrainArguments {
    /// The run's configuration, a JSON file; may be left out with --resume, which continues with the stored one
    #[arg(required_unless_present = "resume")]
    config: Option<PathBuf>,
    /// Changes a field before the configuration is checked, for example --set train.steps=4000; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    overrides: Vec<Override>,
    /// Directory of the run [default: runs/NAME]
    #[arg(long, value_name = "DIRECTORY")]
    run_dir: Option<PathBuf>,
    /// Continue the run in the directory with its stored configuration (only train.* may differ); start where there is none
    #[arg(long)]
    resume: bool,
    /// Where to compute: auto, cpu, cuda or cuda:INDEX; stands above the configuration
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Several processes: how long each waits for the others before it gives the run up
    #[arg(long, value_name = "SECONDS", default_value_t = 1800, value_parser = clap::value_parser!(u64).range(1..))]
    rank_timeout: u64,
    /// Print the summary as one JSON object on standard output
    #[arg(long)]
    json: bool,
    /// Print no progress, only warnings and errors
    #[arg(long)]
    quiet: bool,
}

/// The whole of a training binary: parses the command line, trains, prints, and returns the exit code.
///
/// `about` is the head of `--help`, `epilogue` its end: examples.
pub fn train<M: Method>(about: &'static str, epilogue: &'static str) -> ExitCode {
    let command = TrainArguments::command().about(about).after_help(epilogue);
    parsed::<TrainArguments>(command)
        .map_or_else(|code| code, |arguments| report(out_of_memory::caught(|| processes::run::<M>(&arguments))))
}

/// Runs a binary's work and turns its error into one line and an exit code.
pub fn report(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        terminal::error(format!("{error:#}"));
        ExitCode::from(exit_code(&error))
    })
}

/// The exit code of an error.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    match () {
        () if error.is::<Diverged>() => EXIT_DIVERGED,
        () if error.is::<CheckFailed>() => EXIT_CHECK,
        () if error.is::<RankLost>() => EXIT_RANK_LOST,
        () if error.is::<Interrupted>() => EXIT_INTERRUPTED,
        () => EXIT_INPUT,
    }
}

/// Parses the command line, and runs `work` with it: the `main` of a binary that does not train.
pub fn run<A: Parser>(work: impl FnOnce(&A) -> Result<()>) -> ExitCode {
    elbo_native::initialise();
    parsed(A::command()).map_or_else(
        |code| code,
        |arguments| report(out_of_memory::caught(|| work(&arguments).map(|()| ExitCode::SUCCESS))),
    )
}

/// What holds for every binary, at the end of its `--help`.
const ENVIRONMENT: &str = "Environment:
  ELBO_CUDA=0           keeps off the GPU
  ELBO_CACHE=DIRECTORY  where pictures are kept cropped and resized (default ~/.cache/elbo; empty
                        for nowhere), and, if it is set, rendered dSprites
  OMP_NUM_THREADS=N     threads of libtorch on the CPU (default: one a core)";
/// For a binary whose help says nothing of its own about them.
const EXIT_CODES: &str = "Exit codes: 0 done, 2 bad input, 130 interrupted.";

/// The arguments that `command` finds on the command line, or the exit code of a command line that asks for something else: help, the
/// version, completions, or what is not to be had.
fn parsed<A: Parser>(command: Command) -> Result<A, ExitCode> {
    let mut command = furnished(command, program_name());
    // Alone, whatever else the command line of this binary has to have.
    let first = std::env::args().nth(1).unwrap_or_default();
    let asked = first == "--completions" || first.starts_with("--completions=");
    let found = if asked {
        let only = Command::new(env!("CARGO_PKG_NAME")).bin_name(program_name()).arg(completions());
        only.try_get_matches_from(std::env::args_os()).map(|matches| Err(matches.get_one("completions").copied()))
    } else {
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        matches.and_then(|matches| A::from_arg_matches(&matches)).map(Ok)
    };
    match found {
        Ok(Ok(arguments)) => Ok(arguments),
        Ok(Err(shell)) => {
            let shell = shell.unwrap_or(Shell::Bash);
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, program_name(), &mut script);
            // A reader that went away wants no more of it.
            let _ = std::io::stdout().write_all(&script);
            Err(ExitCode::SUCCESS)
        }
        // `--help` and `--version` go to standard output, everything else is bad input.
        Err(error) => {
            let _ = error.print();
            Err(if error.use_stderr() { ExitCode::from(EXIT_INPUT) } else { ExitCode::SUCCESS })
        }
    }
}

/// The command under its binary's name, with what all binaries have: `--completions`, exit codes and environment in the help.
fn furnished(command: Command, name: String) -> Command {
    let own = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let codes = if own.contains("Exit codes") { String::new() } else { format!("{EXIT_CODES}\n\n") };
    let end = format!("{}\n\n{codes}{ENVIRONMENT}", own.trim_end());
    command.display_name(name).after_help(end.trim_start().to_owned()).arg(completions())
}

fn completions() -> Arg {
    let arg = Arg::new("completions").long("completions").value_name("SHELL").value_parser(value_parser!(Shell));
    arg.exclusive(true).help("Print what the shell needs to complete this command line, and end")
}

/// The name that this binary was started under.
fn program_name() -> String {
    let path = std::env::args_os().next().map(PathBuf::from);
    path.and_then(|path| path.file_name()?.to_str().map(str::to_owned)).unwrap_or_else(|| "elbo".to_owned())
}

/// The whole run, of the only process or of rank 0.
fn run_to_end<M: Method>(
    arguments: &TrainArguments,
    interruption: &Interruption,
    world: Option<&Arc<World>>,
) -> Result<ExitCode> {
    let cuda = elbo_native::initialise();
    let options = options::<M>(arguments)?;
    let mode = Mode::detect(arguments.quiet);
    let mut say = |text: &str| {
        if mode.lets_through(text) {
            eprintln!("{text}");
        }
    };
    say(&cuda.to_string());
    let mut run = Run::open_among(&options, world.cloned(), &mut say)?;
    if let Some(world) = world {
        let (batch, size) = (run.config().data.batch_size, world.size());
        say(&format!("{size} processes: a batch of {batch} is {size} parts of {}", batch / world.size()));
    }
    introduce(&run, options.resume, &mut say);

    let total = run.config().train.steps;
    let mut progress = Terminal::new(mode, total, run.step());
    let status = drive(&mut run, &mut progress, interruption, world.map(AsRef::as_ref));
    progress.finish();
    let status = status.map_err(|error| processes::with_checkpoint(error, &run, world.map(AsRef::as_ref)))?;
    if let Some(world) = world {
        // Not before all is saved: a launcher ends all processes when one has ended.
        world.ranks().meet()?;
    }
    let summary = run.summary(status)?;
    let directory = run.directory().path().display().to_string();
    let mut text = terminal::table(&terminal::rows(&summary.scalars));
    text.push('\n');
    if status == Status::Interrupted {
        say(&format!("interrupted after step {} of {total}; everything is saved", run.step()));
        text = terminal::next_commands(&[("to go on", &format!("train --resume --run-dir {directory}"))]);
    } else {
        let parent = run.directory().path().parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new(".")).display();
        text.push_str(&terminal::next_commands(&[
            ("curves and pictures", &format!("make tensorboard LOGDIR={parent}")),
            ("scores and exact terms", &format!("target/release/evaluate {directory}")),
            ("what each latent does", &format!("target/release/traverse {directory}")),
        ]));
    }
    let json = arguments.json.then(|| summary.to_json());
    terminal::present(&text, json.as_ref())?;
    Ok(ExitCode::from(if status == Status::Interrupted { EXIT_INTERRUPTED } else { 0 }))
}

fn options<M: Method>(arguments: &TrainArguments) -> Result<RunOptions<M>, InputError> {
    let mut overrides = arguments.overrides.clone();
    if let Some(device) = arguments.device {
        overrides.push(format!("device={device}").parse().map_err(InputError::new)?);
    }
    let config = match &arguments.config {
        Some(file) => Some(RunConfig::<M>::read(file, &overrides)?),
        None if overrides.is_empty() => None,
        None => return Err(InputError::new("--set and --device need the configuration file that they change")),
    };
    let by_name = config.as_ref().map(|config| Path::new("runs").join(&config.name));
    let directory = arguments.run_dir.clone().or(by_name);
    let directory =
        directory.ok_or_else(|| InputError::new("--resume without a configuration needs --run-dir DIRECTORY"))?;
    let origin = arguments.config.as_ref().map_or_else(|| directory.join("config.json"), Clone::clone);
    Ok(RunOptions { config, origin: origin.display().to_string(), directory, resume: arguments.resume })
}

/// What is about to happen, in a few lines.
fn introduce<M: Method>(run: &Run<M>, resume: bool, say: &mut dyn FnMut(&str)) {
    let (config, data) = (run.config(), run.data());
    let directory = run.directory().path().display();
    let train = &config.train;
    let images = &data.train.images;
    let shape = images.shape();
    say(&format!(
        "data: {}, {} images of {}×{}×{}; batch {}",
        data.train.name,
        images.len(),
        shape.channels,
        shape.height,
        shape.width,
        config.data.batch_size
    ));
    if config.model.likelihood == LikelihoodName::Bernoulli && !images.is_binary() {
        say("note: a Bernoulli likelihood of grey pixels is a pseudo-likelihood; its nats are no bound on log p(x)");
    }
    match (run.step(), resume) {
        (step, _) if step >= train.steps => {
            say(&format!("{directory}: all {} steps are done; a larger train.steps goes on", train.steps));
        }
        (0, true) => say(&format!("{directory}: nothing to resume, so this is a new run of {} steps", train.steps)),
        (0, false) => say(&format!("{directory}: {} steps", train.steps)),
        (step, _) => say(&format!("{directory}: resumed after step {step} of {}", train.steps)),
    }
}

/// Advances a run to its end, or to a signal.
fn drive<M: Method>(
    run: &mut Run<M>,
    progress: &mut Terminal,
    interruption: &Interruption,
    world: Option<&World>,
) -> Result<Status> {
    loop {
        let event = run.advance()?;
        for note in run.take_notes() {
            match note {
                Note::Warning(text) => progress.warning(text),
                Note::Information(text) => progress.note(&text),
            }
        }
        match event {
            Event::Finished => return Ok(Status::Finished),
            Event::Step(step) => progress.advanced(step),
            Event::Logged { step, scalars } => progress.logged(step, &scalars),
        }
        if processes::asked_to_stop(world, interruption, run.step(), run.config().train.steps)? {
            run.interrupt()?;
            return Ok(Status::Interrupted);
        }
    }
}
