//! The estimate of a step's memory, against what a step takes.
//!
//! One test, alone in its program: it reads the peak of the whole process, which `/proc/self/clear_refs` sets back.

use elbo_core::{BatchContext, Generator, ModelConfig, OptimizerConfig};
use elbo_data::ImageShape;
use elbo_experiments::BuiltIn;
use elbo_native::testing::single_thread;
use elbo_runner::memory::step_bytes;
use elbo_runner::{BuildContext, Method};
use serde_json::{Value, json};
use std::fs;
use tch::{Device, Kind, Tensor};

/// `VmRSS` or `VmHWM` in bytes.
fn resident(field: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a field");
    line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") * 1024.0
}

/// What the estimate says, and what a training step adds to the memory at its peak.
fn estimated_and_taken(method: &Value, model: &Value, batch: i64) -> (f64, f64) {
    let model: ModelConfig = serde_json::from_value(model.clone()).expect("a model");
    let optimizer: OptimizerConfig =
        serde_json::from_value(json!({ "name": "adam", "learning_rate": 1e-4 })).expect("an optimiser");
    let method: BuiltIn = serde_json::from_value(method.clone()).expect("a method");
    let initialisation = Generator::new(Device::Cpu, 1).expect("a generator");
    let shape = ImageShape { channels: 1, height: 64, width: 64 };
    let context = BuildContext {
        model: &model,
        optimizer: &optimizer,
        image: [1, 64, 64],
        dataset_len: 100_000,
        device: Device::Cpu,
        initialisation: &initialisation,
    };
    let mut algorithm = method.build(&context).expect("an algorithm");
    let estimated = step_bytes(algorithm.as_ref(), shape, batch).expect("an estimate");
    let noise = Generator::new(Device::Cpu, 2).expect("a generator");
    let step = Tensor::from(0_i64);
    let before = resident("VmRSS");
    fs::write("/proc/self/clear_refs", "5").expect("the peak is set back");
    let x = noise.uniform(&shape.batch(batch), Kind::Float);
    let context = BatchContext { step: &step, dataset_len: 100_000, noise: &noise };
    algorithm.train_step(&x, &context).expect("a step");
    (estimated, resident("VmHWM") - before)
}

/// Never above the truth, so that nothing is refused that fits; and near enough to refuse what is out of reach.
#[test]
fn a_step_takes_what_the_estimate_says_at_least() {
    single_thread();
    let burgess = json!({ "network": "burgess", "latent": 10, "likelihood": "bernoulli" });
    let mlp = json!({ "network": "mlp", "latent": 10, "likelihood": "bernoulli", "encoder_hidden": [1200, 1200],
                      "encoder_activation": "relu", "decoder_hidden": [1200, 1200, 1200], "decoder_activation": "tanh" });
    let tcvae =
        json!({ "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "mss" });
    let iwae = json!({ "name": "iwae", "samples": 8, "gradient": "plain" });
    for (name, method, model, batch) in
        [("burgess", &tcvae, &burgess, 512), ("mlp", &tcvae, &mlp, 4096), ("iwae", &iwae, &mlp, 512)]
    {
        let (estimated, taken) = estimated_and_taken(method, model, batch);
        let [estimated, taken] = [estimated, taken].map(|bytes| bytes / 1e6);
        println!("{name}: {estimated:.0} MB estimated, {taken:.0} MB taken, ratio {:.2}", taken / estimated);
        assert!(
            estimated <= taken && taken <= 6.0 * estimated,
            "{name}: {estimated:.0} MB estimated, {taken:.0} MB taken"
        );
    }
}
