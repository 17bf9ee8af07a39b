//! Starting the binaries and reading what they leave behind.
#![allow(dead_code, reason = "every test file uses its own part")]

use assert_cmd::Command;
use elbo_runner::checkpoint::{self, Checkpoint};
use elbo_runner::records::metrics_csv;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of its own for one test, with a small configuration: 1200 images, a network that steps in a millisecond.
pub(crate) struct Bench {
    folder: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self { folder: tempfile::tempdir().expect("a folder") };
        bench.configure(&[]);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("run.json")
    }

    /// Writes the configuration with fields changed: `("train.steps", json!(40))`.
    pub(crate) fn configure(&self, changes: &[(&str, Value)]) {
        let mut config = small();
        for (path, value) in changes {
            let pointer = format!("/{}", path.replace('.', "/"));
            if let Some(place) = config.pointer_mut(&pointer) {
                *place = value.clone();
            } else {
                let (object, field) = path.rsplit_once('.').expect("a field of an object");
                let object = config.pointer_mut(&format!("/{}", object.replace('.', "/"))).expect("an object");
                object[field] = value.clone();
            }
        }
        fs::write(self.config(), config.to_string()).expect("written");
    }

    /// `train run.json --run-dir <folder>/<run>`, with more arguments to come.
    pub(crate) fn train(&self, run: &str) -> Command {
        let mut command = binary("train");
        command.arg(self.config()).arg("--run-dir").arg(self.path(run));
        command
    }
}

/// One of this package's binaries, on one thread, with a cache that the tests share.
pub(crate) fn binary(name: &str) -> Command {
    let mut command = Command::new(program(name));
    for (variable, value) in environment() {
        command.env(variable, value);
    }
    command.timeout(std::time::Duration::from_mins(5));
    command
}

/// Where a binary is.
pub(crate) fn program(name: &str) -> PathBuf {
    assert_cmd::cargo::cargo_bin(name)
}

/// Threads on a busy machine cost more than they bring, and they would add in another order.
pub(crate) fn environment() -> [(&'static str, String); 3] {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").display().to_string();
    [("OMP_NUM_THREADS", "1".to_owned()), ("MKL_NUM_THREADS", "1".to_owned()), ("ELBO_CACHE", cache)]
}

pub(crate) fn small() -> Value {
    json!({
        "name": "small", "seed": 3, "device": "cpu", "precision": "float32",
        "data": { "source": "sprites", "batch_size": 16,
                  "subset": { "orientation": "0..40/10", "position_x": "0..32/8", "position_y": "0..32/8" } },
        "model": { "network": "mlp", "latent": 3, "likelihood": "bernoulli",
                   "encoder_hidden": [16], "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "relu" },
        "method": { "name": "beta-tcvae", "mi_weight": 1.0, "dw_kl_weight": 1.0, "estimator": "mws",
                    "tc_weight": { "schedule": "linear", "from": 1.0, "to": 4.0, "steps": 30 } },
        "optimizer": { "name": "adam", "learning_rate": 1e-3 },
        "train": { "steps": 20, "log_every": 3, "images_every": 10, "evaluate_every": 10, "checkpoint_every": 7,
                   "keep_checkpoints": 100, "evaluate_subset": 64, "evaluate_samples": 32, "capture": "auto" }
    })
}

/// Every tensor of a run's newest checkpoint, bit for bit, by name.
pub(crate) fn newest_state(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let (_, file) =
        checkpoint::list(&run.join("checkpoints")).expect("a list").into_iter().next().expect("a checkpoint");
    state(&file)
}

/// Every tensor of a checkpoint, bit for bit, by name. Its checksum is verified first.
pub(crate) fn state(file: &Path) -> BTreeMap<String, Vec<u8>> {
    Checkpoint::read(file).expect("a whole checkpoint");
    let bytes = fs::read(file).expect("bytes");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    tensors.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

/// All points of `metrics.csv` but speeds, as (step, tag, bits).
pub(crate) fn curves(run: &Path) -> Vec<(u64, String, u64)> {
    let metrics = metrics_csv::read(&run.join("metrics.csv")).expect("metrics");
    let points = metrics.into_iter().filter(|metric| !metric.tag.starts_with("speed/"));
    points.map(|metric| (metric.step, metric.tag, metric.value.to_bits())).collect()
}

/// All files below a folder with their contents: to show that nothing changed.
pub(crate) fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.insert(entry.clone(), Vec::new());
            found.extend(snapshot(&entry));
        } else {
            found.insert(entry.clone(), fs::read(&entry).expect("bytes"));
        }
    }
    found
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).expect("copied");
        }
    }
}

/// The one line of standard error that a refusal prints, after checking that it is one, that the exit code is `code` and that
/// standard output is empty.
pub(crate) fn refusal(command: &mut Command, code: i32) -> String {
    let output = command.output().expect("started");
    let errors = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(lines.len(), 1, "one error line, got:\n{errors}");
    assert!(errors.ends_with(&format!("{}\n", lines[0])), "the error is the last line:\n{errors}");
    assert!(!errors.contains("panicked") && !errors.contains("backtrace"), "{errors}");
    lines[0].trim_start_matches("error: ").to_owned()
}

/// 28×28 pictures and labels in MNIST's four files, each digit a bar of another length.
pub(crate) fn write_mnist(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    for (prefix, count) in [("train", 100_u32), ("t10k", 20)] {
        let mut images = vec![0, 0, 8, 3];
        let mut labels = vec![0, 0, 8, 1];
        images.extend([count, 28, 28].iter().flat_map(|size| size.to_be_bytes()));
        labels.extend(count.to_be_bytes());
        for index in 0..count {
            let bar = (index % 10 + 1) * 28;
            images.extend((0..784).map(|pixel| if pixel < bar { 200_u8 } else { 0 }));
            labels.push((index % 10) as u8);
        }
        fs::write(folder.join(format!("{prefix}-images-idx3-ubyte")), images).expect("written");
        fs::write(folder.join(format!("{prefix}-labels-idx1-ubyte")), labels).expect("written");
    }
}
