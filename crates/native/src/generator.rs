//! A random generator of one's own.

use crate::shim::{self, RawGenerator, check, receive, receive_tensor};
use crate::{Error, Result};
use std::os::raw::c_int;
use tch::{Device, Kind, Tensor};
use torch_sys::C_tensor;

/// A source of random numbers on one device, separate from every other and from libtorch's process-wide one.
///
/// Equal seeds on equal devices give equal streams; the CPU's and CUDA's streams differ. Nothing drawn requires a gradient.
/// The drawing methods follow tch's plain operators: a programmer's mistake (a negative size, an integer kind) panics.
///
/// ```
/// use elbo_native::Generator;
/// use tch::{Device, Kind};
///
/// let noise = Generator::new(Device::Cpu, 7)?;
/// let saved = noise.state()?;
/// let first = noise.normal(&[2, 3], Kind::Float);
/// noise.set_state(&saved)?;
/// assert_eq!(noise.normal(&[2, 3], Kind::Float), first);
/// # Ok::<(), elbo_native::Error>(())
/// ```
pub struct Generator {
    raw: *mut RawGenerator,
    device: Device,
}

// SAFETY: a libtorch generator belongs to no thread; it is reference-counted atomically and its draws lock its mutex.
unsafe impl Send for Generator {}

impl Drop for Generator {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `elbo_generator_new` and is freed here only.
        unsafe { shim::elbo_generator_free(self.raw) }
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generator").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Generator {
    /// A new generator on `device`, at the start of `seed`'s stream.
    ///
    /// # Errors
    /// The device is neither the CPU nor a CUDA device that this process can use.
    pub fn new(device: Device, seed: u64) -> Result<Self> {
        if device.is_cuda() {
            crate::cuda::require()?;
        }
        let index = shim::device_index(device)?;
        // SAFETY: plain numbers in, one new generator out.
        let raw = receive(|out| unsafe { shim::elbo_generator_new(index, seed, out) })?;
        Ok(Self { raw, device })
    }

    /// For the CUDA object, which registers it with a graph.
    pub(crate) fn raw(&self) -> *mut RawGenerator {
        self.raw
    }

    /// Where it draws.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Goes to the start of `seed`'s stream.
    ///
    /// # Errors
    /// libtorch refuses (a CUDA generator during the capture of a graph).
    pub fn reseed(&self, seed: u64) -> Result<()> {
        // SAFETY: `raw` is alive; the shim locks it.
        check(unsafe { shim::elbo_generator_seed(self.raw, seed) })
    }

    /// The whole state, as bytes (`Uint8`, `[n]`) on the CPU, whatever the device. [`Self::set_state`] of it replays the stream bit for bit.
    ///
    /// # Errors
    /// libtorch refuses (a CUDA generator during the capture of a graph).
    pub fn state(&self) -> Result<Tensor> {
        // SAFETY: `raw` is alive; the shim locks it and makes a new tensor.
        receive_tensor(|out| unsafe { shim::elbo_generator_state(self.raw, out) })
    }

    /// Goes to where [`Self::state`] was taken, by this generator or another on the same kind of device.
    ///
    /// # Errors
    /// `state` is not a state of such a generator; the generator stays as it was.
    pub fn set_state(&self, state: &Tensor) -> Result<()> {
        if state.f_kind()? != Kind::Uint8 || state.dim() != 1 {
            let (kind, size) = (state.f_kind()?, state.size());
            return Err(Error::new(format!("a generator's state is Uint8 [n], got {kind:?} {size:?}")));
        }
        let state = state.f_to_device(Device::Cpu)?.f_contiguous()?;
        // SAFETY: both are alive; the shim locks the generator and copies the bytes out of the tensor.
        check(unsafe { shim::elbo_generator_set_state(self.raw, state.as_ptr()) })
    }

    /// Draws of `N(0, 1)`.
    pub fn normal(&self, size: &[i64], kind: Kind) -> Tensor {
        self.draw(size, kind, shim::elbo_generator_normal)
    }

    /// Draws of the uniform distribution on `[0, 1)`.
    pub fn uniform(&self, size: &[i64], kind: Kind) -> Tensor {
        self.draw(size, kind, shim::elbo_generator_uniform)
    }

    /// 0 or 1 in `probability`'s shape and kind, 1 with the probability given there.
    pub fn bernoulli(&self, probability: &Tensor) -> Tensor {
        // SAFETY: both are alive; the shim makes a new tensor.
        expect(receive_tensor(|out| unsafe { shim::elbo_generator_bernoulli(self.raw, probability.as_ptr(), out) }))
    }

    /// A permutation of `0..n`, `Int64 [n]`.
    pub fn permutation(&self, n: i64) -> Tensor {
        // SAFETY: `raw` is alive; the shim makes a new tensor.
        expect(receive_tensor(|out| unsafe { shim::elbo_generator_permutation(self.raw, n, out) }))
    }

    /// Overwrites `out` (`Int64 [n]` on this generator's device) with a permutation of `0..n`; its address stays.
    ///
    /// # Errors
    /// `out` is of another kind, shape or device, or not contiguous.
    pub fn permutation_into(&self, out: &mut Tensor) -> Result<()> {
        let fits = out.dim() == 1 && out.f_kind()? == Kind::Int64 && out.device() == self.device && out.is_contiguous();
        if !fits {
            let (kind, size, device) = (out.f_kind()?, out.size(), out.device());
            return Err(Error::new(format!(
                "a permutation goes into a contiguous Int64 [n] on {:?}, got {kind:?} {size:?} on {device:?}",
                self.device
            )));
        }
        // SAFETY: `raw` is alive and `out` borrowed for writing.
        check(unsafe { shim::elbo_generator_permutation_into(self.raw, out.as_mut_ptr()) })
    }

    /// Uniform draws of the integers `0..high`, `Int64`.
    pub fn integers(&self, high: i64, size: &[i64]) -> Tensor {
        // SAFETY: `raw` is alive; `size` and its length belong together; the shim makes a new tensor.
        expect(receive_tensor(|out| unsafe {
            shim::elbo_generator_integers(self.raw, high, size.as_ptr(), size.len(), out)
        }))
    }

    fn draw(&self, size: &[i64], kind: Kind, sampler: Sampler) -> Tensor {
        let kind = expect(shim::floating(kind));
        // SAFETY: `raw` is alive; `size` and its length belong together; the samplers make a new tensor.
        expect(receive_tensor(|out| unsafe { sampler(self.raw, size.as_ptr(), size.len(), kind, out) }))
    }
}

type Sampler = unsafe extern "C" fn(*mut RawGenerator, *const i64, usize, c_int, *mut *mut C_tensor) -> c_int;

/// The convention of tch's plain operators.
#[track_caller]
fn expect<T>(result: Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
