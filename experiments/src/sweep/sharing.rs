//! Members that share a GPU: several runs in one process, advanced in turn.
//!
//! A small network leaves most of a GPU idle, and a captured step costs the host one call: while the device works on one run's step, the
//! host hands it the next run's, each in a stream of its own. Runs own their generators, curves and checkpoints, so that what each learns
//! is what it would have learnt alone.

use super::queue::Queue;
use super::running::{LOOK_EVERY, begin};
use super::standing::Places;
use super::{Member, Sweep};
use crate::BuiltIn;
use anyhow::Result;
use elbo_runner::cli::exit_code;
use elbo_runner::run::Note;
use elbo_runner::signals::Interruption;
use elbo_runner::{Event, Interrupted, Run, RunConfig, RunOptions};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread::sleep;

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
    let mut process = Process { out, queue: Queue::new(sweep, out, retry), running: Vec::new() };
    while !process.queue.is_done() {
        process.fill(sweep.share_gpu)?;
        process.advance()?;
        if interruption.seen() {
            process.interrupt();
            return Err(Interrupted.into());
        }
        process.queue.show(process.running.iter().map(|shared| (shared.member, shared.run.step())));
        if process.running.is_empty() && !process.queue.is_done() {
            // All that are left are another process's.
            sleep(LOOK_EVERY);
        }
    }
    process.queue.end()
}

struct Process<'a> {
    out: &'a Path,
    queue: Queue<'a>,
    running: Vec<Shared<'a>>,
}

impl<'a> Process<'a> {
    /// Opens members until `share` of them run.
    fn fill(&mut self, share: usize) -> Result<()> {
        while self.running.len() < share
            && let Some(member) = self.queue.next()
        {
            self.open(member)?;
        }
        Ok(())
    }

    fn open(&mut self, member: &'a Member) -> Result<()> {
        let (places, mut log) = begin(member, self.out)?;
        let opened = || -> Result<Run<BuiltIn>> {
            let origin = places.config.display().to_string();
            let config = RunConfig::from_value(member.config.clone(), &origin)?;
            let options = RunOptions { config: Some(config), origin, directory: places.run.clone(), resume: true };
            let mut unwritten = Ok(());
            let run = Run::open(&options, &mut |text| {
                if let Err(error) = writeln!(&log, "{text}") {
                    unwritten = Err(error);
                }
            })?;
            unwritten?;
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
                    self.queue.finished(shared.member);
                }
                Ok(_) => self.running.push(shared),
                Err(error) => self.failed(shared.member, &shared.places, &mut shared.log, &error)?,
            }
        }
        Ok(())
    }

    /// Saves every run, and says so of each in its log. One that cannot be saved has its last checkpoint.
    fn interrupt(self) {
        for mut shared in self.running {
            let saved = shared.run.rejoin().and_then(|()| shared.run.interrupt());
            let line = match saved {
                Ok(_) => format!("interrupted after step {}; everything is saved", shared.run.step()),
                Err(error) => format!("error: {error:#}"),
            };
            // The log is the last thing that could be told; there is nobody else to tell.
            let _ = writeln!(shared.log, "{line}");
        }
        self.queue.interrupt();
    }

    fn failed(&mut self, member: &'a Member, places: &Places, log: &mut File, error: &anyhow::Error) -> Result<()> {
        writeln!(log, "error: {error:#}")?;
        self.queue.failed(member, places, Some(i32::from(exit_code(error))))
    }
}
