//! Small models and batches.

use elbo_adversarial::Parts;
use elbo_adversarial::testing::Batch;
use elbo_core::{Generator, ModelConfig, OptimizerConfig};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// 1×8×8 pictures.
pub(crate) const IMAGE: [i64; 3] = [1, 8, 8];

pub(crate) fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator")
}

pub(crate) fn batch(size: i64, seed: u64) -> Batch {
    let [channels, height, width] = IMAGE;
    let x = generator(seed).uniform(&[size, channels, height, width], Kind::Float).gt(0.5).to_kind(Kind::Float);
    Batch { x, dataset_len: 1000, seed }
}

pub(crate) fn adam() -> OptimizerConfig {
    from(json!({ "name": "adam", "learning_rate": 1e-3 }))
}

/// An MLP with three latent dimensions, and what else a game is built from.
pub(crate) fn parts<'a>(optimizer: &'a OptimizerConfig, noise: &'a Generator) -> Parts<'a> {
    let model: ModelConfig = from(json!({ "network": "mlp", "latent": 3, "likelihood": "bernoulli",
        "encoder_hidden": [16], "encoder_activation": "relu", "decoder_hidden": [16], "decoder_activation": "tanh" }));
    let vae = model.build(IMAGE, noise, Device::Cpu).expect("a model");
    Parts { vae, optimizer, initialisation: noise, device: Device::Cpu }
}

pub(crate) fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a configuration")
}

pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1])).expect("numbers")
}
