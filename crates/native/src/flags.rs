//! Process-wide switches of libtorch: precision and determinism.

use crate::Result;
use crate::shim::{self, check};
use std::os::raw::c_int;

/// A switch of libtorch that holds for the whole process. Only [`Flag::Deterministic`] matters on the CPU too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flag {
    /// Matrix products of float32 may round their inputs to TF32 (10 bits of mantissa). Off by default.
    Tf32Matmul,
    /// Convolutions of float32 may round their inputs to TF32. **On** by default.
    Tf32Convolution,
    /// Operators that have no deterministic form fail instead of giving results that differ from run to run. Off by default.
    Deterministic,
    /// cuDNN chooses among its deterministic algorithms only. Off by default.
    CudnnDeterministic,
    /// cuDNN times its algorithms at the first call for each shape and keeps the fastest. Off by default.
    CudnnBenchmark,
}

impl Flag {
    /// The shim's number of it.
    fn number(self) -> c_int {
        match self {
            Self::Tf32Matmul => 0,
            Self::Tf32Convolution => 1,
            Self::Deterministic => 2,
            Self::CudnnDeterministic => 3,
            Self::CudnnBenchmark => 4,
        }
    }
}

/// Turns a switch on or off.
///
/// # Errors
/// libtorch refuses.
pub fn set(flag: Flag, on: bool) -> Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { shim::elbo_flag_set(flag.number(), c_int::from(on)) })
}

/// Whether a switch is on.
///
/// # Errors
/// libtorch refuses.
pub fn get(flag: Flag) -> Result<bool> {
    let mut on = 0;
    // SAFETY: the shim writes one number.
    check(unsafe { shim::elbo_flag_get(flag.number(), &raw mut on) })?;
    Ok(on != 0)
}
