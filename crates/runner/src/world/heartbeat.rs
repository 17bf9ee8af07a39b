//! Signs of life, so that the others can tell a process that is gone, or stopped, from one that is slow.

use elbo_core::Ranks;
use elbo_native::Store;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Time from one beat to the next.
pub(super) const PERIOD: Duration = Duration::from_millis(500);

/// Beats until it is dropped.
#[derive(Debug)]
pub(super) struct Heartbeat {
    _stop: Sender<()>,
}

/// What a rank says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pulse {
    /// Beats so far.
    pub(super) beats: u64,
    /// Exchanges that the rank has come to.
    pub(super) exchanges: u64,
}

impl Heartbeat {
    /// A thread that writes a [`Pulse`] into `store` every [`PERIOD`].
    pub(super) fn start(store: Store, ranks: Arc<Ranks>) -> Self {
        let (stop, stopped) = channel();
        thread::spawn(move || {
            let key = key(ranks.rank());
            for beats in 0_u64.. {
                let said = store.set(&key, format!("{beats} {}", ranks.exchanges()).as_bytes());
                // A store that is gone is found out by the next exchange; here it only ends the beat.
                if said.is_err() || stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        Self { _stop: stop }
    }
}

impl Pulse {
    /// The newest pulse of a rank, if it ever had one.
    pub(super) fn read(store: &Store, rank: i64) -> Option<Self> {
        let key = key(rank);
        let text = store.has(&key).ok()?.then(|| store.get(&key, PERIOD).ok())??;
        let text = String::from_utf8(text).ok()?;
        let (beats, exchanges) = text.split_once(' ')?;
        Some(Self { beats: beats.parse().ok()?, exchanges: exchanges.parse().ok()? })
    }
}

fn key(rank: i64) -> String {
    format!("alive/{rank}")
}
