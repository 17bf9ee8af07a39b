//! The shim's CUDA half (`cpp/cuda`): a shared object of its own, carried within this crate and loaded beside `libtorch_cuda`.
//!
//! Were it linked to a program, that program would not start where CUDA's libraries are missing. It comes from memory: a program is one
//! file, wherever it is brought.

use crate::shim::{RawGenerator, RawGraph, RawRing, RawSide, last_error};
use crate::{Error, Result, cuda};
use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use torch_sys::C_tensor;

/// Empty where the libtorch that this crate was built with has no CUDA half.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libelbo_cuda.so"));

/// Functions of the object, found by their names once it is loaded.
macro_rules! functions {
    ($($name:ident: fn($($argument:ty),*) -> $value:ty;)*) => {
        #[derive(Clone, Copy)]
        pub(crate) struct Functions {
            $(pub(crate) $name: unsafe extern "C" fn($($argument),*) -> $value,)*
        }

        impl Functions {
            fn find(handle: *mut c_void) -> Result<Self> {
                Ok(Self {
                    $($name: {
                        let address = address(handle, stringify!($name))?;
                        // SAFETY: the function of that name in cpp/cuda has the type that is written for it below.
                        unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) -> $value>(address) }
                    },)*
                })
            }
        }
    };
}

functions! {
    elbo_last_error: fn() -> *const c_char;
    elbo_cuda_bus: fn(c_int, *mut c_char, c_int) -> c_int;
    elbo_cuda_side_new: fn(c_int, *mut *mut RawSide) -> c_int;
    elbo_cuda_side_free: fn(*mut RawSide) -> ();
    elbo_cuda_side_enter: fn(*mut RawSide, c_int) -> c_int;
    elbo_cuda_side_leave: fn(*mut RawSide, c_int) -> c_int;
    elbo_cuda_side_wait: fn(*mut RawSide) -> c_int;
    elbo_cuda_graph_new: fn(*mut *mut RawGraph) -> c_int;
    elbo_cuda_graph_free: fn(*mut RawGraph) -> ();
    elbo_cuda_graph_register: fn(*mut RawGraph, *mut RawGenerator) -> c_int;
    elbo_cuda_graph_begin: fn(*mut RawGraph) -> c_int;
    elbo_cuda_graph_end: fn(*mut RawGraph) -> c_int;
    elbo_cuda_graph_replay: fn(*mut RawGraph) -> c_int;
    elbo_cuda_graph_nodes: fn(*mut RawGraph, *mut usize) -> c_int;
    elbo_nccl_id: fn(*mut u8) -> c_int;
    elbo_nccl_new: fn(*const u8, c_int, c_int, c_int, *mut *mut RawRing) -> c_int;
    elbo_nccl_free: fn(*mut RawRing, c_int) -> ();
    elbo_nccl_sum: fn(*mut RawRing, *mut C_tensor) -> c_int;
    elbo_nccl_broadcast: fn(*mut RawRing, *mut C_tensor) -> c_int;
    elbo_nccl_gather: fn(*mut RawRing, c_int, *const C_tensor, *mut *mut C_tensor) -> c_int;
    elbo_nccl_pending: fn(*mut RawRing, *mut usize) -> c_int;
}

impl Functions {
    /// Turns a return code into a result.
    pub(crate) fn check(&self, code: c_int) -> Result<()> {
        if code == 0 { Ok(()) } else { Err(last_error(self.elbo_last_error)) }
    }

    /// Runs a function that hands out one new object through its last parameter.
    pub(crate) fn receive<T>(&self, call: impl FnOnce(*mut *mut T) -> c_int) -> Result<*mut T> {
        let mut out = std::ptr::null_mut();
        self.check(call(&raw mut out))?;
        Ok(out)
    }
}

/// The object, loaded at the first call.
///
/// # Errors
/// This process has no CUDA (the message says why), or was built without.
pub(crate) fn functions() -> Result<&'static Functions> {
    static FUNCTIONS: OnceLock<Result<Functions>> = OnceLock::new();
    cuda::require()?;
    FUNCTIONS.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Functions> {
    if OBJECT.is_empty() {
        return Err(Error::new(
            "this program was built with a libtorch for the CPU only: run `make setup` and build it again",
        ));
    }
    let cannot = |reason: String| Error::new(format!("elbo's own CUDA part does not load: {reason}"));
    let in_memory = || -> std::io::Result<File> {
        // SAFETY: the name is a C string; a descriptor that is not negative is new and nobody else's.
        let mut file = unsafe {
            let descriptor = libc::memfd_create(c"libelbo_cuda.so".as_ptr(), libc::MFD_CLOEXEC);
            if descriptor < 0 {
                return Err(std::io::Error::last_os_error());
            }
            File::from_raw_fd(descriptor)
        };
        file.write_all(OBJECT)?;
        Ok(file)
    };
    let file = in_memory().map_err(|error| cannot(error.to_string()))?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let handle = cuda::open(&path, libc::RTLD_NOW | libc::RTLD_LOCAL).map_err(cannot)?;
    Functions::find(handle)
}

fn address(handle: *mut c_void, name: &str) -> Result<*mut c_void> {
    let text = CString::new(name).map_err(|error| Error::new(error.to_string()))?;
    // SAFETY: the handle came from dlopen and is never closed; the name is a C string.
    let address = unsafe { libc::dlsym(handle, text.as_ptr()) };
    if address.is_null() { Err(Error::new(format!("elbo's own CUDA part has no {name}"))) } else { Ok(address) }
}

/// Where a CUDA device sits in its machine, such as `0000:3b:00.0`.
pub(crate) fn bus(device: usize) -> Result<String> {
    let functions = functions()?;
    let mut text = [0_u8; 32];
    let index = crate::shim::cuda_index(device)?;
    // SAFETY: the function writes at most as many bytes as it is told, the last of them zero.
    functions.check(unsafe { (functions.elbo_cuda_bus)(index, text.as_mut_ptr().cast(), text.len() as c_int) })?;
    Ok(text.iter().take_while(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Built from the CPU set, too: that set's libtorch has its CUDA half, only not what that half needs in turn.
    #[test]
    fn the_object_is_carried_and_refused_in_a_line_where_there_is_no_cuda() {
        assert!(OBJECT.starts_with(b"\x7fELF"), "{} bytes", OBJECT.len());
        if !cuda::initialise().is_loaded() {
            let error = functions().err().expect("no CUDA").to_string();
            assert!(error.starts_with("CUDA: not used"), "{error}");
        }
    }
}
