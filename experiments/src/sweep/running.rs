//! Members as processes of this machine.

use super::display::Display;
use super::leash;
use super::standing::{Places, Standing, in_use, record_failure, step_of};
use super::{Member, Sweep};
use anyhow::{Context, Result};
use elbo_runner::files::write_atomically;
use elbo_runner::signals::Interruption;
use elbo_runner::{CheckFailed, Interrupted};
use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Steps of running members are read from their curves this often.
pub(super) const SHOW_EVERY: Duration = Duration::from_secs(2);

/// A member that is running.
struct Job<'a> {
    member: &'a Member,
    places: Places,
    child: Child,
}

/// Runs every member that is not finished, `jobs` at once; those that failed before only with `retry`.
///
/// A signal is passed on to the runs, which save and end; the next call goes on with them. Members that another process runs are waited
/// for, so that two sweeps of one grid share its work.
///
/// # Errors
/// [`Interrupted`] after a signal; [`CheckFailed`] with the number of failed members at the end; otherwise when a process cannot be started.
pub fn run_all(sweep: &Sweep, out: &Path, jobs: usize, retry: bool) -> Result<()> {
    let interruption = Interruption::watch()?;
    let waiting = waiting(sweep, out, retry);
    let total = sweep.members.len();
    let display = Display::new(total, total - waiting.len());
    let threads = (available_parallelism().map_or(1, usize::from) / jobs.max(1)).max(1);
    let mut queue =
        Queue { out, jobs, retry, threads, display, waiting, running: Vec::new(), elsewhere: BTreeSet::new() };
    let mut shown: Option<Instant> = None;
    while !(queue.waiting.is_empty() && queue.running.is_empty()) {
        if interruption.seen() {
            stop(queue.running);
            queue.display.end();
            return Err(Interrupted.into());
        }
        queue.fill()?;
        queue.look()?;
        if shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY) {
            let jobs = queue.running.iter();
            queue
                .display
                .running(jobs.map(|job| (job.member.name.as_str(), step_of(&job.places.run), job.member.steps())));
            shown = Some(Instant::now());
        }
        sleep(LOOK_EVERY);
    }
    queue.display.end();
    verdict(sweep, out)
}

/// The members that are still to be run.
pub(super) fn waiting<'a>(sweep: &'a Sweep, out: &Path, retry: bool) -> VecDeque<&'a Member> {
    let wanted = |member: &&Member| match Standing::of(out, member) {
        Standing::Finished => false,
        Standing::Failed { .. } => retry,
        _ => true,
    };
    sweep.members.iter().filter(wanted).collect()
}

/// Whether all members are finished, now that none is running.
pub(super) fn verdict(sweep: &Sweep, out: &Path) -> Result<()> {
    let total = sweep.members.len();
    let failed = sweep.members.iter().filter(|member| matches!(Standing::of(out, member), Standing::Failed { .. }));
    match failed.count() {
        0 => Ok(()),
        failed => {
            Err(CheckFailed(format!("{failed} of {total} members failed; --list says why, --retry tries them again"))
                .into())
        }
    }
}

/// The members that are still to be run, and those that are running.
struct Queue<'a> {
    out: &'a Path,
    jobs: usize,
    retry: bool,
    threads: usize,
    display: Display,
    waiting: VecDeque<&'a Member>,
    running: Vec<Job<'a>>,
    /// Members, by index, that have been reported as another process's.
    elsewhere: BTreeSet<usize>,
}

impl<'a> Queue<'a> {
    /// Starts members until `jobs` of them run.
    fn fill(&mut self) -> Result<()> {
        for _ in 0..self.waiting.len() {
            if self.running.len() >= self.jobs {
                break;
            }
            let Some(member) = self.waiting.pop_front() else { break };
            // Another process may have been here since the sweep began.
            match Standing::of(self.out, member) {
                Standing::Finished => self.ended(member, "finished by another process"),
                Standing::Failed { .. } if !self.retry => self.ended(member, "failed in another process"),
                Standing::Running { .. } => self.wait_for(member),
                _ => self.running.push(start(member, self.out, self.threads)?),
            }
        }
        Ok(())
    }

