//! Several processes that train one model: where they meet, and who is missing when they do not.
//!
//! A launcher (`torchrun --no-python`, `srun`, `mpirun`, or a shell loop) starts the same command R times and says in environment
//! variables which rank each is. Rank 0 leads: it alone reads the configuration, owns the run's directory, evaluates and writes. The
//! others [follow](crate::run::Follower): they get configuration and state from it, and take their part in every step.

mod heartbeat;
mod launch;

pub use launch::Launch;

use crate::{InputError, RankLost};
use elbo_core::{ExchangeFailed, Ranks};
use elbo_native::{Lookout, ProcessGroup, Store};
use heartbeat::{Heartbeat, Pulse};
use serde::de::DeserializeOwned;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tch::Device;

/// How long a rank takes to find out who is missing: several beats of [`heartbeat::PERIOD`].
const DIAGNOSIS: Duration = Duration::from_secs(3);
/// How long the rank that serves the store stays to let the others read why it ends.
const FAREWELL: Duration = Duration::from_secs(3);
/// A key of the store that says that rank 0 is ready, and for what.
const CONFIGURATION: &str = "configuration";

/// This process among those of a run.
#[derive(Debug)]
pub struct World {
    launch: Launch,
    ranks: Arc<Ranks>,
    store: Store,
    timeout: Duration,
    _heartbeat: Heartbeat,
}

