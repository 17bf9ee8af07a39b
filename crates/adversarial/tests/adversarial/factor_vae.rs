//! FactorVAE.

use crate::support::{adam, batch, from, generator, numbers, parts};
use elbo_adversarial::factor_vae::{FactorVaeGame, permuted};
use elbo_adversarial::testing::check_routing;
use elbo_adversarial::{FactorVae, Game, Mode};
use elbo_core::{Algorithm, BatchContext};
use elbo_native::testing::single_thread;
use serde_json::json;
use tch::{Kind, Tensor};

pub(crate) fn config() -> FactorVae {
    from(json!({ "tc_weight": 35.0, "critic": { "hidden": [12, 12], "activation": "leaky-relu-0.2" },
        "critic_optimizer": { "name": "adam", "learning_rate": 1e-3, "betas": [0.5, 0.9] } }))
}

fn game() -> FactorVaeGame {
    let (adam, noise) = (adam(), generator(3));
    config().build(parts(&adam, &noise)).expect("a game")
}

/// The published leak: a discriminator's loss that trains the encoder.
#[test]
fn the_critics_cost_trains_the_critic_alone() {
    single_thread();
    check_routing(&mut game(), &batch(8, 1), 2).expect("routes");
}

#[test]
fn a_permutation_keeps_every_column_and_breaks_the_rows() {
    single_thread();
    let z = Tensor::arange(200, (Kind::Float, tch::Device::Cpu)).reshape([2, 100]).transpose(0, 1);
    let shuffled = permuted(&z, &generator(5));
    assert!(shuffled.sort(0, false).0.equal(&z.sort(0, false).0), "each column has its own values");
    let kept = (shuffled.select(1, 1) - shuffled.select(1, 0)).eq(100.0).sum(Kind::Int64);
    // The expected number of pairs that stay together is 1.
    assert!(kept.int64_value(&[]) < 8, "{} pairs stay", kept.int64_value(&[]));
}

/// One step is one update of each player: Adam's counts say so (another code base's counter rises twice an iteration).
#[test]
fn a_step_is_one_update_of_each_player() {
    single_thread();
    let mut game = game();
    let batch = batch(8, 2);
    let noise = generator(7);
    for update in 0..5_i64 {
        let step = Tensor::from(update);
        let context = BatchContext { step: &step, dataset_len: 1000, noise: &noise };
        game.train_step(&batch.x, &context).expect("a step");
    }
    let counts: Vec<f64> = game
        .state()
        .iter()
        .filter(|(name, _)| name.starts_with("optimizer.") && name.rsplit('.').next() == Some("step"))
        .flat_map(|(_, tensor)| numbers(tensor))
        .collect();
    assert!(counts.len() >= 14 && counts.iter().all(|&count| count == 5.0), "{counts:?}");
}

/// The first half is the model's: its ELBO terms do not depend on the second.
#[test]
fn the_second_half_reaches_the_critic_only() {
    single_thread();
    let game = game();
    let batch = batch(8, 2);
    let step = Tensor::from(0_i64);
    let report = |x: &Tensor| {
        let noise = generator(9);
        let context = BatchContext { step: &step, dataset_len: 1000, noise: &noise };
        game.costs(x, &context, Mode::Training).expect("costs").1
    };
    let other = Tensor::cat(&[batch.x.narrow(0, 0, 4), 1.0 - batch.x.narrow(0, 4, 4)], 0);
    let (one, two) = (report(&batch.x), report(&other));
    let value = |scalars: &elbo_core::Scalars, name: &str| numbers(scalars.get(name).expect(name))[0];
    for name in ["reconstruction", "kl", "estimate/total_correlation_critic"] {
        assert_eq!(value(&one, name), value(&two, name), "{name}");
    }
    assert_ne!(value(&one, "critic_cost"), value(&two, "critic_cost"));
}
