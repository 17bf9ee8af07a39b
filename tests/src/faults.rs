//! Faults, each tried many times on the real program, and what must hold after each: nothing that was saved is lost, nothing damaged is
//! used in silence, every error is one line.

mod cache;
mod damage;
mod disk;
mod process;

use elbo_runner::checkpoint::{self, Checkpoint};
use elbo_runner::records::metrics_csv;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What was tried and how often; an error says what did not hold.
pub type Verdict = Result<String, String>;
/// One kind of fault.
pub type Fault = fn(&Bench) -> Verdict;

/// All faults by name.
pub fn all() -> [(&'static str, Fault); 11] {
    [
        ("kill", process::kill),
        ("terminate", process::terminate),
        ("two-processes", process::two_processes),
        ("clock", process::clock),
        ("memory", process::memory),
        ("disk-full", disk::full),
        ("read-only", disk::read_only),
        ("checkpoints", damage::checkpoints),
        ("data", damage::data),
        ("picture-cache", cache::pictures),
        ("sprite-cache", cache::sprites),
    ]
}

/// A program to try, and a folder for what it leaves.
pub struct Bench {
    train: PathBuf,
    folder: TempDir,
}

/// The end of a run, for comparison: parameters and optimiser bit for bit, and the curves.
#[derive(PartialEq)]
pub struct End {
    tensors: BTreeMap<String, Vec<u8>>,
    curves: Vec<(u64, String, u64)>,
}

impl Bench {
    /// Tries `train`.
    pub fn new(train: PathBuf) -> Self {
        Self { train, folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A run of `steps` small steps that reports and saves often.
    fn configuration(&self, name: &str, steps: u64) -> PathBuf {
        let config = json!({
            "name": name, "seed": 3, "device": "cpu", "precision": "float32",
            "data": { "source": "sprites", "batch_size": 16,
                      "subset": { "orientation": "0..40/10", "position_x": "0..32/8", "position_y": "0..32/8" } },
            "model": { "network": "mlp", "latent": 3, "likelihood": "bernoulli", "encoder_hidden": [16],
                       "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "relu" },
            "method": { "name": "beta-vae", "beta": 2.0 },
            "optimizer": { "name": "adam", "learning_rate": 1e-3 },
            "train": { "steps": steps, "log_every": 5, "images_every": 40, "evaluate_every": 50, "checkpoint_every": 4,
                       "keep_checkpoints": 3, "evaluate_subset": 64, "evaluate_samples": 32, "capture": "auto" }
        });
        let file = self.path(&format!("{name}.json"));
        fs::write(&file, config.to_string()).expect("written");
        file
    }

    /// `train CONFIG --run-dir RUN --resume --quiet`, on one thread.
    fn command(&self, config: &Path, run: &Path) -> Command {
        let mut command = Command::new(&self.train);
        command.arg(config).arg("--run-dir").arg(run).args(["--resume", "--quiet"]).env("OMP_NUM_THREADS", "1");
        command.env("ELBO_CACHE", self.path("cache")).stdin(Stdio::null());
        command
    }

    /// The same run, undisturbed.
    fn undisturbed(&self, config: &Path, name: &str) -> Result<End, String> {
        let run = self.path(name);
        succeed(&mut self.command(config, &run))?;
        end(&run)
    }
}

/// Exit code 0, or what the program said.
fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("a run ended with {}: {}", output.status, words(&output)))
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The one line of an error that ended the program with exit code `code`.
fn one_line(output: &Output, code: i32) -> Result<String, String> {
    let said = words(output);
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    let is_last = said.lines().next_back() == errors.first().copied();
    if output.status.code() == Some(code) && errors.len() == 1 && is_last && !said.contains("panicked") {
        return Ok(errors[0].to_owned());
    }
    Err(format!("expected exit code {code} and one line, got {} and: {said}", output.status))
}

/// Where a run has come to. Fails where its checkpoint or its curves are damaged, or a point of a curve is there twice.
fn end(run: &Path) -> Result<End, String> {
    let newest = checkpoint::list(&run.join("checkpoints")).map_err(|error| error.to_string())?;
    let (_, file) = newest.first().ok_or("no checkpoint")?;
    Checkpoint::read(file).map_err(|error| error.to_string())?;
    let bytes = fs::read(file).map_err(|error| error.to_string())?;
    let tensors = safetensors::SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
    let tensors = tensors.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect();
    let metrics = metrics_csv::read(&run.join("metrics.csv")).map_err(|error| error.to_string())?;
    let curves: Vec<(u64, String, u64)> = metrics
        .into_iter()
        .filter(|metric| !metric.tag.starts_with("speed/"))
        .map(|metric| (metric.step, metric.tag, metric.value.to_bits()))
        .collect();
    let mut points: Vec<_> = curves.iter().map(|(step, tag, _)| (step, tag)).collect();
    points.sort();
    if let Some(twice) = points.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{}: {} of step {} is there twice", run.display(), twice[0].1, twice[0].0));
    }
    Ok(End { tensors, curves })
}

/// Compares a run with the undisturbed one, and looks for what should have been cleared away.
fn same(run: &Path, expected: &End) -> Result<(), String> {
    let found = end(run)?;
    if found.tensors != expected.tensors {
        return Err(format!("{}: the parameters are not those of the undisturbed run", run.display()));
    }
    if found.curves != expected.curves {
        return Err(format!("{}: the curves are not those of the undisturbed run", run.display()));
    }
    let summary = fs::read(run.join("summary.json")).map_err(|error| error.to_string())?;
    let summary: Value = serde_json::from_slice(&summary).map_err(|error| error.to_string())?;
    if summary["status"] != "finished" {
        return Err(format!("{}: summary.json says {}", run.display(), summary["status"]));
    }
    for folder in [run.to_owned(), run.join("checkpoints"), run.join("images")] {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && name != ".lock" {
                return Err(format!("{}: left behind", entry.path().display()));
            }
        }
    }
    Ok(())
}

/// Every checkpoint that bears its final name is whole: what a listing showed was saved.
fn all_whole(run: &Path) -> Result<u64, String> {
    let list = checkpoint::list(&run.join("checkpoints")).unwrap_or_default();
    for (_, file) in &list {
        Checkpoint::read(file).map_err(|error| error.to_string())?;
    }
    Ok(list.first().map_or(0, |(step, _)| *step))
}

/// A sequence of numbers that is the same every time: `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
