//! Processes that compute together: libtorch's c10d.
//!
//! They meet in a [`Store`], which one of them (or a launcher) serves, and exchange tensors in a [`ProcessGroup`]: over gloo, and where
//! every rank has a GPU to itself, CUDA tensors over NCCL. Every call of a group is a meeting: all ranks make the same calls in the same
//! order, and each waits for the others; over NCCL it is the device that waits, and the host at [`ProcessGroup::settle`].

use crate::nccl::Ring;
use crate::shim::{self, RawGroup, RawStore, check, receive, receive_tensor};
use crate::{Error, Result, cuda_object};
use std::ffi::{CString, c_int};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// Exchanges over NCCL that the host may be ahead of the device: some steps.
const AHEAD: usize = 16;
/// A key of the store: what rank 0's GPU is joined by.
const GPU_ID: &str = "gpu/id";
/// How long the host waits for the device before it also asks whether a rank is lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// A table of keys and bytes that all ranks see, over TCP.
pub struct Store {
    raw: *mut RawStore,
}

// SAFETY: the store's client locks a mutex of its own around every request, and belongs to no thread.
unsafe impl Send for Store {}
// SAFETY: as above; a request takes the store by a const reference.
unsafe impl Sync for Store {}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `elbo_store_new` and is freed here only.
        unsafe { shim::elbo_store_free(self.raw) }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Serves a store at `host`:`port` and joins it; port 0 lets the system choose, and the port comes back. All keys are below `prefix`.
    ///
    /// # Errors
    /// The port is taken, or the host is not this machine.
    pub fn serve(host: &str, port: u16, prefix: &str, timeout: Duration) -> Result<(Self, u16)> {
        Self::new(host, port, true, prefix, timeout)
    }

    /// Joins the store that is served at `host`:`port`, trying until `timeout`.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn join(host: &str, port: u16, prefix: &str, timeout: Duration) -> Result<Self> {
        Ok(Self::new(host, port, false, prefix, timeout)?.0)
    }

    fn new(host: &str, mut port: u16, serve: bool, prefix: &str, timeout: Duration) -> Result<(Self, u16)> {
        let (host, prefix) = (text(host)?, text(prefix)?);
        let (serve, timeout) = (c_int::from(serve), milliseconds(timeout));
        // SAFETY: both strings outlive the call, which copies them; one new store out.
        let raw = receive(|out| unsafe {
            shim::elbo_store_new(host.as_ptr(), &raw mut port, serve, prefix.as_ptr(), timeout, out)
        })?;
        Ok((Self { raw }, port))
    }

    /// Sets `key`.
    ///
    /// # Errors
    /// The store is gone.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<()> {
        let key = text(key)?;
        // SAFETY: key and value outlive the call, which copies them.
        check(unsafe { shim::elbo_store_set(self.raw, key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// The value of `key`, once somebody has set it.
    ///
    /// # Errors
    /// Nobody did within `timeout`, or the store is gone.
    pub fn get(&self, key: &str, timeout: Duration) -> Result<Vec<u8>> {
        let key = text(key)?;
        // SAFETY: the key outlives the call; one new tensor out.
        let value =
            receive_tensor(|out| unsafe { shim::elbo_store_get(self.raw, key.as_ptr(), milliseconds(timeout), out) })?;
        Ok(Vec::<u8>::try_from(value)?)
    }

    /// Whether `key` is set.
    ///
    /// # Errors
    /// The store is gone.
    pub fn has(&self, key: &str) -> Result<bool> {
        let (key, mut present) = (text(key)?, 0);
        // SAFETY: the key outlives the call, which writes one number.
        check(unsafe { shim::elbo_store_has(self.raw, key.as_ptr(), &raw mut present) })?;
        Ok(present != 0)
    }
}

/// Says what is known of a rank that is lost; `None` while all are there.
pub type Lookout = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// Ranks `0..size` that exchange tensors: over gloo, CUDA tensors by way of the host, or between GPUs after [`ProcessGroup::join_gpus`].
pub struct ProcessGroup {
    raw: *mut RawGroup,
    rank: i64,
    size: i64,
    timeout: Duration,
    gpus: OnceLock<Mutex<Ring>>,
    lookout: OnceLock<Lookout>,
}

// SAFETY: a process group belongs to no thread; its work is done by threads of its own.
unsafe impl Send for ProcessGroup {}
// SAFETY: it queues requests behind a mutex. Ranks that make their calls from several threads would have to agree on an order, but
// that is a matter of which answer comes, not of memory.
unsafe impl Sync for ProcessGroup {}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `elbo_group_new` and is freed here only.
        unsafe { shim::elbo_group_free(self.raw) }
    }
}