impl World {
    /// Joins the others, where the environment says that there are any. No later exchange waits longer than `timeout`. `progress` is told
    /// where they meet.
    ///
    /// # Errors
    /// Variables that contradict each other, or ranks that do not come.
    pub fn from_environment(timeout: Duration, progress: &mut dyn FnMut(&str)) -> Result<Option<Self>, InputError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(launch) = Launch::from_environment(variable)? else { return Ok(None) };
        if launch.rank == 0 {
            progress(&format!("rank 0 of {} meets the others at {}", launch.size, launch.place()));
        }
        Self::join(launch, timeout).map(Some)
    }

    /// Joins the others. Rank 0 serves the place where they meet, unless the launcher does.
    ///
    /// # Errors
    /// The others do not come, or the place cannot be reached.
    pub fn join(launch: Launch, timeout: Duration) -> Result<Self, InputError> {
        let (rank, size) = (launch.rank, launch.size);
        let cannot = |error: elbo_native::Error| {
            let place = launch.place();
            InputError::new(format!("rank {rank} of {size} cannot meet the others at {place}: {error}"))
        };
        let store = if launch.serves() {
            Store::serve(&launch.host, launch.port, &launch.prefix, timeout).map(|(store, _)| store)
        } else {
            Store::join(&launch.host, launch.port, &launch.prefix, timeout)
        };
        let store = store.map_err(cannot)?;
        store.set(&here(rank), b"").map_err(cannot)?;
        for other in 0..size {
            // The group would wait as well, but not say for whom.
            if store.get(&here(other), timeout).is_err() {
                let (place, seconds) = (launch.place(), timeout.as_secs());
                return Err(InputError::new(format!(
                    "rank {other} of {size} did not come to {place} within {seconds} s"
                )));
            }
        }
        let group = ProcessGroup::gloo(&store, rank, size, launch.interface(), timeout).map_err(cannot)?;
        let ranks = Arc::new(Ranks::new(group));
        // Connections of their own: one that waits for an answer lets nobody else ask.
        let another = || Store::join(&launch.host, launch.port, &launch.prefix, timeout).map_err(cannot);
        ranks.look_out(lookout(another()?, rank, size));
        let heartbeat = Heartbeat::start(another()?, Arc::clone(&ranks));
        Ok(Self { launch, ranks, store, timeout, _heartbeat: heartbeat })
    }

    /// The ranks, for the training step.
    pub fn ranks(&self) -> &Arc<Ranks> {
        &self.ranks
    }

    /// This process, from 0.
    pub fn rank(&self) -> i64 {
        self.launch.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> i64 {
        self.launch.size
    }

    /// This process among those of its machine, from 0: the number of its GPU.
    pub fn local_rank(&self) -> i64 {
        self.launch.local_rank
    }

    /// Whether this is rank 0, which writes.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// Exchanges go from GPU to GPU where they can; all ranks call it once they know their device. Returns what a person should know.
    pub(crate) fn join_gpus(&self, device: Device) -> anyhow::Result<Option<&'static str>> {
        let host = sysinfo::System::host_name().unwrap_or_default();
        let joined = self.ranks.join_gpus(&self.store, &host, device)?;
        Ok(match (joined, device) {
            (true, _) => Some("processes exchange from GPU to GPU (NCCL)"),
            (false, Device::Cuda(_)) => Some("processes share a GPU: they exchange by way of the host (gloo)"),
            (false, _) => None,
        })
    }

    /// Rank 0 tells the others what to run.
    pub(crate) fn publish(&self, configuration: &serde_json::Value) -> anyhow::Result<()> {
        Ok(self.store.set(CONFIGURATION, configuration.to_string().as_bytes())?)
    }

    /// What rank 0 has said is to run, once it has.
    pub(crate) fn configuration<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        let deadline = Instant::now() + self.timeout;
        loop {
            // In short waits, so that a leader that ends says why at once.
            match self.store.get(CONFIGURATION, Duration::from_millis(500)) {
                Ok(bytes) => return Ok(serde_json::from_slice(&bytes)?),
                Err(error) => {
                    if let Some(missing) = self.ended(0) {
                        return Err(self.lost(&missing));
                    }
                    if Instant::now() > deadline || self.store.has(CONFIGURATION).is_err() {
                        return Err(self.explain(ExchangeFailed::from(error).into()));
                    }
                }
            }
        }
    }

    /// Whether any rank says yes; all ranks ask together.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn any(&self, yes: bool) -> Result<bool, ExchangeFailed> {
        Ok(self.ranks.count(yes)? > 0)
    }

    /// Turns an exchange that failed into an error that names the rank; any other error comes back as it is.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        if error.chain().any(<dyn std::error::Error>::is::<ExchangeFailed>) {
            self.diagnose().map_or(error, |missing| self.lost(&missing))
        } else {
            error
        }
    }

    fn lost(&self, missing: &str) -> anyhow::Error {
        let _ = self.store.set(&left(self.rank()), b"");
        RankLost(missing.to_owned()).into()
    }

    /// What another rank said when it ended.
    fn ended(&self, rank: i64) -> Option<String> {
        let key = ended(rank);
        let bytes = self.store.has(&key).ok()?.then(|| self.store.get(&key, DIAGNOSIS).ok())??;
        Some(format!("rank {rank} of {} has ended: {}", self.size(), String::from_utf8_lossy(&bytes)))
    }

    /// Who did not come to this exchange, and what is known of it.
    fn diagnose(&self) -> Option<String> {
        let others = || (0..self.size()).filter(|&rank| rank != self.rank());
        let pulse = |rank| Pulse::read(&self.store, rank);
        let own = self.ranks.exchanges();
        let before: Vec<Option<Pulse>> = others().map(pulse).collect();
        let started = Instant::now();
        while started.elapsed() < DIAGNOSIS {
            if let Some(said) = others().find_map(|rank| self.ended(rank)) {
                return Some(said);
            }
            std::thread::sleep(heartbeat::PERIOD);
        }
        let size = self.size();
        if self.store.has("").is_err() {
            let host =
                if self.launch.agent { "the launcher's meeting place".to_owned() } else { format!("rank 0 of {size}") };
            return Some(format!("{host} is lost: nobody answers at {}", self.launch.place()));
        }
        let mut behind = None;
        for (rank, before) in others().zip(before) {
            match (before, pulse(rank)) {
                (Some(before), Some(now)) if before.beats != now.beats => {
                    if now.exchanges < own {
                        behind.get_or_insert((rank, now.exchanges));
                    }
                }
                _ => {
                    let seconds = DIAGNOSIS.as_secs();
                    return Some(format!(
                        "rank {rank} of {size} is lost: it has given no sign of life for {seconds} s"
                    ));
                }
            }
        }
        behind.map(|(rank, exchanges)| {
            let seconds = self.timeout.as_secs_f64();
            format!("rank {rank} of {size} is stuck: it has come to {exchanges} exchanges of {own} and kept the others waiting for {seconds} s")
        })
    }

    /// Tells the others why this rank ends.
    pub fn say_farewell(&self, error: &anyhow::Error) {
        let line = error.to_string();
        if self.store.set(&ended(self.rank()), line.as_bytes()).is_err() || !self.launch.serves() {
            return;
        }
        // With this process goes the store: the others are given the time to read it.
        let started = Instant::now();
        let all_left = || (1..self.size()).all(|rank| self.store.has(&left(rank)).unwrap_or(true));
        while started.elapsed() < FAREWELL && !all_left() {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Says that a rank has ended, or has given no sign of life since the last calls. [`World::explain`] then finds the words.
fn lookout(store: Store, own: i64, size: i64) -> Lookout {
    let started = Instant::now();
    let seen = Mutex::new(vec![(0, started); size as usize]);
    Box::new(move || {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        (0..size).filter(|&rank| rank != own).find_map(|rank| {
            if store.has(&ended(rank)).unwrap_or(true) {
                return Some(format!("rank {rank} has ended"));
            }
            let beats = Pulse::read(&store, rank).map_or(0, |pulse| pulse.beats);
            let last = &mut seen[rank as usize];
            if last.0 != beats || last.1 == started {
                *last = (beats, Instant::now());
            }
            (last.1.elapsed() > 2 * DIAGNOSIS).then(|| format!("rank {rank} gives no sign of life"))
        })
    })
}

fn here(rank: i64) -> String {
    format!("here/{rank}")
}

fn ended(rank: i64) -> String {
    format!("ended/{rank}")
}

fn left(rank: i64) -> String {
    format!("left/{rank}")
}
