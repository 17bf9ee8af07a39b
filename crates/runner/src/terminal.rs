//! What a person sees of a run: progress, notes, the table at the end.
//!
//! Progress, notes, warnings and errors go to standard error. Standard output carries the result alone: the table, or with
//! `--json` the object (and then the table goes to standard error too). Nothing here fails or panics when nobody listens.

mod number;
mod pace;
mod table;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub use number::{duration, human};
pub use table::{Row, STYLE, next_commands, rows, table, unit};

use pace::Pace;

/// Least time between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// Least time between two redrawings of the text beside the bar.
const BAR_EVERY: Duration = Duration::from_millis(200);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A bar that is redrawn in place.
    Bar,
    /// A line now and then, as a log file wants it.
    Plain,
    /// Warnings and errors only.
    Quiet,
}

impl Mode {
    /// A bar where standard error is a terminal, lines elsewhere, nothing if `quiet`.
    pub fn detect(quiet: bool) -> Self {
        match (quiet, io::stderr().is_terminal()) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bar,
            (false, false) => Self::Plain,
        }
    }

    /// Whether `text` is to be said: everything, but with [`Quiet`](Self::Quiet) only what begins with `warning: `.
    pub fn lets_through(self, text: &str) -> bool {
        self != Self::Quiet || text.starts_with("warning: ")
    }
}

/// The progress of one run.
///
/// ```
/// use elbo_runner::terminal::{Mode, Terminal};
/// let mut terminal = Terminal::new(Mode::Plain, 2000, 1000); // 2000 steps, resumed at 1000
/// terminal.advanced(1001);
/// terminal.logged(1100, &[("train/elbo".to_string(), -43.2)]);
/// terminal.note("checkpoint of step 1100");
/// terminal.finish();
/// ```
pub struct Terminal {
    output: Output,
    total: u64,
    pace: Pace,
    /// The newest values that the line shows.
    values: String,
    /// When the line was last shown, and whether a newer one waits.
    shown: Option<Instant>,
    waiting: Option<String>,
}

enum Output {
    Bar(ProgressBar),
    Lines(Box<dyn Write + Send>),
    Quiet,
}

impl Terminal {
    /// Progress from step `start` to step `total`, on standard error.
    pub fn new(mode: Mode, total: u64, start: u64) -> Self {
        let output = match mode {
            Mode::Bar => Output::Bar(bar(total, start, ProgressDrawTarget::stderr())),
            Mode::Plain => Output::Lines(Box::new(io::stderr())),
            Mode::Quiet => Output::Quiet,
        };
        Self::with_output(output, total, start)
    }

    /// Plain lines, to any writer.
    pub fn plain(total: u64, start: u64, writer: Box<dyn Write + Send>) -> Self {
        Self::with_output(Output::Lines(writer), total, start)
    }

    fn with_output(output: Output, total: u64, start: u64) -> Self {
        let pace = Pace::new(Instant::now(), start);
        Self { output, total, pace, values: String::new(), shown: None, waiting: None }
    }

    /// `step` updates are done. Cheap enough for every step.
    pub fn advanced(&mut self, step: u64) {
        let Output::Bar(bar) = &self.output else { return };
        bar.set_position(step);
        let now = Instant::now();
        if self.shown.is_none_or(|shown| now.duration_since(shown) >= BAR_EVERY) {
            self.pace.at(now, step);
            bar.set_message(self.message(step));
            self.shown = Some(now);
        }
    }

    /// New values of the curves at `step`; the line shows the ELBO, or the loss where a method has none.
    pub fn logged(&mut self, step: u64, scalars: &[(String, f64)]) {
        let now = Instant::now();
        self.pace.at(now, step);
        if let Some(values) = headline(scalars) {
            self.values = values;
        }
        match &self.output {
            Output::Quiet => {}
            Output::Bar(bar) => {
                bar.set_position(step);
                bar.set_message(self.message(step));
                self.shown = Some(now);
            }
            Output::Lines(_) => {
                self.waiting = Some(self.line(step));
                if self.shown.is_none_or(|shown| now.duration_since(shown) >= PLAIN_EVERY) {
                    self.show_waiting();
                    self.shown = Some(now);
                }
            }
        }
    }

