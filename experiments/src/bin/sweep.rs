//! Runs a grid of configurations, and collects what they measured.
#![allow(
    clippy::doc_markdown,
    clippy::struct_excessive_bools,
    rustdoc::broken_intra_doc_links,
    reason = "the comments on arguments are the text of --help, and each flag is a word of it"
)]

use anyhow::{Context, Result};
use clap::{ArgGroup, Parser};
use comfy_table::Table;
use elbo_experiments::codes::refuse;
use elbo_experiments::sweep::{Standing, Sweep, collect, run_all, run_one, run_shared, script};
use elbo_runner::files::write_atomically;
use elbo_runner::{cli, terminal};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs every combination of a grid of settings, here or on a cluster, and collects the results
///
/// A grid is a JSON file: a base configuration and the fields that vary, as lists or ranges. Every
/// member is a run like any other, in a directory of its own. Finished members are left alone,
/// interrupted ones are resumed, failed ones are listed with their reason and tried again with
/// --retry; so the same command may be given again at any time, also while it runs elsewhere:
/// members that another process runs are waited for.
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment, after_help = EPILOGUE)]
#[command(group(ArgGroup::new("what").required(true).args(["list", "run", "index", "slurm", "collect"])))]
struct Arguments {
    /// The grid, a JSON file as below
    #[arg(value_name = "GRID")]
    grid: PathBuf,
    /// List the members and how each stands
    #[arg(long)]
    list: bool,
    /// Run here what is not finished
    #[arg(long)]
    run: bool,
    /// Run one member, by its number in the list
    #[arg(long, value_name = "I")]
    index: Option<usize>,
    /// Write a script for sbatch into this directory: a job array, one member a job
    #[arg(long, value_name = "DIRECTORY")]
    slurm: Option<PathBuf>,
    /// Write one table of all members as sweep.csv, sweep.json and a TensorBoard HPARAMS page, and print mean and spread over seeds
    #[arg(long)]
    collect: bool,
    /// Directory of the sweep [default: runs/NAME]
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Runs at once, here or on the cluster [default: 1 here, no limit there]
    #[arg(long, value_name = "J", value_parser = clap::value_parser!(u32).range(1..=4096))]
    jobs: Option<u32>,
    /// Try failed members again
    #[arg(long)]
    retry: bool,
    /// A line for #SBATCH, for example --sbatch=--gres=gpu:1; may be repeated
    #[arg(long, value_name = "OPTION", requires = "slurm")]
    sbatch: Vec<String>,
    /// Columns of the printed table: scalars whose tags contain one of these
    #[arg(
        long,
        value_name = "TEXT,...",
        value_delimiter = ',',
        default_value = "evaluate/elbo,evaluation/elbo,total_correlation,score/"
    )]
    columns: Vec<String>,
    /// Print one JSON object on standard output, and everything else on standard error
    #[arg(long)]
    json: bool,
}

