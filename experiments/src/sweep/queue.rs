//! The members of a sweep that are still to be run, and what is said of them.

use super::display::Display;
use super::standing::{Places, Standing, in_use, record_failure};
use super::{Member, Sweep};
use anyhow::Result;
use elbo_runner::CheckFailed;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

/// Steps of running members are shown this often.
const SHOW_EVERY: Duration = Duration::from_secs(2);

/// Hands out members, one after another; whoever takes one says how it ended.
pub(super) struct Queue<'a> {
    sweep: &'a Sweep,
    out: &'a Path,
    retry: bool,
    waiting: VecDeque<&'a Member>,
    /// Members that have not ended: those that wait, and those that were handed out.
    left: usize,
    display: Display,
    shown: Option<Instant>,
    /// Members, by index, that have been reported as another process's.
    elsewhere: BTreeSet<usize>,
}

impl<'a> Queue<'a> {
    /// Every member that is not finished; those that failed before only with `retry`.
    pub(super) fn new(sweep: &'a Sweep, out: &'a Path, retry: bool) -> Self {
        let wanted = |member: &&Member| match Standing::of(out, member) {
            Standing::Finished => false,
            Standing::Failed { .. } => retry,
            _ => true,
        };
        let waiting: VecDeque<&Member> = sweep.members.iter().filter(wanted).collect();
        let (total, left) = (sweep.members.len(), waiting.len());
        let display = Display::new(total, total - left);
        Self { sweep, out, retry, waiting, left, display, shown: None, elsewhere: BTreeSet::new() }
    }

    /// Whether every member has ended.
    pub(super) fn is_done(&self) -> bool {
        self.left == 0
    }

    /// A member to run now. `None`: none is left, or all that are left are another process's.
    pub(super) fn next(&mut self) -> Option<&'a Member> {
        for _ in 0..self.waiting.len() {
            let member = self.waiting.pop_front()?;
            // Another process may have been here since the sweep began.
            match Standing::of(self.out, member) {
                Standing::Finished => self.ended(member, "finished by another process"),
                Standing::Failed { .. } if !self.retry => self.ended(member, "failed in another process"),
                Standing::Running { .. } => self.wait_for(member),
                _ => return Some(member),
            }
        }
        None
    }

    /// A member that was handed out is finished.
    pub(super) fn finished(&mut self, member: &Member) {
        self.ended(member, "finished");
    }

    /// A member that was handed out has ended with an error, the last line of its log, and this exit code (`None`: by a signal). It is
    /// handed out again where the error was that another process runs it.
    ///
    /// # Errors
    /// When the failure cannot be written down.
    pub(super) fn failed(&mut self, member: &'a Member, places: &Places, code: Option<i32>) -> Result<()> {
        if in_use(places) {
            self.wait_for(member);
        } else {
            let reason = record_failure(places, code)?;
            self.ended(member, &format!("failed: {reason}"));
        }
        Ok(())
    }

    /// Shows the members at work, with the steps they are at, from time to time.
    pub(super) fn show<'b>(&mut self, running: impl Iterator<Item = (&'b Member, u64)>) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY) {
            self.display.running(running.map(|(member, step)| (member.name.as_str(), step, member.steps())));
            self.shown = Some(Instant::now());
        }
    }

    /// Takes the display away.
    pub(super) fn interrupt(self) {
        self.display.end();
    }

    /// Whether all members are finished, now that none is running.
    ///
    /// # Errors
    /// [`CheckFailed`] with the number of those that failed.
    pub(super) fn end(self) -> Result<()> {
        self.display.end();
        let members = &self.sweep.members;
        let failed = members.iter().filter(|member| matches!(Standing::of(self.out, member), Standing::Failed { .. }));
        match failed.count() {
            0 => Ok(()),
            failed => {
                let total = members.len();
                let told = format!("{failed} of {total} members failed; --list says why, --retry tries them again");
                Err(CheckFailed(told).into())
            }
        }
    }

    fn wait_for(&mut self, member: &'a Member) {
        if self.elsewhere.insert(member.index) {
            self.display.say(&member.name, "is being run by another process; waiting for it");
        }
        self.waiting.push_back(member);
    }

    fn ended(&mut self, member: &Member, how: &str) {
        self.left -= 1;
        self.display.ended(&member.name, how, self.left);
    }
}
