//! Ctrl-C and SIGTERM: finish the step, write a checkpoint, leave.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Set by the first signal; another one, a second or more later, ends the process at once.
#[derive(Debug, Clone)]
pub struct Interruption(Arc<AtomicBool>);

/// Exit code of an interrupted run, as a shell reports Ctrl-C.
pub const EXIT_INTERRUPTED: u8 = 130;

/// Signals closer than this are one request: `timeout` and `scancel --full` signal the process and then its group, so that one request
/// comes twice, and ending at the second would lose what the first was to save.
const ONE_REQUEST: Duration = Duration::from_secs(1);

impl Interruption {
    /// Watches for SIGINT and SIGTERM.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn watch() -> io::Result<Self> {
        let seen = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&seen))?;
        }
        // A thread, so that the work in progress cannot keep a second request waiting, whatever it is stuck in.
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut first: Option<Instant> = None;
            for _ in signals.forever() {
                if first.get_or_insert_with(Instant::now).elapsed() >= ONE_REQUEST {
                    low_level::exit(i32::from(EXIT_INTERRUPTED));
                }
            }
        })?;
        Ok(Self(seen))
    }

    /// Whether a signal has come.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
