//! How a member stands, read from what its run left behind.

use super::Member;
use anyhow::Result;
use elbo_runner::files::write_atomically;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// How a member stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// No run yet.
    Waiting,
    /// Begun and not at its end: running, or stopped by a signal; a sweep goes on with it.
    Begun {
        /// Updates that its curves reach to.
        step: u64,
    },
    /// All steps are done.
    Finished,
    /// Ended with an error; tried again on request.
    Failed {
        /// Exit code.
        code: i64,
        /// The last line of its log.
        reason: String,
    },
}

/// The places of a member below the sweep's directory.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) run: PathBuf,
    pub(super) config: PathBuf,
    pub(super) log: PathBuf,
    pub(super) failure: PathBuf,
}

impl Places {
    pub(super) fn of(out: &Path, member: &Member) -> Self {
        let name = &member.name;
        Self {
            run: out.join(name),
            config: out.join("sweep/configs").join(format!("{name}.json")),
            log: out.join("sweep/logs").join(format!("{name}.log")),
            failure: out.join("sweep/failures").join(format!("{name}.json")),
        }
    }

    /// Makes the folders that files go to.
    pub(super) fn prepare(&self) -> Result<()> {
        for file in [&self.config, &self.log, &self.failure] {
            let folder = file.parent().expect("a file in a folder");
            fs::create_dir_all(folder)
                .map_err(|error| anyhow::anyhow!("{}: cannot be made: {error}", folder.display()))?;
        }
        Ok(())
    }
}

impl Standing {
    /// Looks at a member of the sweep in `out`.
    pub fn of(out: &Path, member: &Member) -> Self {
        let places = Places::of(out, member);
        let steps = member.config["train"]["steps"].as_u64().unwrap_or(0);
        let is_done = |summary: &Value| {
            summary["status"] == "finished" && summary["steps"].as_u64().is_some_and(|done| done >= steps)
        };
        if json_of(&places.run.join("summary.json")).as_ref().is_some_and(is_done) {
            return Self::Finished;
        }
        if let Some(failure) = json_of(&places.failure) {
            let reason = failure["reason"].as_str().unwrap_or("for no known reason").to_owned();
            return Self::Failed { code: failure["exit_code"].as_i64().unwrap_or(-1), reason };
        }
        if places.run.join("config.json").exists() { Self::Begun { step: step_of(&places.run) } } else { Self::Waiting }
    }

    /// One word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun { .. } => "begun",
            Self::Finished => "finished",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Writes down that a member ended with an error.
pub(super) fn record_failure(places: &Places, code: Option<i32>) -> Result<String> {
    let log = fs::read_to_string(&places.log).unwrap_or_default();
    let last = log.lines().rev().find(|line| !line.trim().is_empty());
    let reason = last.map_or("nothing in its log", |line| line.trim_start_matches("error: ")).to_owned();
    // None: ended by a signal, such as SIGKILL of a machine without memory.
    let reason = if code.is_none() { format!("killed by a signal; last: {reason}") } else { reason };
    let object = json!({ "exit_code": code, "reason": reason });
    write_atomically(&places.failure, format!("{object:#}\n").as_bytes())?;
    Ok(reason)
}

/// The step of the last row of the run's `metrics.csv`.
fn step_of(run: &Path) -> u64 {
    let Ok(text) = fs::read_to_string(run.join("metrics.csv")) else { return 0 };
    text.lines().rev().find_map(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

pub(super) fn json_of(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}
