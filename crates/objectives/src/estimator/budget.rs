//! How much of a mixture is worked on at a time.

use tch::{Device, Kind};

/// Memory that one block of a mixture may take, in bytes. A result depends on it through rounding alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget(pub usize);

/// Tensors of a block's size that are alive at a time, in the backward pass.
const TENSORS: usize = 3;

impl MemoryBudget {
    /// What is fast on a device: on a CPU a block stays in the cache of a core; a GPU takes enough to be filled.
    pub fn of(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Self(1 << 30),
            _ => Self(3 << 20),
        }
    }

    /// Points whose `width` numbers each fit the budget; at least one.
    pub(super) fn rows(self, width: i64, kind: Kind) -> i64 {
        let elements = (self.0 / (TENSORS * kind.elt_size_in_bytes())) as i64;
        (elements / width.max(1)).max(1)
    }
}