impl std::fmt::Debug for ProcessGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessGroup").field("rank", &self.rank).field("size", &self.size).finish_non_exhaustive()
    }
}

impl ProcessGroup {
    /// Meets the other ranks of `size` in `store`. `interface` names the network interface to use; without, the one that the machine's
    /// own name leads to. No later call waits longer than `timeout` for the others.
    ///
    /// # Errors
    /// The others do not come within the timeout, or cannot be reached.
    pub fn gloo(store: &Store, rank: i64, size: i64, interface: Option<&str>, timeout: Duration) -> Result<Self> {
        let number = |value: i64| c_int::try_from(value).map_err(|_| Error::new(format!("{value} is no rank")));
        let (rank_number, size_number, interface) = (number(rank)?, number(size)?, text(interface.unwrap_or(""))?);
        let wait = milliseconds(timeout);
        // SAFETY: the store is alive and outlived by nothing of the group but its own reference; one new group out.
        let raw = receive(|out| unsafe {
            shim::elbo_group_new(store.raw, rank_number, size_number, interface.as_ptr(), wait, out)
        })?;
        Ok(Self { raw, rank, size, timeout, gpus: OnceLock::new(), lookout: OnceLock::new() })
    }

    /// From now on CUDA tensors go from GPU to GPU, where every rank has one to itself. All ranks call it, each with its device. `host` is the
    /// machine's name. Returns whether they do.
    ///
    /// # Errors
    /// A rank is lost, or NCCL cannot connect them.
    pub fn join_gpus(&self, store: &Store, host: &str, device: Device) -> Result<bool> {
        let own = match device {
            Device::Cuda(index) => format!("{host} {}", cuda_object::bus(index)?),
            _ => String::new(),
        };
        let key = |rank: i64| format!("gpu/{rank}");
        store.set(&key(self.rank), own.as_bytes())?;
        let mut all = Vec::new();
        for rank in 0..self.size {
            all.push(store.get(&key(rank), self.timeout)?);
        }
        let Device::Cuda(index) = device else { return Ok(false) };
        if !each_has_its_own(&all) {
            return Ok(false);
        }
        if self.rank == 0 {
            store.set(GPU_ID, &Ring::id()?)?;
        }
        let id = store.get(GPU_ID, self.timeout)?;
        let ring = Ring::join(&id, self.rank as c_int, self.size as c_int, index)?;
        Ok(self.gpus.set(Mutex::new(ring)).is_ok())
    }

    /// Whom to ask, while the host waits for the device, whether a rank is lost. The first one set stays.
    pub fn look_out(&self, lookout: Lookout) {
        let _ = self.lookout.set(lookout);
    }

