//! How much of a mixture is worked on at a time.

use tch::{Device, Kind};

/// Memory that one block of a mixture may take, in bytes. A result depends on it through rounding alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget(pub usize);

/// Tensors of a block's size that are alive at a time, in the backward pass.
const TENSORS: usize = 3;

impl MemoryBudget {
    /// What is fast on a device: on a CPU a block stays in the cache and is large beside what calling an operator costs; a GPU takes enough
    /// to be filled.
    pub fn of(device: Device) -> Self {
        match device {
            Device::Cuda(_) => Self(1 << 30),
            _ => Self(3 << 20),
        }
    }

    /// Points and components of a block, for `latent` numbers a pair: whole rows of components where four of them fit, at least one pair.
    pub(super) fn block(self, latent: i64, (points, components): (i64, i64), kind: Kind) -> (i64, i64) {
        /// Points that share a run of components: the backward pass adds up over them.
        const POINTS: i64 = 4;
        let pairs = (self.elements(kind) / latent.max(1)).max(1);
        let columns = components.min(pairs / POINTS).max(1);
        let rows = (pairs / columns).clamp(1, points.max(1));
        (rows, columns)
    }

    /// Points whose `width` numbers each fit the budget; at least one.
    pub(super) fn rows(self, width: i64, kind: Kind) -> i64 {
        (self.elements(kind) / width.max(1)).max(1)
    }

    fn elements(self, kind: Kind) -> i64 {
        (self.0 / (TENSORS * kind.elt_size_in_bytes())) as i64
    }
}