const EPILOGUE: &str = "A grid:
  { \"name\": \"tc\", \"base\": \"../beta_tcvae_sprites.json\", \"set\": { \"train.steps\": 20000 },
    \"grids\": [ { \"product\": { \"method.tc_weight\": [1, 4], \"seed\": { \"from\": 0, \"to\": 4 } } } ] }
\"product\": all combinations; \"zip\": lists of one length that vary together; \"set\": the same in all
members of the file, or of its grid. Values are a list, or a range of integers with both ends,
{\"from\", \"to\", \"step\"}. Several grids are put after one another. \"base\" is a file, from the
grid's folder, or a configuration. \"share_gpu\": 8 runs eight members at a time in one process, in
turn, each as it would run alone: small networks leave most of a GPU idle.

Files, below --out: MEMBER/ is a run; sweep/logs/MEMBER.log what it said, session after session;
sweep/failures/MEMBER.json why it failed; sweep.csv, sweep.json and sweep/hparams/ are --collect's.
--collect also reads what evaluate found of a member (tags evaluation/...). Ctrl-C saves every run
that is under way and ends; the runs of a sweep that is killed save and end by themselves.

Examples:
  sweep experiments/configs/sweeps/tc_weights.json --list
  sweep experiments/configs/sweeps/tc_weights.json --run --jobs 2
  sweep experiments/configs/sweeps/tc_weights.json --collect
  sweep experiments/configs/sweeps/locatello_sprites.json --slurm jobs --sbatch=--gres=gpu:1
  sbatch jobs/locatello_sprites.sbatch    # again after failures: finished members end at once

Exit codes: 0 done, 1 members failed, 2 bad input, 130 interrupted.";

fn main() -> ExitCode {
    cli::run(run)
}

fn run(arguments: &Arguments) -> Result<()> {
    let sweep = Sweep::read(&arguments.grid)?;
    let out = arguments.out.clone().unwrap_or_else(|| Path::new("runs").join(&sweep.name));
    if let Some(index) = arguments.index {
        let Some(member) = sweep.members.get(index) else {
            return refuse("--index", format!("expected a number from 0 to {}, got {index}", sweep.members.len() - 1));
        };
        return run_one(member, &out, arguments.retry);
    }
    if let Some(directory) = &arguments.slurm {
        return write_script(&sweep, &out, directory, arguments);
    }
    if arguments.run {
        match (sweep.share_gpu, arguments.jobs) {
            (1, jobs) => run_all(&sweep, &out, jobs.unwrap_or(1) as usize, arguments.retry)?,
            (_, None | Some(1)) => run_shared(&sweep, &out, arguments.retry)?,
            (share, Some(jobs)) => {
                return refuse(
                    "--jobs",
                    format!("expected 1, as share_gpu runs {share} members in one process, got {jobs}"),
                );
            }
        }
        eprintln!("all {} members are finished: sweep {} --collect", sweep.members.len(), arguments.grid.display());
        return Ok(());
    }
    if arguments.list { list(&sweep, &out, arguments.json) } else { write_table(&sweep, &out, arguments) }
}

fn list(sweep: &Sweep, out: &Path, json: bool) -> Result<()> {
    let standings: Vec<Standing> = sweep.members.iter().map(|member| Standing::of(out, member)).collect();
    let mut table = Table::new();
    table.load_style(terminal::STYLE).set_header(["", "member", "standing", ""]);
    let mut members = Vec::new();
    for (member, standing) in sweep.members.iter().zip(&standings) {
        let detail = match standing {
            Standing::Failed { reason, .. } => reason.clone(),
            Standing::Begun { step } | Standing::Running { step } => format!("step {step} of {}", member.steps()),
            Standing::Waiting | Standing::Finished => String::new(),
        };
        table.add_row([member.index.to_string(), member.name.clone(), standing.word().to_owned(), detail.clone()]);
        members
            .push(json!({ "index": member.index, "name": member.name, "standing": standing.word(), "detail": detail }));
    }
    let count = |word: &str| standings.iter().filter(|standing| standing.word() == word).count();
    let counts = ["finished", "failed", "running", "begun", "waiting"].map(|word| format!("{} {word}", count(word)));
    let text = format!("{}\n{} members of {}: {}\n", table.trim_fmt(), members.len(), sweep.name, counts.join(", "));
    let object = json!({ "name": sweep.name, "members": members });
    Ok(terminal::present(&text, json.then_some(&object))?)
}

fn write_table(sweep: &Sweep, out: &Path, arguments: &Arguments) -> Result<()> {
    let collected = collect(sweep, out);
    if collected.finished() == 0 {
        return refuse("--collect", format!("{}: expected at least one finished member, got none", out.display()));
    }
    let object = collected.json();
    let (csv, json) = (out.join("sweep.csv"), out.join("sweep.json"));
    write_atomically(&csv, &collected.csv()?)?;
    write_atomically(&json, format!("{object:#}\n").as_bytes())?;
    let hparams = collected.write_hparams(out)?;
    let next = terminal::next_commands(&[
        ("mean and spread in HPARAMS", &format!("make tensorboard LOGDIR={}", hparams.display())),
        ("all curves", &format!("make tensorboard LOGDIR={}", out.display())),
    ]);
    let words = format!("{} of {} members are finished", collected.finished(), sweep.members.len());
    let mut failures = String::new();
    for (name, reason) in collected.failures() {
        writeln!(failures, "failed: {name}: {reason}")?;
    }
    let text = format!(
        "{}\n{words}; over seeds: mean ± standard deviation\n{failures}{}\n{}\n{}\n{next}",
        collected.table(&arguments.columns),
        csv.display(),
        json.display(),
        hparams.display()
    );
    Ok(terminal::present(&text, arguments.json.then_some(&object))?)
}

fn write_script(sweep: &Sweep, out: &Path, directory: &Path, arguments: &Arguments) -> Result<()> {
    let program = std::env::current_exe().context("this program cannot be found")?;
    let logs = out.join("sweep");
    for folder in [directory, &logs] {
        std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
    }
    let file = directory.join(format!("{}.sbatch", sweep.name));
    let out = out.canonicalize().with_context(|| format!("{}: cannot be found", out.display()))?;
    let jobs = arguments.jobs.map(|jobs| jobs as usize);
    write_atomically(&file, script(sweep, &program, &out, jobs, &arguments.sbatch).as_bytes())?;
    let text = format!("{} members: sbatch {}\n", sweep.members.len(), file.display());
    let object = json!({ "script": file, "members": sweep.members.len() });
    Ok(terminal::present(&text, arguments.json.then_some(&object))?)
}