    /// A sentence for the person who watches; not with [`Mode::Quiet`].
    pub fn note(&mut self, text: &str) {
        if !matches!(self.output, Output::Quiet) {
            self.print(&one_line(text));
        }
    }

    /// A sentence that begins with `warning: `, in every mode.
    pub fn warning(&mut self, text: impl Display) {
        self.print(&format!("warning: {}", one_line(&text.to_string())));
    }

    /// Ends the progress: the last plain line, or the bar taken away.
    pub fn finish(&mut self) {
        self.show_waiting();
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }

    /// Updates per second of late; `None` before the second log.
    pub fn steps_per_second(&self) -> Option<f64> {
        self.pace.steps_per_second()
    }

    fn print(&mut self, line: &str) {
        match &mut self.output {
            Output::Bar(bar) => bar.suspend(|| to_standard_error(line)),
            Output::Lines(writer) => {
                let _ = writeln!(writer, "{line}").and_then(|()| writer.flush());
            }
            Output::Quiet => to_standard_error(line),
        }
    }

    fn show_waiting(&mut self) {
        if let Some(line) = self.waiting.take() {
            self.print(&line);
        }
    }

    fn line(&self, step: u64) -> String {
        let width = self.total.to_string().len();
        let percent = 100.0 * step as f64 / self.total.max(1) as f64;
        format!("step {step:>width$}/{} {percent:>3.0}%  {}", self.total, self.message(step)).trim_end().to_string()
    }

    /// `31.25 steps/s  ELBO -43.21  26 s left`
    fn message(&self, step: u64) -> String {
        let speed = self.pace.steps_per_second();
        let left = speed.filter(|speed| *speed > 0.0).map(|speed| self.total.saturating_sub(step) as f64 / speed);
        let parts = [
            speed.map(|speed| format!("{:>5} steps/s", human(speed))),
            (!self.values.is_empty()).then(|| self.values.clone()),
            left.filter(|left| *left > 0.0).map(|left| format!("{} left", duration(left))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("  ")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

fn bar(total: u64, start: u64, target: ProgressDrawTarget) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len}  {wide_msg}").expect("the template is constant");
    let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style.progress_chars("━╸ "));
    bar.set_position(start);
    bar
}

/// The value that a person follows.
fn headline(scalars: &[(String, f64)]) -> Option<String> {
    let value = |tag: &str| scalars.iter().find(|(name, _)| name == tag).map(|(_, value)| *value);
    let (label, value) =
        value("train/elbo").map(|elbo| ("ELBO", elbo)).or_else(|| value("train/loss").map(|loss| ("loss", loss)))?;
    Some(format!("{label} {:>7}", human(value)))
}

/// Writes `error: MESSAGE` as one line to standard error.
pub fn error(message: impl Display) {
    to_standard_error(&format!("error: {}", one_line(&message.to_string())));
}

/// Writes `warning: MESSAGE` as one line to standard error. While a [`Terminal`] is in use, [`Terminal::warning`].
pub fn warning(message: impl Display) {
    to_standard_error(&format!("warning: {}", one_line(&message.to_string())));
}

/// Hands over a result: without `json` the report goes to standard output; with it the object does, and the report goes to
/// standard error.
///
/// # Errors
/// When standard output cannot be written. That its reader has gone is not an error.
pub fn present(report: &str, json: Option<&serde_json::Value>) -> io::Result<()> {
    let output = match json {
        Some(object) => {
            to_standard_error(report.trim_end());
            format!("{object:#}\n")
        }
        None => format!("{}\n", report.trim_end()),
    };
    let mut standard_output = io::stdout().lock();
    match standard_output.write_all(output.as_bytes()).and_then(|()| standard_output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// `eprintln!` panics when standard error is closed.
pub(crate) fn to_standard_error(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;
