//! Which operators a piece of code runs: the proof that a training step may be captured.
//!
//! Two consecutive steps must record equal lists (the same operators, shapes, devices and host scalars), and none may
//! [synchronise](Operator::synchronises).
//!
//! What touches a CPU tensor's memory without an operator cannot be seen here: `f64::try_from(&tensor)`, `Vec::try_from`, `copy_data`,
//! `Tensor::from_slice`. On CUDA these are copies between devices, which are seen; a lint keeps them out of the code of a step.
//!
//! ```
//! use elbo_native::recorder::record;
//! use tch::{Device, Kind, Tensor};
//!
//! let x = Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
//! let (_, operators) = record(|| &x * 2.0)?;
//! assert_eq!(operators[0].name, "aten::mul");
//! assert_eq!(operators[0].shapes[0], [2, 3]);
//! assert!(!operators.iter().any(|operator| operator.synchronises()));
//!
//! let (_, operators) = record(|| x.sum(None::<Kind>).double_value(&[]))?;
//! assert!(operators.iter().any(|operator| operator.synchronises()));
//! # Ok::<(), elbo_native::Error>(())
//! ```

use crate::Result;
use crate::shim::{self, RawOperators, RawRecording, receive};
use std::ffi::CStr;
use tch::Device;

/// One operator as it was called: an operator of libtorch, a node of the backward pass, or one of this crate's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Such as `aten::mul`, without the overload.
    pub name: String,
    /// The shape of each tensor among the arguments, those in lists included.
    pub shapes: Vec<Vec<i64>>,
    /// The device of each of them.
    pub devices: Vec<Device>,
    /// The other arguments as text: numbers (with all their digits), truth values, strings, lists of them.
    pub scalars: Vec<String>,
}

/// Operators that hand a value, or a shape that depends on values, to the host. Others (a boolean mask, …) call one of these inside,
/// and both are recorded.
const SYNCHRONISING: [&str; 17] = [
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::equal",
    "aten::allclose",
    "aten::nonzero",
    "aten::nonzero_numpy",
    "aten::argwhere",
    "aten::masked_select",
    "aten::unique_dim",
    "aten::unique_consecutive",
    "aten::unique_dim_consecutive",
    "aten::_unique",
    "aten::_unique2",
    "aten::bincount",
    "aten::histc",
    "aten::_linalg_check_errors",
];

/// Operators that copy, and wait where they copy from one device to another.
const COPYING: [&str; 2] = ["aten::copy_", "aten::_copy_from"];

impl Operator {
    /// Whether it makes the host wait for the device, or would on CUDA: it reads a value, its result's shape depends on values, or
    /// it copies between devices.
    pub fn synchronises(&self) -> bool {
        let name = self.name.as_str();
        let crosses = self.devices.windows(2).any(|pair| pair[0] != pair[1]);
        // Given neither a number of repeats nor the length of the result, it adds the repeats up and reads the sum.
        let unknown_length = name == "aten::repeat_interleave" && self.scalars.is_empty();
        SYNCHRONISING.contains(&name) || unknown_length || (crosses && COPYING.contains(&name))
    }
}

/// Runs `f` and lists the operators that it ran, in the order in which they began; one called by another comes after it.
///
/// Operators of this thread, and of the backward passes that it runs, wherever autograd runs them. What other threads do is not
/// seen. Recording slows every operator down by some microseconds; a panic in `f` ends it and goes on.
///
/// # Errors
/// This thread is recording already, or an operator could not be written down (`f` has run then).
pub fn record<T>(f: impl FnOnce() -> T) -> Result<(T, Vec<Operator>)> {
    let recording = Recording::begin()?;
    let value = f();
    Ok((value, recording.end()?))
}

/// A recording under way. It belongs to the thread that began it, which the pointer sees to: it is not `Send`.
struct Recording(*mut RawRecording);

impl Recording {
    fn begin() -> Result<Self> {
        // SAFETY: the shim makes a new recording.
        receive(|out| unsafe { shim::elbo_recording_begin(out) }).map(Self)
    }

    fn end(self) -> Result<Vec<Operator>> {
        let raw = self.0;
        std::mem::forget(self);
        // SAFETY: `raw` came from `elbo_recording_begin` on this thread; the shim frees it, also on failure, and it is not used again.
        let list = List(receive(|out| unsafe { shim::elbo_recording_end(raw, out) })?);
        Ok(list.operators())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // SAFETY: `end` was not called (a panic), so the recording is alive; this is the thread that began it.
        unsafe { shim::elbo_recording_abandon(self.0) }
    }
}

/// The shim's list, until it is copied.
struct List(*mut RawOperators);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it came from `elbo_recording_end` and is freed here only.
        unsafe { shim::elbo_operators_free(self.0) }
    }
}

impl List {
    fn operators(&self) -> Vec<Operator> {
        // SAFETY: the list is alive until `self` is dropped.
        let count = unsafe { shim::elbo_operators_len(self.0) };
        (0..count).map(|index| self.operator(index)).collect()
    }

    fn operator(&self, index: usize) -> Operator {
        // SAFETY: the list is alive and `index` is below its length; so is every operand and scalar. The strings and shapes are
        // borrowed from the list and copied here.
        unsafe {
            let name = text(shim::elbo_operator_name(self.0, index));
            let operands = shim::elbo_operator_operands(self.0, index);
            let (shapes, devices) = (0..operands).map(|operand| self.operand(index, operand)).unzip();
            let scalars = shim::elbo_operator_scalars(self.0, index);
            let scalars = (0..scalars).map(|i| text(shim::elbo_operator_scalar(self.0, index, i))).collect();
            Operator { name, shapes, devices, scalars }
        }
    }

    /// # Safety
    /// Both indices are within the list.
    unsafe fn operand(&self, index: usize, operand: usize) -> (Vec<i64>, Device) {
        let (mut dimensions, mut device) = (0, 0);
        // SAFETY: the caller's promise; the shim writes the two numbers and borrows out a shape of `dimensions` numbers.
        let shape = unsafe {
            let first = shim::elbo_operator_operand(self.0, index, operand, &raw mut dimensions, &raw mut device);
            if dimensions == 0 { Vec::new() } else { std::slice::from_raw_parts(first, dimensions).to_vec() }
        };
        (shape, usize::try_from(device).map_or(Device::Cpu, Device::Cuda))
    }
}

/// # Safety
/// `pointer` is a C string.
unsafe fn text(pointer: *const std::os::raw::c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}