    /// Waits until the device has done all exchanges. Whoever reads a value of the device calls it first: such a read waits for ever where
    /// a rank does not come.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn settle(&self) -> Result<()> {
        self.ring().map_or(Ok(()), |ring| self.wait_for(&ring, 0))
    }

    fn ring(&self) -> Option<MutexGuard<'_, Ring>> {
        Some(self.gpus.get()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ring, for a tensor that it carries, and not too far ahead of the device.
    fn ring_for(&self, tensor: &Tensor) -> Result<Option<MutexGuard<'_, Ring>>> {
        let Some(ring) = self.ring() else { return Ok(None) };
        if tensor.device().is_cuda() {
            self.wait_for(&ring, AHEAD)?;
            return Ok(Some(ring));
        }
        // Over gloo the host waits for the others' hosts, which may be waiting for their devices.
        self.wait_for(&ring, 0)?;
        Ok(None)
    }

    fn wait_for(&self, ring: &Ring, most: usize) -> Result<()> {
        let started = Instant::now();
        let mut asked = started;
        loop {
            let late = match ring.pending() {
                Ok(pending) if pending <= most => return Ok(()),
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            let late = late.or_else(|| {
                let seconds = self.timeout.as_secs_f64();
                (started.elapsed() > self.timeout)
                    .then(|| format!("the device waits for another rank since {seconds} s"))
            });
            let late = late.or_else(|| {
                let ask = asked.elapsed() > PATIENCE;
                if ask {
                    asked = Instant::now();
                }
                self.lookout.get().filter(|_| ask).and_then(|lookout| lookout())
            });
            if let Some(reason) = late {
                ring.give_up();
                return Err(Error::new(reason));
            }
            // Short waits are the rule: the device is a step or two behind.
            if started.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
            } else {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// This process, from 0.
    pub fn rank(&self) -> i64 {
        self.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> i64 {
        self.size
    }

    /// Replaces `tensor` by its sum over all ranks, the same bits on each.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn sum_(&self, tensor: &mut Tensor) -> Result<()> {
        if let Some(ring) = self.ring_for(tensor)? {
            return ring.sum(tensor);
        }
        // SAFETY: group and tensor are alive; the caller lends the tensor mutably, whose contents change.
        check(unsafe { shim::elbo_group_sum(self.raw, tensor.as_mut_ptr()) })
    }

    /// Replaces `tensor` by rank 0's.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn broadcast_(&self, tensor: &mut Tensor) -> Result<()> {
        if let Some(ring) = self.ring_for(tensor)? {
            return ring.broadcast(tensor);
        }
        // SAFETY: as `sum_`.
        check(unsafe { shim::elbo_group_broadcast(self.raw, tensor.as_mut_ptr()) })
    }

    /// `tensor` (`[..]`, one shape on all ranks) of every rank, in their order: `[R, ..]`, outside autograd.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn gather(&self, tensor: &Tensor) -> Result<Tensor> {
        if let Some(ring) = self.ring_for(tensor)? {
            return ring.gather(tensor);
        }
        let size = c_int::try_from(self.size).map_err(|_| Error::new("too many ranks"))?;
        // SAFETY: group and tensor are alive; one new tensor out.
        receive_tensor(|out| unsafe { shim::elbo_group_gather(self.raw, size, tensor.as_ptr(), out) })
    }

    /// Waits until every rank is here.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn meet(&self) -> Result<()> {
        self.sum_(&mut Tensor::zeros([1], (Kind::Float, tch::Device::Cpu)))
    }
}

/// Whether every rank said which GPU it has, and no two the same: NCCL refuses two ranks on one.
fn each_has_its_own(said: &[Vec<u8>]) -> bool {
    said.iter().enumerate().all(|(rank, gpu)| !gpu.is_empty() && !said[..rank].contains(gpu))
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(format!("{text:?} has a zero byte")))
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_are_joined_where_every_rank_has_one_to_itself() {
        let said = |all: &[&str]| all.iter().map(|gpu| gpu.as_bytes().to_vec()).collect::<Vec<_>>();
        assert!(each_has_its_own(&said(&["a 0000:3b:00.0", "a 0000:5e:00.0", "b 0000:3b:00.0"])));
        assert!(!each_has_its_own(&said(&["a 0000:3b:00.0", "a 0000:3b:00.0"])), "one GPU for two");
        assert!(!each_has_its_own(&said(&["a 0000:3b:00.0", ""])), "a rank on the CPU");
    }
}
