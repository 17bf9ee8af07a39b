//! Loads the CUDA half of libtorch at start, where there is an NVIDIA driver.
//!
//! A linker drops `libtorch_cuda` from a program that calls none of its symbols, and then libtorch sees no GPU. It must be loaded
//! by hand, and **before** anything asks libtorch about CUDA: the answer is looked up once and kept for the process.

use std::ffi::{CStr, CString, OsStr, c_int, c_void};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Whether this process can use CUDA, and why not. Its `Display` is one line for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaStatus {
    /// The CUDA half of libtorch is loaded from this file.
    Loaded(PathBuf),
    /// This machine has no NVIDIA driver; the text is the loader's.
    NoDriver(String),
    /// There is a driver, but the libtorch in this folder has no CUDA half.
    CpuOnlyLibtorch(PathBuf),
    /// There is a driver, but the CUDA half would not load; the text is the loader's and names the library it missed.
    Failed(String),
    /// The environment says `ELBO_CUDA=0`.
    Disabled,
}

impl CudaStatus {
    /// Whether the CUDA half of libtorch is in this process. There may still be no device (`CUDA_VISIBLE_DEVICES`).
    pub fn is_loaded(&self) -> bool {
        matches!(self, Self::Loaded(_))
    }
}

impl fmt::Display for CudaStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaded(path) => write!(f, "CUDA: loaded ({})", path.display()),
            Self::NoDriver(reason) => write!(f, "CUDA: not used (no NVIDIA driver: {reason})"),
            Self::CpuOnlyLibtorch(folder) => write!(
                f,
                "CUDA: not used (an NVIDIA driver is here, but the libtorch in {} is for the CPU only: run `make setup`)",
                folder.display()
            ),
            Self::Failed(reason) => write!(
                f,
                "CUDA: not used (an NVIDIA driver is here, but libtorch_cuda does not load: {reason}: run `make setup`)"
            ),
            Self::Disabled => write!(f, "CUDA: not used (ELBO_CUDA=0)"),
        }
    }
}

/// Prepares libtorch for this process: the C allocator's settings, then the CUDA half where there is a driver.
///
/// The first call of every `main`, before other threads start. Later calls return the first one's answer.
pub fn initialise() -> &'static CudaStatus {
    static STATUS: OnceLock<CudaStatus> = OnceLock::new();
    STATUS.get_or_init(|| {
        keep_freed_memory();
        let status = if std::env::var_os("ELBO_CUDA").is_some_and(|value| value == "0") {
            CudaStatus::Disabled
        } else {
            load_cuda()
        };
        if status.is_loaded() {
            allow_deterministic_cublas();
        }
        status
    })
}

/// Keeps freed memory in the process. By default glibc gives every large block back to the system and faults it in again, page by
/// page, at the next step: a third of a training step on the CPU.
fn keep_freed_memory() {
    const LARGEST_BLOCK: c_int = 1 << 30;
    // Older versions of glibc refuse more than this.
    const LARGEST_BLOCK_OF_OLD: c_int = 32 << 20;
    // SAFETY: mallopt takes two integers and may be called at any time; a value it refuses changes nothing.
    unsafe {
        if libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_BLOCK) == 0 {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_BLOCK_OF_OLD);
        }
        libc::mallopt(libc::M_TRIM_THRESHOLD, c_int::MAX);
    }
}

/// Deterministic matrix products on CUDA need a fixed workspace, which cuBLAS reads from the environment when it starts. Its size
/// is about what libtorch takes anyway.
fn allow_deterministic_cublas() {
    const NAME: &str = "CUBLAS_WORKSPACE_CONFIG";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: `initialise` is documented as the first call of `main`, before there are threads that might read the environment.
        unsafe { std::env::set_var(NAME, ":4096:8") }
    }
}

fn load_cuda() -> CudaStatus {
    if let Err(reason) = open(Path::new("libcuda.so.1"), libc::RTLD_LAZY | libc::RTLD_LOCAL) {
        return CudaStatus::NoDriver(reason);
    }
    let Some(folder) = libtorch_folder() else {
        return CudaStatus::Failed("libtorch_cpu cannot be found in this process".to_owned());
    };
    let library = folder.join("libtorch_cuda.so");
    if !library.exists() {
        return CudaStatus::CpuOnlyLibtorch(folder);
    }
    match open(&library, libc::RTLD_NOW | libc::RTLD_GLOBAL) {
        Ok(_) => CudaStatus::Loaded(library),
        Err(reason) => CudaStatus::Failed(reason),
    }
}

/// Loads a library for as long as the process lives.
pub(crate) fn open(library: &Path, flags: c_int) -> Result<*mut c_void, String> {
    let path = CString::new(library.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: the path is a C string; the initialisers that run are those of the NVIDIA driver, of libtorch or of this crate's CUDA
    // object. The handle is never closed, so nothing from the library can dangle. `dlerror` belongs to this thread and is copied before
    // any other call.
    unsafe {
        let handle = libc::dlopen(path.as_ptr(), flags);
        if !handle.is_null() {
            return Ok(handle);
        }
        let reason = libc::dlerror();
        if reason.is_null() {
            return Err(format!("{} cannot be loaded", library.display()));
        }
        Err(CStr::from_ptr(reason).to_string_lossy().into_owned())
    }
}

/// The folder of the `libtorch_cpu` that this process runs, by the address of one of its functions.
fn libtorch_folder() -> Option<PathBuf> {
    // SAFETY: a look-up by name among the libraries of this process; the name (`at::globalContext()`) is a C string.
    let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"_ZN2at13globalContextEv".as_ptr()) };
    if function.is_null() {
        return None;
    }
    // SAFETY: `Dl_info` is plain pointers and valid as zeros; `dladdr` fills it and its strings live as long as the library.
    let file = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(function, &raw mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        PathBuf::from(OsStr::from_bytes(CStr::from_ptr(info.dli_fname).to_bytes()))
    };
    file.canonicalize().ok()?.parent().map(Path::to_path_buf)
}

/// An error that says why there is no CUDA, where there is none.
pub(crate) fn require() -> crate::Result<()> {
    match initialise() {
        CudaStatus::Loaded(_) => Ok(()),
        absent => Err(crate::Error::new(absent.to_string())),
    }
}
