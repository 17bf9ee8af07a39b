//! Exchanges between GPUs, by NCCL: the CUDA half of a [`crate::ProcessGroup`].
//!
//! An exchange is given to the device and the host goes on: it is only when the host asks ([`Ring::pending`]) that it learns whether the
//! other ranks came.

use crate::cuda_object::{Functions, functions};
use crate::shim::{RawRing, cuda_index};
use crate::{Error, Result};
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::Tensor;

/// What rank 0 makes and every rank joins by.
pub(crate) const ID_BYTES: usize = 128;

/// One rank's end of an exchange between GPUs.
pub(crate) struct Ring {
    raw: *mut RawRing,
    functions: &'static Functions,
    size: c_int,
    lost: AtomicBool,
}

// SAFETY: NCCL's communicators belong to no thread.
unsafe impl Send for Ring {}
// SAFETY: its owner, the process group, calls it under a lock.
unsafe impl Sync for Ring {}

impl Drop for Ring {
    fn drop(&mut self) {
        let abort = c_int::from(self.lost.load(Ordering::Relaxed));
        // SAFETY: `raw` came from `elbo_nccl_new` and is freed here only.
        unsafe { (self.functions.elbo_nccl_free)(self.raw, abort) }
    }
}

impl Ring {
    /// An id for a new ring.
    pub(crate) fn id() -> Result<[u8; ID_BYTES]> {
        let (functions, mut id) = (functions()?, [0; ID_BYTES]);
        // SAFETY: the function writes as many bytes as there are.
        functions.check(unsafe { (functions.elbo_nccl_id)(id.as_mut_ptr()) })?;
        Ok(id)
    }

    /// Joins the ring of `id`, and waits for the other ranks.
    pub(crate) fn join(id: &[u8], rank: c_int, size: c_int, device: usize) -> Result<Self> {
        if id.len() != ID_BYTES {
            return Err(Error::new(format!("an id of NCCL has {ID_BYTES} bytes, got {}", id.len())));
        }
        let (functions, device) = (functions()?, cuda_index(device)?);
        // SAFETY: the id has the bytes that are read; one new object out.
        let raw =
            functions.receive(|out| unsafe { (functions.elbo_nccl_new)(id.as_ptr(), rank, size, device, out) })?;
        Ok(Self { raw, functions, size, lost: AtomicBool::new(false) })
    }

    pub(crate) fn sum(&self, tensor: &mut Tensor) -> Result<()> {
        // SAFETY: ring and tensor are alive; the tensor is lent mutably.
        self.functions.check(unsafe { (self.functions.elbo_nccl_sum)(self.raw, tensor.as_mut_ptr()) })
    }

    pub(crate) fn broadcast(&self, tensor: &mut Tensor) -> Result<()> {
        // SAFETY: as `sum`.
        self.functions.check(unsafe { (self.functions.elbo_nccl_broadcast)(self.raw, tensor.as_mut_ptr()) })
    }

    pub(crate) fn gather(&self, tensor: &Tensor) -> Result<Tensor> {
        // SAFETY: ring and tensor are alive; one new tensor out.
        let all = self
            .functions
            .receive(|out| unsafe { (self.functions.elbo_nccl_gather)(self.raw, self.size, tensor.as_ptr(), out) })?;
        // SAFETY: a new tensor, made for the caller to own.
        Ok(unsafe { Tensor::from_ptr(all) })
    }

    /// How many exchanges the device has not done. Does not wait.
    pub(crate) fn pending(&self) -> Result<usize> {
        let mut count = 0;
        // SAFETY: the ring is alive; one number out.
        self.functions.check(unsafe { (self.functions.elbo_nccl_pending)(self.raw, &raw mut count) })?;
        Ok(count)
    }

    /// The others will not come any more: what waits for them on the device is given up at the end.
    pub(crate) fn give_up(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }
}
