//! Small games.

use elbo_adversarial::testing::Batch;
use elbo_adversarial::{Avb, Critic, Parts, avb::AvbGame};
use elbo_core::{Algorithm, BatchContext, Generator, ModelConfig, NamedTensors, OptimizerConfig, Scalars};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// 1×4×4 pictures.
pub(crate) const IMAGE: [i64; 3] = [1, 4, 4];

pub(crate) type Game = AvbGame<Box<dyn Critic>>;

pub(crate) fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator")
}

pub(crate) fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a configuration")
}

pub(crate) fn adam() -> OptimizerConfig {
    from(json!({ "name": "adam", "learning_rate": 1e-3 }))
}

pub(crate) fn avb(contrast: &str, critic_steps: u32) -> Avb {
    from(json!({ "contrast": contrast, "critic_steps": critic_steps,
        "critic": { "network": "concatenation", "hidden": [16], "blocks": 1, "activation": "elu", "square": 0.5 },
        "critic_optimizer": { "name": "adam", "learning_rate": 1e-3, "betas": [0.5, 0.999] } }))
}

/// `gaussian`, or a family of posteriors that are not.
pub(crate) fn model(family: &str) -> ModelConfig {
    let posterior = match family {
        "implicit" => json!({ "family": family, "noise": 4 }),
        "moment-tractable" => {
            json!({ "family": family, "noise": 4, "terms": 3, "hidden": [8], "activation": "elu", "moment_samples": 16 })
        }
        _ => Value::Null,
    };
    let mut model = json!({ "network": "mlp", "latent": 2, "likelihood": "bernoulli", "encoder_hidden": [16],
        "encoder_activation": "elu", "decoder_hidden": [16], "decoder_activation": "elu" });
    if !posterior.is_null() {
        model["posterior"] = posterior;
    }
    from(model)
}

pub(crate) fn game(family: &str, config: Avb, seed: u64) -> Game {
    let (adam, noise) = (adam(), generator(seed));
    let vae = model(family).build(IMAGE, &noise, Device::Cpu).expect("a model");
    let parts = Parts { vae, optimizer: &adam, initialisation: &noise, device: Device::Cpu };
    config.build(parts).expect("a game")
}

/// Random pictures; with `same`, every row is the first.
pub(crate) fn batch(size: i64, seed: u64, same: bool) -> Batch {
    let [channels, height, width] = IMAGE;
    let x = generator(seed).uniform(&[size, channels, height, width], Kind::Float).gt(0.5).to_kind(Kind::Float);
    let x = if same { x.narrow(0, 0, 1).expand([size, channels, height, width], false).copy() } else { x };
    Batch { x, dataset_len: 1000, seed }
}

/// One update, the `number`th.
pub(crate) fn step(game: &mut dyn Algorithm, x: &Tensor, number: i64, noise: &Generator) -> Scalars {
    let step = Tensor::from(number);
    let context = BatchContext { step: &step, dataset_len: 1000, noise };
    game.train_step(x, &context).expect("a step")
}

pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1])).expect("numbers")
}

pub(crate) fn number(tensor: &Tensor) -> f64 {
    tensor.double_value(&[])
}

/// Every number of a state, bit for bit.
pub(crate) fn bits(state: &NamedTensors) -> Vec<(String, Vec<u64>)> {
    state.iter().map(|(name, tensor)| (name.clone(), numbers(tensor).into_iter().map(f64::to_bits).collect())).collect()
}
