//! The start of a process: each case in a process of its own, since the answer is kept for its life.

use elbo_native::{CudaStatus, Error, initialise};
use std::path::PathBuf;
use std::process::Command;
use tch::{Kind, Tensor};

const CHILD: &str = "ELBO_NATIVE_START_CHILD";

/// Runs in the children only: says the status, after proof that the CPU works.
#[test]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let status = initialise();
    assert!(std::ptr::eq(status, initialise()), "asked twice, answered once");
    assert_eq!(Tensor::from_slice(&[1.0, 2.0]).sum(None::<Kind>).int64_value(&[]), 3);
    if !status.is_loaded() {
        assert!(!tch::Cuda::is_available());
    }
    println!("status: {status}");
}

/// The status that a fresh process with this environment reports.
fn status_of_a_process(variables: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, "1")
        .env_remove("ELBO_CUDA")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.split_once("status: ")).expect("the child says its status");
    line.1.to_owned()
}

#[test]
fn cuda_is_loaded_or_its_absence_explained_in_one_line() {
    let status = status_of_a_process(&[]);
    let explained = [
        "CUDA: loaded (",
        "CUDA: not used (no NVIDIA driver: libcuda.so.1",
        "CUDA: not used (an NVIDIA driver is here",
    ];
    assert!(explained.iter().any(|start| status.starts_with(start)), "{status}");
}

#[test]
fn the_environment_can_disable_cuda() {
    assert_eq!(status_of_a_process(&[("ELBO_CUDA", "0")]), "CUDA: not used (ELBO_CUDA=0)");
    assert_ne!(status_of_a_process(&[("ELBO_CUDA", "1")]), "CUDA: not used (ELBO_CUDA=0)");
}

/// Any library under the driver's name will do to get past the first door. Then libtorch's CUDA half loads (all its wheels are
/// here, as on a GPU machine) or the loader's reason is given, and the CPU works in both cases.
#[test]
fn behind_a_driver_the_cuda_half_is_tried() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let library = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| path.contains("/libc.so"));
    let folder = tempfile();
    std::os::unix::fs::symlink(library.expect("the C library is mapped"), folder.join("libcuda.so.1")).unwrap();
    let mut path = folder.as_os_str().to_owned();
    if let Some(before) = std::env::var_os("LD_LIBRARY_PATH") {
        path.push(":");
        path.push(before);
    }
    let status = status_of_a_process(&[("LD_LIBRARY_PATH", path.to_str().unwrap())]);
    std::fs::remove_dir_all(&folder).unwrap();
    let fits = status.starts_with("CUDA: loaded (") || status.starts_with("CUDA: not used (an NVIDIA driver is here");
    assert!(fits, "{status}");
}

fn tempfile() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("elbo-native-start-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn every_status_is_one_line_that_says_which() {
    let path = PathBuf::from("/somewhere/lib");
    for (status, words) in [
        (CudaStatus::Loaded(path.clone()), "loaded (/somewhere/lib)"),
        (CudaStatus::NoDriver("libcuda.so.1: no such file".to_owned()), "no NVIDIA driver: libcuda.so.1"),
        (CudaStatus::CpuOnlyLibtorch(path), "for the CPU only"),
        (CudaStatus::Failed("libcudnn.so.9: no such file".to_owned()), "libcudnn.so.9"),
        (CudaStatus::Disabled, "ELBO_CUDA=0"),
    ] {
        let line = status.to_string();
        assert!(line.starts_with("CUDA: ") && line.contains(words) && !line.contains('\n'), "{line}");
        assert_eq!(status.is_loaded(), !line.contains("not used"));
    }
}

#[test]
fn an_error_of_tch_becomes_one_line() {
    let x = Tensor::from_slice(&[1.0]);
    let error = Error::from(x.f_mm(&x).unwrap_err()).to_string();
    assert!(error.contains("self must be a matrix") && !error.contains('\n') && !error.contains("frame #"), "{error}");
}
