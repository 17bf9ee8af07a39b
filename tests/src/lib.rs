//! Cross-crate tests of `elbo`. The tests are in `tests/`; this library holds what they share.

pub mod contract;
pub mod faults;
pub mod readers;

use elbo_experiments::BuiltIn;
use elbo_runner::{Event, Run, RunConfig, RunOptions};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A run's configuration of 20 steps over a small part of dSprites, with the networks of `config` and its method, optimiser and source.
pub fn shrunk(mut config: Value) -> Value {
    if config["method"]["target"] == "mutual-information" {
        // No code carries more than the logarithm of the few examples here.
        config["method"]["max_capacity"] = json!(3.0);
    }
    if config["model"]["network"] == "vae-gan" {
        // The same layers, fewer channels.
        config["model"]["width"] = json!(0.1);
        if config["method"]["name"] == "vae-gan" {
            config["method"]["discriminator_width"] = json!(0.1);
        }
    }
    config["device"] = json!("cpu");
    config["data"] = json!({ "source": "sprites", "batch_size": 8, "subset": part_of_sprites() });
    config["train"] = json!({ "steps": 20, "log_every": 4, "images_every": 0, "evaluate_every": 10, "checkpoint_every": 10,
                              "evaluate_subset": 48, "evaluate_samples": 16, "capture": "auto" });
    config
}

/// 3 · 6 · 4 · 2 · 2 images.
pub fn part_of_sprites() -> Value {
    json!({ "orientation": "0..40/10", "position_x": "0,31", "position_y": "0,31" })
}

/// Opens a new run in `directory`.
pub fn open(config: &Value, directory: &Path) -> Run<BuiltIn> {
    try_open(config, directory).expect("a run")
}

/// Why a run of `config` is refused.
pub fn refusal(config: &Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    match try_open(config, &folder.path().join("refused")) {
        Ok(_) => panic!("a run was opened: {config}"),
        Err(error) => error.to_string(),
    }
}

fn try_open(config: &Value, directory: &Path) -> anyhow::Result<Run<BuiltIn>> {
    let config = RunConfig::from_value(config.clone(), "test").expect("a configuration");
    let options =
        RunOptions { config: Some(config), origin: "test".to_owned(), directory: directory.to_owned(), resume: false };
    Run::open(&options, &mut |_| {})
}

/// Advances a run to its end.
pub fn finish(run: &mut Run<BuiltIn>) {
    while run.advance().expect("a step") != Event::Finished {}
}

/// Every tensor of a run's algorithm, bit for bit.
pub fn state(run: &Run<BuiltIn>) -> Vec<(String, Vec<u8>)> {
    let bytes = |tensor: &tch::Tensor| {
        let host = tensor.detach().to_device(tch::Device::Cpu).contiguous();
        let mut bytes = vec![0; host.numel() * host.kind().elt_size_in_bytes()];
        host.copy_data_u8(&mut bytes, host.numel());
        bytes
    };
    run.algorithm().state().iter().map(|(name, tensor)| (name.clone(), bytes(tensor))).collect()
}

/// Name and content of every shipped configuration.
pub fn shipped() -> Vec<(String, Value)> {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/configs");
    let paths = fs::read_dir(configs).expect("configs").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<(String, Value)> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let config: Value = serde_json::from_slice(&fs::read(&path).expect("bytes")).expect("JSON");
            (config["name"].as_str().expect("a name").to_owned(), config)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// One shipped configuration of each kind of method, posterior, network and critic, [`shrunk`].
pub fn kinds() -> Vec<(String, Value)> {
    let mut seen = Vec::new();
    let mut kinds = Vec::new();
    for (name, config) in shipped() {
        let kind = ["/method/name", "/model/posterior", "/model/network", "/method/critic/network"]
            .map(|pointer| config.pointer(pointer).cloned());
        if !seen.contains(&kind) {
            seen.push(kind);
            kinds.push((name, shrunk(config)));
        }
    }
    kinds
}
