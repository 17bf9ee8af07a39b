//! The speed of a run of late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Time over which the speed is taken: long enough to be steady, short enough to show a change.
const WINDOW: Duration = Duration::from_secs(30);

/// Steps per second over the last half minute, from the steps of this session only.
#[derive(Debug)]
pub(super) struct Pace {
    marks: VecDeque<(Instant, u64)>,
}

impl Pace {
    pub(super) fn new(now: Instant, start: u64) -> Self {
        Self { marks: VecDeque::from([(now, start)]) }
    }

    /// At `now`, `step` updates are done.
    pub(super) fn at(&mut self, now: Instant, step: u64) {
        self.marks.push_back((now, step));
        // The mark just before the window stays: the speed is taken over at least the window.
        while self.marks.len() > 2 && now.duration_since(self.marks[1].0) >= WINDOW {
            self.marks.pop_front();
        }
    }

    pub(super) fn steps_per_second(&self) -> Option<f64> {
        let (first, last) = (self.marks.front()?, self.marks.back()?);
        let seconds = last.0.duration_since(first.0).as_secs_f64();
        (seconds > 0.0 && last.1 > first.1).then(|| (last.1 - first.1) as f64 / seconds)
    }
}
