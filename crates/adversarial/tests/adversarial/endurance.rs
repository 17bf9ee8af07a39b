//! Twenty seeds of five hundred steps each, without a number that is not one.

use crate::aggregate::{aae, info_vae_gan, wae_gan};
use crate::factor_vae;
use crate::support::{IMAGE, adam, batch, generator, numbers, parts};
use crate::vae_gan;
use elbo_adversarial::Parts;
use elbo_core::{Algorithm, BatchContext, FieldError};
use elbo_native::testing::single_thread;
use serde_json::json;
use tch::Tensor;

const SEEDS: u64 = 20;
const STEPS: i64 = 500;

/// Trains from every seed, half of them on a thread of their own, and looks at every step's flag and at the last step's values.
fn endures<G: Algorithm>(build: impl Fn(Parts<'_>) -> Result<G, FieldError> + Sync) {
    let run = |seed: u64| {
        let (adam, initialisation) = (adam(), generator(seed));
        let mut game = build(parts(&adam, &initialisation)).expect("a game");
        let x = batch(16, seed).x;
        let noise = generator(seed + 1000);
        let mut flags = Vec::new();
        for step in 0..STEPS {
            let step_tensor = Tensor::from(step);
            let context = BatchContext { step: &step_tensor, dataset_len: 1000, noise: &noise };
            let scalars = game.train_step(&x, &context).expect("a step");
            flags.push(scalars.non_finite().expect("a flag").shallow_clone());
            if step == STEPS - 1 {
                for (name, tensor) in scalars.entries() {
                    assert!(numbers(tensor).iter().all(|value| value.is_finite()), "seed {seed}: {name} is {tensor:?}");
                }
            }
        }
        let skipped = Tensor::stack(&flags, 0).sum(None).double_value(&[]);
        assert!(skipped < 0.5, "seed {seed}: {skipped} steps were not finite");
    };
    std::thread::scope(|scope| {
        for half in 0..2 {
            let run = &run;
            scope.spawn(move || {
                single_thread();
                (0..SEEDS).filter(|seed| seed % 2 == half).for_each(run);
            });
        }
    });
}

#[test]
fn factor_vae_endures() {
    endures(|parts| factor_vae::config().build(parts));
}

#[test]
fn aae_endures() {
    endures(|parts| aae(1.0).build(parts));
}

#[test]
fn wae_gan_endures() {
    endures(|parts| wae_gan().build(parts));
}

/// Of Jensen and Shannon, as the paper's family has it.
#[test]
fn info_vae_gan_endures() {
    endures(|parts| info_vae_gan(0.0, 5.0, "twice-jensen-shannon").build(parts));
}

/// With batch normalisation in all three networks, and the gate.
#[test]
fn vae_gan_endures() {
    let changes = json!({ "equilibrium": { "target": 0.68, "margin": 0.35 }, "gamma": 1e-3 });
    endures(|parts| {
        let vae = vae_gan::model().build(IMAGE, parts.initialisation, parts.device).expect("a model");
        vae_gan::config(&changes).build(Parts { vae, ..parts })
    });
}
