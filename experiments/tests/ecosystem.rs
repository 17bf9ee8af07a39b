//! What elbo writes, read in Python as docs/python.md says.
//!
//! `make setup` puts a Python with numpy into `.venv`; where PyTorch, safetensors or pandas are importable too they are used, else the same
//! is done by hand. `ELBO_TEST_PYTHON` names another interpreter.

mod common;

use common::{Bench, binary};
use elbo_core::Generator;
use elbo_experiments::archive::Archive;
use elbo_runner::TrainedRun;
use elbo_runner::config::DeviceChoice;
use serde_json::json;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use tch::{Device, Kind, Tensor};

/// What `scripts/tests/python_test.py` says; `None` where there is no Python to ask.
fn python(arguments: &[&OsStr]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let interpreter = std::env::var_os("ELBO_TEST_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from);
    if !interpreter.exists() {
        println!("skipped: no {} (make setup)", interpreter.display());
        return None;
    }
    let mut command = Command::new(interpreter);
    // The libtorch of this process is not the one that a Python brings.
    command.env_remove("LD_LIBRARY_PATH").env("OMP_NUM_THREADS", "1");
    let output =
        command.arg(root.join("scripts/tests/python_test.py")).args(arguments).output().expect("python starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).expect("text");
    println!("{said}");
    Some(said)
}

/// The module of docs/python.md, or its layers in numpy, gives our outputs from our checkpoint to 1e-5 (float32, sums in another order).
#[test]
fn checkpoints_load_in_python_and_give_the_same_outputs() {
    elbo_native::testing::single_thread();
    let bench = Bench::new();
    bench.configure(&[
        ("model", json!({ "network": "burgess", "latent": 10, "likelihood": "bernoulli" })),
        ("train.steps", json!(4)),
        ("train.images_every", json!(0)),
        ("train.evaluate_every", json!(0)),
    ]);
    bench.train("run").arg("--quiet").assert().success();
    let run = TrainedRun::open(&bench.path("run"), Some(DeviceChoice::Cpu), &mut |_| {}).expect("a run");
    let noise = Generator::new(Device::Cpu, 1).expect("a generator");
    let images = run.data.train.images.gather(&Tensor::arange(8, (Kind::Int64, Device::Cpu)), &noise);
    let (posterior, z) = tch::no_grad(|| run.vae.encode(&images, &noise));
    let posterior = posterior.gaussian().expect("a Gaussian");
    let z = z.reshape([-1, 10]);
    let decoded = tch::no_grad(|| run.vae.decode(&z));
    let reference = bench.path("reference.npz");
    let archive =
        Archive::new().with("images", &images).with("mean", &posterior.mean).with("log_var", &posterior.log_var);
    archive.with("z", &z).with("decoded", &decoded).write(&reference).expect("written");
    let checkpoint = bench.path("run/checkpoints/step-4.safetensors");
    python(&["model".as_ref(), checkpoint.as_os_str(), reference.as_os_str()]);
}

/// `pd.read_csv(…).pivot(…)`, or csv: every point once, the last ones those of `summary.json`.
#[test]
fn curves_are_read_by_pandas() {
    let bench = Bench::new();
    bench.train("run").arg("--quiet").assert().success();
    python(&["curves".as_ref(), bench.path("run").as_os_str()]);
}

/// Sizes, names, values and order are found by what three code bases do with the official file; here on a part of the grid.
#[test]
fn rendered_archives_are_read_as_other_code_bases_read_the_official_one() {
    let bench = Bench::new();
    let file = bench.path("sprites.npz");
    let mut command = binary("render-sprites");
    command.arg("--npz").arg(&file);
    for levels in ["scale=0,5", "orientation=0..40/8", "position_x=0..32/8", "position_y=0..32/4"] {
        command.args(["--subset", levels]);
    }
    command.assert().success();
    if let Some(said) = python(&["sprites".as_ref(), file.as_os_str()]) {
        assert!(said.starts_with("960 images, sizes [1, 3, 2, 5, 4, 8]"), "{said}");
    }
}
