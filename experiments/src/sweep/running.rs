//! Members as processes of this machine.

use super::standing::{Places, Standing, record_failure};
use super::{Member, Sweep};
use anyhow::{Context, Result};
use elbo_runner::files::write_atomically;
use elbo_runner::signals::Interruption;
use elbo_runner::{CheckFailed, Interrupted};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{available_parallelism, sleep};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// A member that is running.
struct Job<'a> {
    member: &'a Member,
    places: Places,
    child: Child,
}

/// Runs every member that is not finished, `jobs` at once; those that failed before only with `retry`.
///
/// A signal is passed on to the runs, which save and end; the next call goes on with them.
///
/// # Errors
/// [`Interrupted`] after a signal; [`CheckFailed`] with the number of failed members at the end; otherwise when a process cannot be started.
pub fn run_all(sweep: &Sweep, out: &Path, jobs: usize, retry: bool) -> Result<()> {
    let interruption = Interruption::watch()?;
    let mut waiting: VecDeque<&Member> = VecDeque::new();
    for member in &sweep.members {
        match Standing::of(out, member) {
            Standing::Finished => {}
            Standing::Failed { .. } if !retry => {}
            _ => waiting.push_back(member),
        }
    }
    let total = sweep.members.len();
    let display = Display::new(total, total - waiting.len());
    let threads = (available_parallelism().map_or(1, usize::from) / jobs.max(1)).max(1);
    let mut running: Vec<Job<'_>> = Vec::new();
    while !(waiting.is_empty() && running.is_empty()) {
        if interruption.seen() {
            stop(&mut running);
            display.end();
            return Err(Interrupted.into());
        }
        while running.len() < jobs {
            let Some(member) = waiting.pop_front() else { break };
            running.push(start(member, out, threads)?);
        }
        let mut still = Vec::new();
        for mut job in running {
            match job.child.try_wait().context("a run cannot be waited for")? {
                None => still.push(job),
                Some(status) if status.success() => display.ended(&job.member.name, "finished"),
                Some(status) => {
                    let reason = record_failure(&job.places, status.code())?;
                    display.ended(&job.member.name, &format!("failed: {reason}"));
                }
            }
        }
        running = still;
        display.running(&running);
        sleep(LOOK_EVERY);
    }
    display.end();
    let failed = sweep.members.iter().filter(|member| matches!(Standing::of(out, member), Standing::Failed { .. }));
    match failed.count() {
        0 => Ok(()),
        failed => {
            Err(CheckFailed(format!("{failed} of {total} members failed; --list says why, --retry tries them again"))
                .into())
        }
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
            let reason = record_failure(&job.places, status.code())?;
            return Err(CheckFailed(format!("{}: failed: {reason}", member.name)).into());
        }
        if interruption.seen() {
            stop(&mut vec![job]);
            return Err(Interrupted.into());
        }
        sleep(LOOK_EVERY);
    }
}

/// Starts `train` on a member; `threads` for libtorch, 0 for its own choice.
fn start<'a>(member: &'a Member, out: &Path, threads: usize) -> Result<Job<'a>> {
    let places = Places::of(out, member);
    places.prepare()?;
    if places.failure.exists() {
        fs::remove_file(&places.failure).with_context(|| format!("{}: cannot be removed", places.failure.display()))?;
    }
    write_atomically(&places.config, format!("{:#}\n", member.config).as_bytes())?;
    let log = File::create(&places.log).with_context(|| format!("{}: cannot be made", places.log.display()))?;
    let program = std::env::current_exe().context("this program cannot be found")?.with_file_name("train");
    let mut command = Command::new(&program);
    command.arg(&places.config).arg("--run-dir").arg(&places.run).arg("--resume").stdin(Stdio::null());
    command.stdout(log.try_clone()?).stderr(log);
    // With as many threads as cores in each of several processes, libtorch's threads wait for each other.
    if threads > 0 && std::env::var_os("OMP_NUM_THREADS").is_none() {
        command.env("OMP_NUM_THREADS", threads.to_string());
    }
    let child = command.spawn().with_context(|| format!("{}: cannot be started", program.display()))?;
    Ok(Job { member, places, child })
}

/// Asks the runs to save and end, and waits until they have.
fn stop(running: &mut Vec<Job<'_>>) {
    for job in running.iter() {
        if let Some(process) = i32::try_from(job.child.id()).ok().and_then(Pid::from_raw) {
            // A run that has just ended cannot be told, and need not be.
            let _ = kill_process(process, Signal::TERM);
        }
    }
    for job in running {
        let _ = job.child.wait();
    }
}

/// One line of progress for all members, and a line for each that ends.
struct Display {
    bar: Option<ProgressBar>,
}

impl Display {
    fn new(total: usize, done: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} members  {eta} left  {wide_msg}");
            let bar = ProgressBar::new(total as u64).with_position(done as u64);
            bar.with_style(style.expect("the template is constant").progress_chars("━╸ "))
        });
        Self { bar }
    }

    fn ended(&self, name: &str, how: &str) {
        match &self.bar {
            Some(bar) => {
                bar.println(format!("{name}: {how}"));
                bar.inc(1);
            }
            None => eprintln!("{name}: {how}"),
        }
    }

    fn running(&self, jobs: &[Job<'_>]) {
        if let Some(bar) = &self.bar {
            let names: Vec<&str> = jobs.iter().map(|job| job.member.name.as_str()).collect();
            bar.set_message(names.join(", "));
            bar.tick();
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
