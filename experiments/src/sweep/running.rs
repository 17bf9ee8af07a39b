//! Members as processes of this machine.

use super::leash;
use super::queue::Queue;
use super::standing::{Places, Standing, in_use, record_failure, step_of};
use super::{Member, Sweep};
use anyhow::{Context, Result};
use elbo_runner::files::write_atomically;
use elbo_runner::signals::Interruption;
use elbo_runner::{CheckFailed, Interrupted};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

/// How often members are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);

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
    let threads = (available_parallelism().map_or(1, usize::from) / jobs.max(1)).max(1);
    let mut queue = Queue::new(sweep, out, retry);
    let mut running: Vec<Job<'_>> = Vec::new();
    while !queue.is_done() {
        if interruption.seen() {
            stop(running);
            queue.interrupt();
            return Err(Interrupted.into());
        }
        while running.len() < jobs
            && let Some(member) = queue.next()
        {
            running.push(start(member, out, threads)?);
        }
        for mut job in std::mem::take(&mut running) {
            match job.child.try_wait().context("a run cannot be waited for")? {
                None => running.push(job),
                Some(status) if status.success() => queue.finished(job.member),
                Some(status) => queue.failed(job.member, &job.places, status.code())?,
            }
        }
        queue.show(running.iter().map(|job| (job.member, step_of(&job.places.run))));
        sleep(LOOK_EVERY);
    }
    queue.end()
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
