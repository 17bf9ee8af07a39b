//! How much memory the blocks of a mixture may take.

use tch::Device;

/// Memory that the block being worked on may take, in bytes. Results do not depend on it, but for the order of their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget(pub usize);

impl MemoryBudget {
    /// What is fast on a device: on a CPU a block stays in the cache; a GPU takes enough to be filled.
    pub fn of(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Self(1 << 30),
            _ => Self(512 << 10),
        }
    }
}