    /// Takes note of the members that have ended.
    fn look(&mut self) -> Result<()> {
        for mut job in std::mem::take(&mut self.running) {
            match job.child.try_wait().context("a run cannot be waited for")? {
                None => self.running.push(job),
                Some(status) if status.success() => self.ended(job.member, "finished"),
                Some(_) if in_use(&job.places) => self.wait_for(job.member),
                Some(status) => {
                    let reason = record_failure(&job.places, status.code())?;
                    self.ended(job.member, &format!("failed: {reason}"));
                }
            }
        }
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

/// Runs one member to its end, as a job of an array does.
///
/// # Errors
/// As [`run_all`].
pub fn run_one(member: &Member, out: &Path, retry: bool) -> Result<()> {
    let interruption = Interruption::watch()?;
    match Standing::of(out, member) {
        Standing::Finished => {
            eprintln!("{}: all steps are done", member.name);
            return Ok(());
        }
        Standing::Failed { reason, .. } if !retry => {
            return Err(CheckFailed(format!("{}: failed before: {reason}; --retry tries it again", member.name)).into());
        }
        Standing::Running { .. } => return Err(elsewhere(member)),
        _ => {}
    }
    let mut job = start(member, out, 0)?;
    loop {
        if let Some(status) = job.child.try_wait().context("the run cannot be waited for")? {
            if interruption.seen() {
                return Err(Interrupted.into());
            }
            if status.success() {
                return Ok(());
            }
            if in_use(&job.places) {
                return Err(elsewhere(member));
            }
            let reason = record_failure(&job.places, status.code())?;
            return Err(CheckFailed(format!("{}: failed: {reason}", member.name)).into());
        }
        if interruption.seen() {
            stop(vec![job]);
            return Err(Interrupted.into());
        }
        sleep(LOOK_EVERY);
    }
}

fn elsewhere(member: &Member) -> anyhow::Error {
    CheckFailed(format!("{}: is being run by another process", member.name)).into()
}

/// Writes a member's configuration, and opens its log.
pub(super) fn begin(member: &Member, out: &Path) -> Result<(Places, File)> {
    let places = Places::of(out, member);
    places.prepare()?;
    if places.failure.exists() {
        fs::remove_file(&places.failure).with_context(|| format!("{}: cannot be removed", places.failure.display()))?;
    }
    write_atomically(&places.config, format!("{:#}\n", member.config).as_bytes())?;
    // Sessions after one another: what an earlier one said of its end stays.
    let log = File::options().create(true).append(true).open(&places.log);
    let log = log.with_context(|| format!("{}: cannot be written", places.log.display()))?;
    Ok((places, log))
}

/// Starts `train` on a member; `threads` for libtorch, 0 for its own choice.
fn start<'a>(member: &'a Member, out: &Path, threads: usize) -> Result<Job<'a>> {
    let (places, log) = begin(member, out)?;
    let program = std::env::current_exe().context("this program cannot be found")?.with_file_name("train");
    let mut command = Command::new(&program);
    command.arg(&places.config).arg("--run-dir").arg(&places.run).arg("--resume");
    command.stdin(Stdio::piped()).env(leash::VARIABLE, "1");
    command.stdout(log.try_clone()?).stderr(log);
    // With as many threads as cores in each of several processes, libtorch's threads wait for each other.
    if threads > 0 && std::env::var_os("OMP_NUM_THREADS").is_none() {
        command.env("OMP_NUM_THREADS", threads.to_string());
    }
    let child = command.spawn().with_context(|| format!("{}: cannot be started", program.display()))?;
    Ok(Job { member, places, child })
}

/// Lets go of the runs, which save and end, and waits until they have.
fn stop(mut running: Vec<Job<'_>>) {
    for job in &mut running {
        drop(job.child.stdin.take());
    }
    for job in &mut running {
        // A run that cannot be waited for is gone.
        let _ = job.child.wait();
    }
}
