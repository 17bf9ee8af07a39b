//! Whether a training step of the configured batch fits into memory: estimated before anything is written, because what runs out of memory
//! on Linux is killed without a word.
//!
//! The bytes that the operators of an evaluation read are counted at three small batches: a polynomial of the batch, whose linear part is
//! the networks'. The quadratic one is the estimators' of q(z), which set every example against every other block by block and keep
//! nothing of it. A training step keeps for its backward pass what the operators read; views and operators in place read the same
//! memory again, so that the count is above the need.

use crate::InputError;
use anyhow::Result;
use elbo_core::{Algorithm, BatchContext, Generator};
use elbo_data::ImageShape;
use elbo_native::recorder::{Operator, record};
use rustix::process::{Resource, getrlimit};
use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, RefreshKind, System};
use tch::{Device, Kind, Tensor};

/// Batches up to this size are not looked at: they fit wherever libtorch itself does.
const SMALL: i64 = 256;
/// The batches that are counted.
const COUNTED: [i64; 3] = [16, 32, 64];
/// A step needs at least the counted bytes over this, as steps of convolutions and MLPs show (tests/tests/memory.rs).
const COUNTED_PER_NEEDED: f64 = 12.0;
const GIBIBYTE: f64 = (1_u64 << 30) as f64;

/// Refuses a batch whose training step cannot fit into the memory that is free, on the CPU. What CUDA has is libtorch's to say.
///
/// # Errors
/// The line that names `data.batch_size`, what the step takes and what is free; or when libtorch fails.
pub(crate) fn refuse_what_cannot_fit(
    algorithm: &dyn Algorithm,
    shape: ImageShape,
    batch: i64,
    device: Device,
    origin: &str,
) -> Result<()> {
    if device != Device::Cpu || batch <= SMALL {
        return Ok(());
    }
    let (needed, free) = (step_bytes(algorithm, shape, batch)?, free_bytes());
    if needed <= free {
        return Ok(());
    }
    let [needed, free] = [needed, free].map(|bytes| format!("{:.1} GiB", bytes / GIBIBYTE));
    let expected = "expected a batch whose training step fits into memory";
    let line = format!(
        "{origin}: data.batch_size: {expected}, got {batch}: a step takes {needed} at least, and {free} are free"
    );
    Err(InputError::new(line).into())
}

/// Bytes that a training step of `batch` examples takes at least.
///
/// # Errors
/// When libtorch fails.
pub fn step_bytes(algorithm: &dyn Algorithm, shape: ImageShape, batch: i64) -> Result<f64> {
    let noise = Generator::new(Device::Cpu, 0)?;
    let step = Tensor::zeros([], (Kind::Int64, Device::Cpu));
    let mut counts = [0.0; 3];
    for (count, rows) in counts.iter_mut().zip(COUNTED) {
        let x = Tensor::zeros(shape.batch(rows), (Kind::Float, Device::Cpu));
        let context = BatchContext { step: &step, dataset_len: batch, noise: &noise };
        let (terms, operators) = record(|| algorithm.evaluate(&x, &context))?;
        terms?;
        *count = operators.iter().map(read_bytes).sum();
    }
    Ok(linear_part(counts).max(0.0) * batch as f64 / COUNTED_PER_NEEDED)
}

/// Bytes of float32 operands.
fn read_bytes(operator: &Operator) -> f64 {
    operator.shapes.iter().map(|shape| 4.0 * shape.iter().map(|&size| size as f64).product::<f64>()).sum()
}

/// The linear coefficient of the parabola through the three counts, by Newton's divided differences.
fn linear_part(counts: [f64; 3]) -> f64 {
    let [a, b, c] = COUNTED.map(|rows| rows as f64);
    let first = (counts[1] - counts[0]) / (b - a);
    let second = ((counts[2] - counts[1]) / (c - b) - first) / (c - a);
    first - second * (a + b)
}

/// Bytes that this process can still get: of the machine, of its control group, of its own limit (`ulimit -v`).
fn free_bytes() -> f64 {
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::everything()));
    let machine = system.available_memory() + system.free_swap();
    let group = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory + limits.free_swap);
    let own = getrlimit(Resource::As).current.map_or(u64::MAX, |limit| limit.saturating_sub(virtual_bytes()));
    machine.min(group).min(own) as f64
}

/// Address space that this process has taken already.
fn virtual_bytes() -> u64 {
    let Ok(pid) = sysinfo::get_current_pid() else { return 0 };
    let mut system = System::new();
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[pid]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(pid).map_or(0, sysinfo::Process::virtual_memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 + 5 B + 7 B² has the linear part 5.
    #[test]
    fn three_counts_give_the_linear_part() {
        let count = |rows: f64| 3.0 + 5.0 * rows + 7.0 * rows * rows;
        let found = linear_part(COUNTED.map(|rows| count(rows as f64)));
        assert!((found - 5.0).abs() < 1e-9, "{found}");
    }

    #[test]
    fn some_memory_is_free_and_some_taken() {
        assert!(free_bytes() > 1e7 && free_bytes() < 1e15, "{}", free_bytes());
        assert!(virtual_bytes() > 1 << 20);
    }
}
