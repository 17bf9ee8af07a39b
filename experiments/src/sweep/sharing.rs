//! Members that share a GPU: several runs in one process, advanced in turn.
//!
//! A small network leaves most of a GPU idle, and a captured step costs the host one call: while the device works on one run's step, the
//! host hands it the next run's, each in a stream of its own. Runs own their generators, curves and checkpoints, so that what each learns
//! is what it would have learnt alone.

use super::display::Display;
use super::running::{LOOK_EVERY, SHOW_EVERY, begin, verdict, waiting};
use super::standing::{Places, Standing, in_use, record_failure};
use super::{Member, Sweep};
use crate::BuiltIn;
use anyhow::Result;
use elbo_runner::cli::exit_code;
use elbo_runner::run::Note;
use elbo_runner::signals::Interruption;
use elbo_runner::{Event, Interrupted, Run, RunConfig, RunOptions};
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;
use std::time::Instant;

/// A member at work.
struct Shared<'a> {
    member: &'a Member,
    places: Places,
    log: File,
    run: Run<BuiltIn>,
}

/// Runs every member that is not finished, `sweep.share_gpu` of them at a time in this process; those that failed before only with
/// `retry`.
///
/// # Errors
/// As [`run_all`](super::run_all).
pub fn run_shared(sweep: &Sweep, out: &Path, retry: bool) -> Result<()> {
    let interruption = Interruption::watch()?;
    let waiting = waiting(sweep, out, retry);
    let total = sweep.members.len();
    let display = Display::new(total, total - waiting.len());
    let mut process = Process { out, retry, waiting, display, running: Vec::new(), elsewhere: BTreeSet::new() };
    let mut shown: Option<Instant> = None;
    while !(process.waiting.is_empty() && process.running.is_empty()) {
        process.fill(sweep.share_gpu)?;
        process.advance()?;
        if interruption.seen() {
            process.interrupt();
            return Err(Interrupted.into());
        }
        if shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY) {
            let running = process.running.iter();
            let steps = running.map(|shared| (shared.member.name.as_str(), shared.run.step(), shared.member.steps()));
            process.display.running(steps);
            shown = Some(Instant::now());
        }
        if process.running.is_empty() && !process.waiting.is_empty() {
            // All that are left are another process's.
            sleep(LOOK_EVERY);
        }
    }
    process.display.end();
    verdict(sweep, out)
}

/// The members that are still to be run, and those that are running.
struct Process<'a> {
    out: &'a Path,
    retry: bool,
    waiting: VecDeque<&'a Member>,
    display: Display,
    running: Vec<Shared<'a>>,
    /// Members, by index, that have been reported as another process's.
    elsewhere: BTreeSet<usize>,
}

impl<'a> Process<'a> {
    /// Opens members until `share` of them run.
    fn fill(&mut self, share: usize) -> Result<()> {
        for _ in 0..self.waiting.len() {
            if self.running.len() >= share {
                break;
            }
            let Some(member) = self.waiting.pop_front() else { break };
            match Standing::of(self.out, member) {
                Standing::Finished => self.ended(member, "finished by another process"),
                Standing::Failed { .. } if !self.retry => self.ended(member, "failed in another process"),
                Standing::Running { .. } => self.wait_for(member),
                _ => self.open(member)?,
            }
        }
        Ok(())
    }

    fn open(&mut self, member: &'a Member) -> Result<()> {
        let (places, mut log) = begin(member, self.out)?;
        let opened = || -> Result<Run<BuiltIn>> {
            let origin = places.config.display().to_string();
            let config = RunConfig::from_value(member.config.clone(), &origin)?;
            let options = RunOptions { config: Some(config), origin, directory: places.run.clone(), resume: true };
            let run = Run::open(&options, &mut |_| {})?;
            run.rejoin()?;
            Ok(run)
        };
        match opened() {
            Ok(run) => {
                writeln!(log, "{}: from step {}, beside others in one process", places.run.display(), run.step())?;
                self.running.push(Shared { member, places, log, run });
                Ok(())
            }
            Err(error) => self.failed(member, &places, &mut log, &error),
        }
    }

    /// One step of every run.
    fn advance(&mut self) -> Result<()> {
        for mut shared in std::mem::take(&mut self.running) {
            let event = shared.run.advance_apart();
            for note in shared.run.take_notes() {
                match note {
                    Note::Information(text) => writeln!(shared.log, "{text}")?,
                    Note::Warning(text) => writeln!(shared.log, "warning: {text}")?,
                }
            }
            match event {
                Ok(Event::Finished) => {
                    shared.run.rejoin()?;
                    writeln!(shared.log, "all {} steps are done", shared.run.step())?;
                    self.ended(shared.member, "finished");
                }
                Ok(_) => self.running.push(shared),
                Err(error) => self.failed(shared.member, &shared.places, &mut shared.log, &error)?,
            }
        }
        Ok(())
    }

    /// Saves every run, and says so of each in its log. One that cannot be saved has its last checkpoint.
    fn interrupt(&mut self) {
        for shared in &mut self.running {
            let saved = shared.run.rejoin().and_then(|()| shared.run.interrupt());
            let line = match saved {
                Ok(_) => format!("interrupted after step {}; everything is saved", shared.run.step()),
                Err(error) => format!("error: {error:#}"),
            };
            // The log is the last thing that could be told; there is nobody else to tell.
            let _ = writeln!(shared.log, "{line}");
        }
        self.display.end();
    }

    fn failed(&mut self, member: &'a Member, places: &Places, log: &mut File, error: &anyhow::Error) -> Result<()> {
        writeln!(log, "error: {error:#}")?;
        if in_use(places) {
            self.wait_for(member);
            return Ok(());
        }
        let reason = record_failure(places, Some(i32::from(exit_code(error))))?;
        self.ended(member, &format!("failed: {reason}"));
        Ok(())
    }

    fn wait_for(&mut self, member: &'a Member) {
        if self.elsewhere.insert(member.index) {
            self.display.say(&member.name, "is being run by another process; waiting for it");
        }
        self.waiting.push_back(member);
    }

    fn ended(&self, member: &Member, how: &str) {
        self.display.ended(&member.name, how, self.waiting.len() + self.running.len());
    }
}
