//! What a person sees of a sweep that runs.

use elbo_runner::terminal::duration;
use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Instant;

/// One line of progress for all members, and a line for each that ends.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    started: Instant,
}

impl Display {
    pub(super) fn new(total: usize, done: usize) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:24} {pos}/{len} members  {eta} left  {wide_msg}");
            let bar = ProgressBar::new(total as u64).with_position(done as u64);
            bar.with_style(style.expect("the template is constant").progress_chars("━╸ "))
        });
        Self { bar, started: Instant::now() }
    }

    /// A line about a member.
    pub(super) fn say(&self, name: &str, what: &str) {
        match &self.bar {
            Some(bar) => bar.println(format!("{name}: {what}")),
            None => eprintln!("{name}: {what}"),
        }
    }

    /// A member has ended, one way or another; `left` have not.
    pub(super) fn ended(&self, name: &str, how: &str, left: usize) {
        match &self.bar {
            Some(bar) => {
                bar.println(format!("{name}: {how}"));
                bar.inc(1);
            }
            None => eprintln!("{name}: {how} ({left} left after {})", duration(self.started.elapsed().as_secs_f64())),
        }
    }

    /// The members at work, with the steps they are at.
    pub(super) fn running<'a>(&self, jobs: impl Iterator<Item = (&'a str, u64, u64)>) {
        let Some(bar) = &self.bar else { return };
        let mut text = String::new();
        for (name, step, steps) in jobs {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{name} {}%", 100 * step / steps.max(1));
        }
        bar.set_message(text);
        bar.tick();
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
