//! Compiles the C++ shim against the libtorch that torch-sys found, and makes that libtorch findable for whatever cargo runs.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The version that the tch of this workspace is written for.
const LIBTORCH_VERSION: &str = "2.11.0";

const SOURCES: [&str; 9] = [
    "cpp/adam.cpp",
    "cpp/autograd.cpp",
    "cpp/call.cpp",
    "cpp/context.cpp",
    "cpp/error.cpp",
    "cpp/generator.cpp",
    "cpp/gradients.cpp",
    "cpp/process_group.cpp",
    "cpp/recorder.cpp",
];

/// The CUDA object: never linked to a program, loaded beside `libtorch_cuda`.
const CUDA_SOURCES: [&str; 3] = ["cpp/cuda/graph.cpp", "cpp/cuda/nccl.cpp", "cpp/error.cpp"];
const CUDA_OBJECT: &str = "libelbo_cuda.so";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cpp");
    let Some(lib) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo::error=torch-sys does not say where libtorch is: run `make setup`");
        return;
    };
    let root = lib.parent().expect("the lib folder of libtorch lies in a folder").to_path_buf();
    // Where there is neither, the path that does not exist makes cargo run this at each build, which is what a missing libtorch asks for.
    let says_version = if root.join("build-version").exists() { "build-version" } else { "version.py" };
    println!("cargo::rerun-if-changed={}", root.join(says_version).display());
    if let Err(reason) = check(&root) {
        println!("cargo::error={reason}: run `make setup`");
        return;
    }
    compile(&root);
    compile_cuda(&root);
    publish(&lib);
    println!("cargo::rustc-link-lib=torch_cpu");
    println!("cargo::rustc-link-lib=c10");
}

fn check(root: &Path) -> Result<(), String> {
    for needed in ["lib/libtorch_cpu.so", "lib/libc10.so", "include/ATen/ATen.h"] {
        if !root.join(needed).exists() {
            return Err(format!("no libtorch in {} ({needed} is missing)", root.display()));
        }
    }
    let found = version(root).ok_or_else(|| format!("the libtorch in {} does not say its version", root.display()))?;
    if found.split('+').next() != Some(LIBTORCH_VERSION) {
        return Err(format!("libtorch {LIBTORCH_VERSION} is needed, {} holds {found}", root.display()));
    }
    Ok(())
}

/// From the wheel's `version.py`, or from the `build-version` of a libtorch archive.
fn version(root: &Path) -> Option<String> {
    if let Ok(plain) = fs::read_to_string(root.join("build-version")) {
        return Some(plain.trim().to_owned());
    }
    let python = fs::read_to_string(root.join("version.py")).ok()?;
    let line = python.lines().find(|line| line.starts_with("__version__"))?;
    line.split('\'').nth(1).map(str::to_owned)
}

/// A compiler of code against the headers of libtorch.
fn compiler(root: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .pic(true)
        .opt_level(1) // glue: the work is done inside libtorch
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        // libtorch is built with it, and classes of its headers (RecordFunction) have one field more without it.
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(root.join("include"))
        .flag("-isystem")
        .flag(root.join("include/torch/csrc/api/include"));
    build
}

fn compile(root: &Path) {
    compiler(root).define("USE_C10D_GLOO", None).include("cpp/opaque").files(SOURCES).compile("elbo_shim");
}

/// Links the CUDA object, every symbol resolved; an empty file where libtorch has no CUDA half. It is carried within the crate.
fn compile_cuda(root: &Path) {
    let object = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(CUDA_OBJECT);
    if !root.join("lib/libtorch_cuda.so").exists() {
        fs::write(&object, []).expect("OUT_DIR can be written");
        return;
    }
    let Some(runtime) = cuda_runtime(root) else {
        println!(
            "cargo::error=no headers of the CUDA runtime (nvidia/cu13/include/cuda_runtime_api.h): run `make setup`"
        );
        return;
    };
    let mut build = compiler(root);
    build.flag("-isystem").flag(runtime.join("include"));
    let mut command = build.get_compiler().to_command();
    command.arg("-shared").args(CUDA_SOURCES).arg("-o").arg(&object);
    // libtorch's own dependencies may be missing here: only what this object asks for has to be there.
    command.args(["-Wl,--no-undefined", "-Wl,--allow-shlib-undefined", "-L"]).arg(root.join("lib"));
    command.args(["-ltorch_cuda", "-lc10_cuda", "-ltorch_cpu", "-lc10", "-L"]).arg(runtime.join("lib"));
    command.arg("-l:libcudart.so.13");
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(status) => println!("cargo::error={CUDA_OBJECT} cannot be linked: the C++ compiler ended with {status}"),
        Err(error) => println!("cargo::error={CUDA_OBJECT} cannot be linked: {error}"),
    }
}

/// The folder with headers and library of the CUDA runtime: beside the `torch` package, or in the environment that set-up made.
fn cuda_runtime(root: &Path) -> Option<PathBuf> {
    let workspace = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("../..");
    let pythons = fs::read_dir(workspace.join(".venv/lib")).into_iter().flatten().flatten();
    let mut packages: Vec<PathBuf> = pythons.map(|python| python.path().join("site-packages")).collect();
    packages.extend(root.canonicalize().ok().and_then(|torch| torch.parent().map(Path::to_path_buf)));
    let folders = packages.into_iter().rev().map(|packages| packages.join("nvidia/cu13"));
    folders.into_iter().find(|folder| folder.join("include/cuda_runtime_api.h").exists())
}

/// Cargo puts a search path that lies in the target folder on the library path of everything it runs: programs, tests, doctests.
/// So `OUT_DIR` gets a link to libtorch's own folder.
fn publish(lib: &Path) {
    let link = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("torchlib");
    let target = lib.canonicalize().expect("the folder was seen a moment ago");
    if link.is_symlink() {
        fs::remove_file(&link).expect("a link in OUT_DIR can be removed");
    }
    std::os::unix::fs::symlink(target, &link).expect("a link in OUT_DIR can be made");
    println!("cargo::rustc-link-search=native={}", link.display());
}
