//! How a run ends with the sweep that started it.
//!
//! The sweep holds the other end of the run's standard input. When the sweep lets go of it (because it was told to end, or because it was
//! killed and the system closed its files) the run saves and ends, as it does at a signal. Signals alone would not do: a sweep that was
//! killed passes none on, and one that passes Ctrl-C on to runs that the terminal has told already tells them twice, which ends them at
//! once and without saving.

use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// Set, to anything, for a run whose standard input is held by a sweep.
pub const VARIABLE: &str = "ELBO_SWEEP_MEMBER";

/// Until then a run has its own handlers of signals in place; it has nothing to save before.
const STARTING: Duration = Duration::from_secs(1);
/// A signal to all processes of a group or a job reaches them within this time of each other.
const TOGETHER: Duration = Duration::from_millis(500);

/// In a run that a sweep started: ends it as SIGTERM does when the sweep lets go, unless a signal has told it already. Returns at once.
pub fn follow() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // Where a driver has to be loaded first, that is done before the clock starts.
    elbo_native::initialise();
    spawn(|| {
        sleep(STARTING);
        let told = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            if flag::register(signal, Arc::clone(&told)).is_err() {
                return;
            }
        }
        let mut nothing = [0; 16];
        while io::stdin().read(&mut nothing).is_ok_and(|bytes| bytes > 0) {}
        sleep(TOGETHER);
        if !told.load(Ordering::Relaxed) {
            // To oneself: cannot fail.
            let _ = kill_process(getpid(), Signal::TERM);
        }
    });
}
