//! How a member stands, read from what its run left behind.

use super::Member;
use crate::BuiltIn;
use anyhow::Result;
use elbo_runner::RunConfig;
use elbo_runner::directory::RunDirectory;
use elbo_runner::files::write_atomically;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// How a member stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// No run yet.
    Waiting,
    /// A process is at work on it.
    Running {
        /// Updates that its curves reach to.
        step: u64,
    },
    /// Begun, not at its end, and at rest: stopped by a signal; a sweep goes on with it.
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
        let is_done = |summary: &Value| {
            summary["status"] == "finished" && summary["steps"].as_u64().is_some_and(|done| done >= member.steps())
        };
        if json_of(&places.run.join("summary.json")).as_ref().is_some_and(is_done) {
            return changed(&places, member).map_or(Self::Finished, |reason| Self::Failed { code: 2, reason });
        }
        if RunDirectory::refuse_locked(&places.run).is_err() {
            return Self::Running { step: step_of(&places.run) };
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
            Self::Running { .. } => "running",
            Self::Begun { .. } => "begun",
            Self::Finished => "finished",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Why the finished run in a member's place is not the member's: the grid or its base was edited after it ran.
fn changed(places: &Places, member: &Member) -> Option<String> {
    // What a run is called, where it runs, and how often it is looked at changes nothing of what is learnt.
    let learnt = |mut config: Value| {
        for field in ["name", "device", "train"] {
            config.as_object_mut()?.shift_remove(field);
        }
        Some(config)
    };
    let file = places.run.join("config.json");
    let stored = json_of(&file)?.get("config").cloned()?;
    let stored = serde_json::to_value(RunConfig::<BuiltIn>::from_value(stored, "").ok()?).ok()?;
    let (ran, asked) = (learnt(stored)?, learnt(member.config.clone())?);
    let field = asked.as_object()?.iter().find(|(field, value)| ran.get(field.as_str()) != Some(*value))?.0;
    let (ran, asked) = (&ran[field], &asked[field]);
    Some(format!(
        "{} is of another configuration ({field} is {ran} there, {asked} in the grid); move it away, or give --out",
        places.run.display()
    ))
}

/// Whether a run has just ended because another process has its directory.
pub(super) fn in_use(places: &Places) -> bool {
    last_line(places).contains("is in use by another process")
}

fn last_line(places: &Places) -> String {
    let log = fs::read(&places.log).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing in its log").to_owned()
}

/// Writes down that a member ended with an error.
pub(super) fn record_failure(places: &Places, code: Option<i32>) -> Result<String> {
    let reason = last_line(places).trim_start_matches("error: ").to_owned();
    // None: ended by a signal, such as SIGKILL of a machine without memory.
    let reason = if code.is_none() { format!("killed by a signal; last: {reason}") } else { reason };
    let object = json!({ "exit_code": code, "reason": reason });
    write_atomically(&places.failure, format!("{object:#}\n").as_bytes())?;
    Ok(reason)
}

/// The step of the last row of the run's `metrics.csv`.
pub(super) fn step_of(run: &Path) -> u64 {
    let Ok(text) = fs::read_to_string(run.join("metrics.csv")) else { return 0 };
    text.lines().rev().find_map(|line| line.split(',').next()?.parse().ok()).unwrap_or(0)
}

pub(super) fn json_of(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}
