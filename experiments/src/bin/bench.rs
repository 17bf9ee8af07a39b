//! Times training steps, whole and in parts.
#![allow(
    clippy::doc_markdown,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help"
)]

use anyhow::{Context, Result};
use clap::Parser;
use comfy_table::Table;
use elbo_experiments::bench::{Part, Subject};
use elbo_experiments::codes::refuse;
use elbo_runner::config::{Override, read_json};
use elbo_runner::{cli, terminal};
use serde_json::{Map, Value, json};
use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

/// Times the training steps of configurations, whole and in parts
///
/// Parts: `step` is the runner's whole step; `gather` the batch from the resident data, `forward`
/// networks and loss without gradients, `update` the algorithm's step on a batch that is there,
/// `optimiser` one update of the VAE's parameters, `logged` a step and a log point after it.
/// `backward` is not timed: it is what is left of `update` without `forward` and `optimiser`.
/// Repeats of all parts and configurations are interleaved. Bare times belong to the machine and
/// the moment: `make bench` sets them beside PyTorch's, taken in turn with these.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
struct Arguments {
    /// Configuration files, as train takes them
    #[arg(value_name = "CONFIG", required = true)]
    configs: Vec<PathBuf>,
    /// Change a field of every configuration
    #[arg(long, value_name = "FIELD=VALUE")]
    set: Vec<Override>,
    /// Steps in a repeat
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Repeats of each part
    #[arg(long, value_name = "R", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    repeats: u64,
    /// Write parameters, batches, noise and losses of a few steps here, for another program to take the same ones
    #[arg(long, value_name = "DIRECTORY")]
    export: Option<PathBuf>,
    /// Time so many runs of each configuration that share the device in one process, too: the part `shared`
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(2..))]
    share: Option<u64>,
    /// Take orders from standard input: a line `PART COUNT` is answered by the seconds that so many took,
    /// `memory` by the most bytes held so far, `kernels` by those of the captured step, or none
    #[arg(long, conflicts_with_all = ["export", "json"])]
    serve: bool,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
}

const EPILOGUE: &str = "Examples:
  bench experiments/configs/beta_tcvae_sprites.json
  bench experiments/configs/{elbo,factor_vae,vae_gan}_sprites.json --steps 5
  bench experiments/configs/beta_tcvae_sprites.json --set train.capture=off --set device=cuda";

/// Steps that --export writes.
const EXPORTED: i64 = 5;

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let mut subjects = Vec::new();
    for file in &arguments.configs {
        let origin = file.display().to_string();
        let mut config = read_json(file)?;
        for change in &arguments.set {
            change.apply(&mut config).map_err(|problem| anyhow::anyhow!("{origin}: --set {change}: {problem}"))?;
        }
        let mut subject = Subject::new(&config, &origin)?;
        subject.share(arguments.share.unwrap_or(0) as usize)?;
        subjects.push(subject);
    }
    if let Some(folder) = &arguments.export {
        let [subject] = &mut subjects[..] else {
            return refuse("--export", format!("expected one configuration, got {}", subjects.len()));
        };
        std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        subject.export(folder, EXPORTED)?;
        return Ok(terminal::present(&format!("{}\n", folder.display()), None)?);
    }
    for subject in &mut subjects {
        subject.warm_up()?;
    }
    if arguments.serve { serve(&mut subjects[0]) } else { measure(&mut subjects, arguments) }
}

/// Answers orders until there are no more.
fn serve(subject: &mut Subject) -> Result<()> {
    println!("ready {}", subject.key());
    for line in std::io::stdin().lock().lines() {
        let line = line.context("standard input cannot be read")?;
        match line.trim() {
            "memory" => println!("{}", subject.peak_memory()?),
            "kernels" => println!("{}", subject.graph_nodes().map_or("none".to_owned(), |nodes| nodes.to_string())),
            order => {
                let timed = order.split_once(' ').and_then(|(part, count)| {
                    Some((Part::ALL.into_iter().find(|known| known.name() == part)?, count.trim().parse().ok()?))
                });
                let Some((part, count)) = timed else {
                    let expected = "expected PART COUNT, such as `step 20`, memory or kernels";
                    return refuse("standard input", format!("{expected}, got {order:?}"));
                };
                println!("{}", subject.time(part, count)?);
            }
        }
    }
    Ok(())
}

fn measure(subjects: &mut [Subject], arguments: &Arguments) -> Result<()> {
    let parts = if arguments.share.is_some() { &Part::ALL[..] } else { &Part::ALONE[..] };
    let mut times: Vec<Vec<Vec<f64>>> = subjects.iter().map(|_| vec![Vec::new(); parts.len()]).collect();
    for _ in 0..arguments.repeats {
        for (subject, times) in subjects.iter_mut().zip(&mut times) {
            for (&part, times) in parts.iter().zip(times.iter_mut()) {
                times.push(1e3 * subject.time(part, arguments.steps)? / arguments.steps as f64);
            }
        }
    }
    let mut table = Table::new();
    let names = parts.iter().map(|part| part.name());
    let more = ["backward", "operators", "kernels", "peak memory"];
    table.load_style(terminal::STYLE).set_header([""].into_iter().chain(names).chain(more));
    let mut objects = Map::new();
    for (subject, times) in subjects.iter_mut().zip(&mut times) {
        let (operators, kernels, memory) = (subject.operators()?, subject.graph_nodes(), subject.peak_memory()?);
        let mut object =
            json!({ "operators": operators, "kernels": kernels, "peak_bytes": memory, "milliseconds": {} });
        for (part, times) in parts.iter().zip(times.iter()) {
            object["milliseconds"][part.name()] = json!(times);
        }
        let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
        let of = |wanted| parts.iter().position(|&part| part == wanted).map_or(f64::NAN, |index| medians[index]);
        let backward = of(Part::Update) - of(Part::Forward) - of(Part::Optimiser);
        let mut row = vec![subject.key().to_owned()];
        row.extend(medians.iter().map(|median| format!("{median:.2} ms")));
        row.push(format!("{backward:.2} ms"));
        row.push(operators.to_string());
        row.push(kernels.map_or("not captured".to_owned(), |kernels| kernels.to_string()));
        row.push(format!("{} MB", memory / 1_000_000));
        objects.insert(subject.key().to_owned(), object);
        table.add_row(row);
    }
    let note = "backward: what is left of update without forward and optimiser";
    let (repeats, steps) = (arguments.repeats, arguments.steps);
    let text = format!("{}\nmedians of {repeats} repeats of {steps} steps; {note}\n", table.trim_fmt());
    let object = Value::Object(objects);
    Ok(terminal::present(&text, arguments.json.then_some(&object))?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2])
}
