//! What an optimiser keeps: skipped updates, saved and restored states.

use crate::support::{all_bits, generator, named, numbers, step_number, vector};
use elbo_core::{NamedTensors, Optimizer, OptimizerConfig};
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

/// Every rule with everything that it can keep.
fn configs() -> Vec<OptimizerConfig> {
    [
        json!({"name": "adam", "learning_rate": 0.05, "weight_decay": 0.1}),
        json!({"name": "adamw", "learning_rate": 0.05, "weight_decay": 0.1}),
        json!({"name": "rmsprop", "learning_rate": 0.01}),
        json!({"name": "rmsprop", "learning_rate": 0.01, "momentum": 0.8, "weight_decay": 0.1, "clip_norm": 1.0}),
        json!({"name": "sgd", "learning_rate": 0.05}),
        json!({"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": true, "clip_norm": 1.0}),
    ]
    .map(|config: Value| serde_json::from_value(config).expect("a configuration"))
    .into()
}

/// Parameters with a −0, whose sign a skipped update must keep too.
fn parameters() -> NamedTensors {
    let noise = generator(11);
    let weight = noise.normal(&[3, 4], Kind::Float);
    drop(weight.get(0).get(0).fill_(-0.0));
    [("fc.weight", weight), ("fc.bias", noise.normal(&[4], Kind::Float))]
        .map(|(name, tensor)| (name.to_owned(), tensor.set_requires_grad(true)))
        .into()
}

fn gradients(step: i64) -> Vec<Tensor> {
    let noise = generator(100 + step as u64);
    vec![noise.normal(&[3, 4], Kind::Float), noise.normal(&[4], Kind::Float)]
}

fn advance(optimizer: &mut Optimizer, steps: std::ops::Range<i64>) {
    for step in steps {
        optimizer.step(&gradients(step), &step_number(step), None).expect("a step");
    }
}

fn everything(optimizer: &Optimizer) -> NamedTensors {
    let mut all: NamedTensors =
        optimizer.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    all.extend(optimizer.state());
    all
}

fn flag(value: f64) -> Tensor {
    Tensor::full([], value, (Kind::Float, Device::Cpu))
}

/// With NaN gradients, the case that a skip is for, and with ordinary ones.
#[test]
fn a_skipped_update_leaves_every_bit_as_it_was() {
    single_thread();
    for config in configs() {
        let mut optimizer = config.build(parameters()).expect("fits");
        for done in [0, 3] {
            advance(&mut optimizer, 0..done);
            let before = all_bits(&everything(&optimizer));
            let broken: Vec<Tensor> = gradients(9).into_iter().map(|gradient| gradient * f64::NAN).collect();
            for gradients in [broken, gradients(9)] {
                optimizer.step(&gradients, &step_number(9), Some(&flag(1.0))).expect("a step");
                assert_eq!(all_bits(&everything(&optimizer)), before, "{config:?} after {done} steps");
            }
        }
    }
}

/// And skipping in between is the same as not having been asked.
#[test]
fn an_update_that_is_not_skipped_is_the_plain_update() {
    single_thread();
    for config in configs() {
        let (mut plain, mut flagged) =
            (config.build(parameters()).expect("fits"), config.build(parameters()).expect("fits"));
        advance(&mut plain, 0..5);
        for step in 0..5 {
            flagged.step(&gradients(50 + step), &step_number(step), Some(&flag(1.0))).expect("a step");
            flagged.step(&gradients(step), &step_number(step), Some(&flag(0.0))).expect("a step");
        }
        assert_eq!(all_bits(&everything(&flagged)), all_bits(&everything(&plain)), "{config:?}");
    }
}

/// A copy of the state after 10 steps, put into a fresh optimiser, goes on as the one that never stopped.
#[test]
fn a_restored_optimiser_goes_on_bit_for_bit() {
    single_thread();
    for config in configs() {
        let mut uninterrupted = config.build(parameters()).expect("fits");
        advance(&mut uninterrupted, 0..10);
        let saved: Vec<Tensor> = everything(&uninterrupted).iter().map(|(_, tensor)| tensor.detach().copy()).collect();
        advance(&mut uninterrupted, 10..20);

        let mut resumed = config.build(parameters()).expect("fits");
        let addresses =
            |optimizer: &Optimizer| -> Vec<_> { everything(optimizer).iter().map(|(_, t)| t.data_ptr()).collect() };
        let before = addresses(&resumed);
        for ((_, tensor), saved) in everything(&resumed).iter_mut().zip(&saved) {
            tch::no_grad(|| tensor.copy_(saved));
        }
        advance(&mut resumed, 10..20);
        assert_eq!(all_bits(&everything(&resumed)), all_bits(&everything(&uninterrupted)), "{config:?}");
        assert_eq!(addresses(&resumed), before, "state stays where it is");
    }
}

/// The names are the checkpoint format.
#[test]
fn state_is_named_after_the_parameter() {
    single_thread();
    let names = |config: &OptimizerConfig| -> Vec<String> {
        let optimizer = config.build(parameters()).expect("fits");
        optimizer.state().into_iter().map(|(name, _)| name).collect()
    };
    let adam = [
        "fc.weight.exp_avg",
        "fc.weight.exp_avg_sq",
        "fc.weight.step",
        "fc.bias.exp_avg",
        "fc.bias.exp_avg_sq",
        "fc.bias.step",
    ];
    let expected: [&[&str]; 6] = [
        &adam,
        &adam,
        &["fc.weight.square_avg", "fc.bias.square_avg"],
        &["fc.weight.square_avg", "fc.weight.momentum_buffer", "fc.bias.square_avg", "fc.bias.momentum_buffer"],
        &[],
        &["fc.weight.momentum_buffer", "fc.bias.momentum_buffer"],
    ];
    for (config, expected) in configs().iter().zip(expected) {
        assert_eq!(names(config), expected, "{config:?}");
    }
}

/// One count per parameter, on the device, as PyTorch keeps it.
#[test]
fn adam_counts_its_updates() {
    single_thread();
    let mut adam = configs()[0].build(parameters()).expect("fits");
    advance(&mut adam, 0..7);
    adam.step(&gradients(7), &step_number(7), Some(&flag(1.0))).expect("a step");
    let state = adam.state();
    for name in ["fc.weight.step", "fc.bias.step"] {
        assert_eq!(numbers(named(&state, name)), [7.0]);
        assert_eq!(named(&state, name).kind(), Kind::Float);
    }
}

#[test]
#[should_panic(expected = "one gradient per parameter")]
fn a_missing_gradient_is_a_mistake() {
    single_thread();
    let mut adam = configs()[0].build(parameters()).expect("fits");
    let _ = adam.step(&[vector(&[0.0])], &step_number(0), None);
}
