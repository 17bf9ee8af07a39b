//! Progress and interruption of work that is no run: evaluations, which a signal may end at any moment.

use crate::Interrupted;
use crate::signals::Interruption;
use crate::terminal::{Mode, duration, to_standard_error};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

/// Least time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(15);

/// Shows how far a piece of work is, and ends it when a signal has come.
///
/// ```
/// use elbo_runner::terminal::Mode;
/// use elbo_runner::watch::Watch;
/// let watch = Watch::new(Mode::Quiet)?;
/// let mut encoding = watch.stage("encoding");
/// encoding.progress(64, 1000)?; // an error once Ctrl-C has been pressed
/// # Ok::<(), anyhow::Error>(())
/// ```
#[derive(Debug)]
pub struct Watch {
    interruption: Interruption,
    mode: Mode,
}

impl Watch {
    /// Watches for SIGINT and SIGTERM.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn new(mode: Mode) -> Result<Self> {
        Ok(Self { interruption: Interruption::watch()?, mode })
    }

    /// Begins a piece of work of this name.
    pub fn stage(&self, name: &str) -> Stage<'_> {
        let bar = (self.mode == Mode::Bar).then(|| {
            let style = ProgressStyle::with_template("{prefix:24} {bar:24} {percent:>3}%  {msg}");
            ProgressBar::new(1)
                .with_style(style.expect("the template is constant").progress_chars("━╸ "))
                .with_prefix(name.to_owned())
        });
        let now = Instant::now();
        Stage { watch: self, name: name.to_owned(), bar, started: now, shown: now }
    }

    /// A sentence for the person who watches; with [`Mode::Quiet`] only where it begins with `warning: `.
    pub fn say(&self, text: &str) {
        if self.mode.lets_through(text) {
            to_standard_error(text);
        }
    }
}

/// A piece of work. A bar is taken away when the value goes.
#[derive(Debug)]
pub struct Stage<'a> {
    watch: &'a Watch,
    name: String,
    bar: Option<ProgressBar>,
    started: Instant,
    shown: Instant,
}

impl Stage<'_> {
    /// `done` of `total` is done.
    ///
    /// # Errors
    /// [`Interrupted`] once a signal has come.
    pub fn progress(&mut self, done: usize, total: usize) -> Result<()> {
        if self.watch.interruption.seen() {
            return Err(Interrupted.into());
        }
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = (done > 0 && done < total).then(|| elapsed * (total - done) as f64 / done as f64);
        let left = left.map_or(String::new(), |left| format!("{} left", duration(left)));
        if let Some(bar) = &self.bar {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            bar.set_message(left);
        } else if self.watch.mode == Mode::Plain && self.shown.elapsed() >= PLAIN_EVERY {
            self.shown = Instant::now();
            let percent = 100 * done / total.max(1);
            to_standard_error(format!("{}: {percent}%  {left}", self.name).trim_end());
        }
        Ok(())
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
