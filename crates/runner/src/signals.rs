//! Ctrl-C and SIGTERM: finish the step, write a checkpoint, leave.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by the first signal; a second one ends the process at once.
#[derive(Debug, Clone)]
pub struct Interruption(Arc<AtomicBool>);

/// Exit code of an interrupted run, as a shell reports Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

impl Interruption {
    /// Watches for SIGINT and SIGTERM.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn watch() -> io::Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down and raises it, the second finds it up and ends the process.
            flag::register_conditional_shutdown(signal, i32::from(EXIT_INTERRUPTED), Arc::clone(&seen))?;
            flag::register(signal, Arc::clone(&seen))?;
        }
        Ok(Self(seen))
    }

    /// Whether a signal has come.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
