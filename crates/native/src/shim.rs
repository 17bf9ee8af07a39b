//! The functions of `cpp/`, and the few ways in which Rust values cross to them.

use crate::{Error, Result};
use std::ffi::{CStr, c_char, c_int, c_void};
use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

/// Something that C++ owns and Rust only points at.
macro_rules! opaque {
    ($($name:ident),*) => {$(
        #[repr(C)]
        pub(crate) struct $name {
            _opaque: [u8; 0],
        }
    )*};
}
opaque!(
    RawGenerator,
    RawResults,
    RawRecording,
    RawOperators,
    RawGradientSink,
    RawStore,
    RawGroup,
    RawSide,
    RawGraph,
    RawRing
);

/// A borrowed tensor as C++ takes it. The shim changes a tensor's contents only where its Rust caller says so.
pub(crate) type Borrowed = *const C_tensor;

unsafe extern "C" {
    fn elbo_last_error() -> *const c_char;

    pub(crate) fn elbo_generator_new(device: c_int, seed: u64, out: *mut *mut RawGenerator) -> c_int;
    pub(crate) fn elbo_generator_free(generator: *mut RawGenerator);
    pub(crate) fn elbo_generator_seed(generator: *mut RawGenerator, seed: u64) -> c_int;
    pub(crate) fn elbo_generator_state(generator: *mut RawGenerator, out: *mut *mut C_tensor) -> c_int;
    pub(crate) fn elbo_generator_set_state(generator: *mut RawGenerator, state: Borrowed) -> c_int;
    pub(crate) fn elbo_generator_normal(
        generator: *mut RawGenerator,
        size: *const i64,
        dimensions: usize,
        kind: c_int,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_generator_uniform(
        generator: *mut RawGenerator,
        size: *const i64,
        dimensions: usize,
        kind: c_int,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_generator_bernoulli(
        generator: *mut RawGenerator,
        probability: Borrowed,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_generator_integers(
        generator: *mut RawGenerator,
        high: i64,
        size: *const i64,
        dimensions: usize,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_generator_permutation(generator: *mut RawGenerator, n: i64, out: *mut *mut C_tensor) -> c_int;
    pub(crate) fn elbo_generator_permutation_into(generator: *mut RawGenerator, out: *mut C_tensor) -> c_int;

    pub(crate) fn elbo_fused_adam(
        parameters: *const Borrowed,
        gradients: *const Borrowed,
        exp_avg: *const Borrowed,
        exp_avg_sq: *const Borrowed,
        steps: *const Borrowed,
        count: usize,
        options: *const crate::adam::AdamOptions,
    ) -> c_int;

    pub(crate) fn elbo_gradients(
        loss: Borrowed,
        parameters: *const Borrowed,
        count: usize,
        keep_graph: bool,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_global_norm(tensors: *const Borrowed, count: usize, out: *mut *mut C_tensor) -> c_int;
    pub(crate) fn elbo_clip_by_global_norm(
        tensors: *const Borrowed,
        count: usize,
        max_norm: f64,
        out: *mut *mut C_tensor,
    ) -> c_int;

    pub(crate) fn elbo_with_gradient(
        inputs: *const Borrowed,
        input_count: usize,
        outputs: *const Borrowed,
        output_count: usize,
        closure: *mut c_void,
        backward: unsafe extern "C" fn(*mut c_void, *const *mut C_tensor, usize, *mut RawGradientSink) -> c_int,
        drop: unsafe extern "C" fn(*mut c_void),
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_gradient_put(sink: *mut RawGradientSink, index: usize, gradient: Borrowed);
    pub(crate) fn elbo_gradient_fail(sink: *mut RawGradientSink, message: *const c_char, length: usize);

    pub(crate) fn elbo_call(
        name: *const c_char,
        overload: *const c_char,
        arguments: *const crate::call::RawArgument,
        count: usize,
        out: *mut *mut RawResults,
    ) -> c_int;
    pub(crate) fn elbo_results_len(results: *const RawResults) -> usize;
    pub(crate) fn elbo_results_get(results: *const RawResults, index: usize, out: *mut *mut C_tensor) -> c_int;
    pub(crate) fn elbo_results_free(results: *mut RawResults);

    pub(crate) fn elbo_autocast_enter() -> c_int;
    pub(crate) fn elbo_autocast_leave();

    pub(crate) fn elbo_flag_set(flag: c_int, on: c_int) -> c_int;
    pub(crate) fn elbo_flag_get(flag: c_int, on: *mut c_int) -> c_int;
    pub(crate) fn elbo_cuda_memory(device: c_int, out: *mut i64) -> c_int;
    pub(crate) fn elbo_cuda_reset_peak(device: c_int) -> c_int;

    pub(crate) fn elbo_store_new(
        host: *const c_char,
        port: *mut u16,
        serve: c_int,
        prefix: *const c_char,
        timeout: i64,
        out: *mut *mut RawStore,
    ) -> c_int;
    pub(crate) fn elbo_store_free(store: *mut RawStore);
    pub(crate) fn elbo_store_set(store: *mut RawStore, key: *const c_char, bytes: *const u8, count: usize) -> c_int;
    pub(crate) fn elbo_store_get(
        store: *mut RawStore,
        key: *const c_char,
        timeout: i64,
        out: *mut *mut C_tensor,
    ) -> c_int;
    pub(crate) fn elbo_store_has(store: *mut RawStore, key: *const c_char, present: *mut c_int) -> c_int;
    pub(crate) fn elbo_group_new(
        store: *mut RawStore,
        rank: c_int,
        size: c_int,
        interface: *const c_char,
        timeout: i64,
        out: *mut *mut RawGroup,
    ) -> c_int;
    pub(crate) fn elbo_group_free(group: *mut RawGroup);
    pub(crate) fn elbo_group_sum(group: *mut RawGroup, tensor: *mut C_tensor) -> c_int;
    pub(crate) fn elbo_group_broadcast(group: *mut RawGroup, tensor: *mut C_tensor) -> c_int;
    pub(crate) fn elbo_group_gather(
        group: *mut RawGroup,
        size: c_int,
        tensor: Borrowed,
        out: *mut *mut C_tensor,
    ) -> c_int;

    pub(crate) fn elbo_recording_begin(out: *mut *mut RawRecording) -> c_int;
    pub(crate) fn elbo_recording_end(recording: *mut RawRecording, out: *mut *mut RawOperators) -> c_int;
    pub(crate) fn elbo_recording_abandon(recording: *mut RawRecording);
    pub(crate) fn elbo_operators_free(operators: *mut RawOperators);
    pub(crate) fn elbo_operators_len(operators: *const RawOperators) -> usize;
    pub(crate) fn elbo_operator_name(operators: *const RawOperators, index: usize) -> *const c_char;
    pub(crate) fn elbo_operator_operands(operators: *const RawOperators, index: usize) -> usize;
    pub(crate) fn elbo_operator_operand(
        operators: *const RawOperators,
        index: usize,
        operand: usize,
        dimensions: *mut usize,
        device: *mut c_int,
    ) -> *const i64;
    pub(crate) fn elbo_operator_scalars(operators: *const RawOperators, index: usize) -> usize;
    pub(crate) fn elbo_operator_scalar(operators: *const RawOperators, index: usize, scalar: usize) -> *const c_char;
}

/// Turns a return code of the shim into a result.
pub(crate) fn check(code: c_int) -> Result<()> {
    if code == 0 {
        return Ok(());
    }
    Err(last_error(elbo_last_error))
}

/// What one of the shim's halves keeps as this thread's last error.
pub(crate) fn last_error(said: unsafe extern "C" fn() -> *const c_char) -> Error {
    // SAFETY: the shim returns a string that lives until the next error on this thread; it is copied here.
    Error::new(unsafe { CStr::from_ptr(said()) }.to_string_lossy())
}

/// Runs a function of the shim that hands out one new object through its last parameter.
pub(crate) fn receive<T>(call: impl FnOnce(*mut *mut T) -> c_int) -> Result<*mut T> {
    let mut out = std::ptr::null_mut();
    check(call(&raw mut out))?;
    Ok(out)
}

/// Runs a function of the shim that hands out one new tensor through its last parameter.
pub(crate) fn receive_tensor(call: impl FnOnce(*mut *mut C_tensor) -> c_int) -> Result<Tensor> {
    let out = receive(call)?;
    // SAFETY: on success the shim has written a tensor that it made with `new` for the caller to own, as tch expects.
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// The pointers of borrowed tensors, in order.
pub(crate) fn pointers(tensors: &[Tensor]) -> Vec<Borrowed> {
    tensors.iter().map(Tensor::as_ptr).collect()
}

/// libtorch's number of a floating-point kind (`c10::ScalarType`).
pub(crate) fn floating(kind: Kind) -> Result<c_int> {
    match kind {
        Kind::Half => Ok(5),
        Kind::Float => Ok(6),
        Kind::Double => Ok(7),
        Kind::BFloat16 => Ok(15),
        other => Err(Error::new(format!("{other:?} is not a floating-point kind that can be drawn"))),
    }
}

/// The shim's number of a device: -1 for the CPU, else the index of the CUDA device.
pub(crate) fn device_index(device: Device) -> Result<c_int> {
    match device {
        Device::Cpu => Ok(-1),
        Device::Cuda(index) => cuda_index(index),
        other => Err(Error::new(format!("{other:?} is not supported: the CPU or a CUDA device"))),
    }
}

/// libtorch's number of a CUDA device, which has seven bits.
pub(crate) fn cuda_index(index: usize) -> Result<c_int> {
    i8::try_from(index).map(c_int::from).map_err(|_| Error::new(format!("there is no CUDA device {index}")))
}
