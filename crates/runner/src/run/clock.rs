//! How fast a run goes.

use std::time::{Duration, Instant};

/// Times steps; evaluations, pictures and checkpoints in between do not count as steps.
#[derive(Debug)]
pub(super) struct Clock {
    opened: Instant,
    /// Seconds that earlier sessions of the run took.
    earlier: f64,
    window: Span,
    total: Span,
}

#[derive(Debug, Default, Clone, Copy)]
struct Span {
    steps: u64,
    time: Duration,
}

impl Span {
    fn speed(self) -> f64 {
        self.steps as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

impl Clock {
    pub(super) fn new(earlier: f64) -> Self {
        Self { opened: Instant::now(), earlier, window: Span::default(), total: Span::default() }
    }

    /// One step took this long on the host.
    pub(super) fn add(&mut self, time: Duration) {
        self.window.steps += 1;
        self.window.time += time;
    }

    /// The host waited this long for the steps it had queued.
    pub(super) fn wait(&mut self, time: Duration) {
        self.window.time += time;
    }

    /// Steps per second since the last log point; a new window begins.
    pub(super) fn take_window(&mut self) -> f64 {
        let window = std::mem::take(&mut self.window);
        self.total.steps += window.steps;
        self.total.time += window.time;
        window.speed()
    }

    /// Steps per second since the run was opened.
    pub(super) fn speed(&self) -> f64 {
        Span { steps: self.total.steps + self.window.steps, time: self.total.time + self.window.time }.speed()
    }

    /// Seconds in all sessions of the run together.
    pub(super) fn wall_seconds(&self) -> f64 {
        self.earlier + self.opened.elapsed().as_secs_f64()
    }
}
