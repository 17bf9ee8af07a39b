//! The memory that libtorch holds on a CUDA device.

use crate::shim::{self, check};
use crate::{Result, cuda};

/// Bytes that libtorch's allocator holds on one CUDA device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CudaMemory {
    /// In living tensors.
    pub allocated: i64,
    /// In living tensors, at most, since the start or the last [`reset_peak`].
    pub peak_allocated: i64,
    /// Taken from the device, used or kept for later.
    pub reserved: i64,
    /// Taken from the device, at most, since the start or the last [`reset_peak`].
    pub peak_reserved: i64,
}

/// What the allocator holds on the CUDA device of this index. Waits for nothing on the device.
///
/// # Errors
/// This process has no CUDA (the message says why), or no such device.
pub fn cuda(device: usize) -> Result<CudaMemory> {
    cuda::require()?;
    let index = shim::cuda_index(device)?;
    let mut bytes = [0; 4];
    // SAFETY: the shim writes four numbers.
    check(unsafe { shim::elbo_cuda_memory(index, bytes.as_mut_ptr()) })?;
    let [allocated, peak_allocated, reserved, peak_reserved] = bytes;
    Ok(CudaMemory { allocated, peak_allocated, reserved, peak_reserved })
}

/// Starts the peaks anew from what is held now.
///
/// # Errors
/// As for [`cuda`].
pub fn reset_peak(device: usize) -> Result<()> {
    cuda::require()?;
    let index = shim::cuda_index(device)?;
    // SAFETY: a plain number.
    check(unsafe { shim::elbo_cuda_reset_peak(index) })
}
