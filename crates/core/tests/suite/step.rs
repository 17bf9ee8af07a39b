//! A whole training step out of the vocabulary: it learns, it is recorded equal, it never asks the host.

use crate::support::{all_bits, assert_close, generator, numbers, step_number, vector};
use elbo_core::layers::Activation;
use elbo_core::networks::{LikelihoodName, NetworkName, Sigma};
use elbo_core::player::non_finite;
use elbo_core::{Generator, ModelConfig, NamedTensors, OptimizerConfig, Player, Vae};
use elbo_native::recorder::{Operator, record};
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

struct Training {
    vae: Vae,
    player: Player,
    noise: Generator,
    step: Tensor,
}

impl Training {
    fn new(model: &ModelConfig, image: [i64; 3], optimizer: Value) -> Self {
        let vae = model.build(image, &generator(1), Device::Cpu).expect("a model");
        let config: OptimizerConfig = serde_json::from_value(optimizer).expect("a configuration");
        let player = Player::new(vae.parameters(), &config).expect("it fits");
        Self { vae, player, noise: generator(2), step: step_number(0) }
    }

    /// The negative ELBO of one batch, per example, before its update.
    fn advance(&mut self, x: &Tensor, samples: i64) -> Tensor {
        let pass = self.vae.forward(x, &self.noise, samples);
        let elbo = pass.log_likelihood().mean(None::<Kind>) - pass.posterior.kl_to_prior().mean(None::<Kind>);
        let loss = -elbo;
        let gradients = self.player.gradients(&loss).expect("gradients");
        let (skip, _) = non_finite(&loss, &gradients).expect("a flag");
        self.player.step(gradients, &self.step, Some(&skip)).expect("a step");
        drop(self.step.g_add_scalar_(1));
        loss.detach()
    }
}

fn mlp(likelihood: LikelihoodName) -> ModelConfig {
    ModelConfig {
        sigma: (likelihood != LikelihoodName::Bernoulli).then_some(Sigma::Learnt),
        encoder_hidden: Some(vec![16]),
        encoder_activation: Some(Activation::Elu),
        decoder_hidden: Some(vec![16]),
        decoder_activation: Some(Activation::Tanh),
        ..ModelConfig::new(NetworkName::Mlp, 3, likelihood)
    }
}

fn optimizers() -> Vec<Value> {
    let rate = json!({"schedule": "cosine", "from": 0.01, "to": 0.001, "steps": 5});
    vec![
        json!({"name": "adam", "learning_rate": 1e-3}),
        json!({"name": "adam", "learning_rate": rate, "clip_norm": 1.0}),
        json!({"name": "adamw", "learning_rate": rate, "weight_decay": 0.01}),
        json!({"name": "rmsprop", "learning_rate": rate, "momentum": 0.9, "weight_decay": 0.01, "clip_norm": 1.0}),
        json!({"name": "sgd", "learning_rate": rate, "momentum": 0.9, "nesterov": true}),
    ]
}

/// The step contract: what is recorded of one step is what is recorded of the next, and nothing in it makes the host wait. A schedule's
/// progress, the noise and the optimiser's counts are all on the device.
#[test]
fn consecutive_steps_are_recorded_equal_and_wait_for_nothing() {
    single_thread();
    let burgess = ModelConfig::new(NetworkName::Burgess, 4, LikelihoodName::Bernoulli);
    let locatello = ModelConfig::new(NetworkName::Locatello, 4, LikelihoodName::Bernoulli);
    let mut cases =
        vec![(burgess, [1, 32, 32], optimizers()[0].clone(), 1), (locatello, [3, 16, 16], optimizers()[0].clone(), 1)];
    for likelihood in LikelihoodName::ALL {
        cases.extend(optimizers().into_iter().map(|optimizer| (mlp(*likelihood), [1, 4, 4], optimizer, 2)));
    }
    for (model, image, optimizer, samples) in cases {
        let what = format!("{model:?} {optimizer}");
        let mut training = Training::new(&model, image, optimizer);
        let x = generator(3).uniform(&[4, image[0], image[1], image[2]], Kind::Float);
        let recorded: Vec<Vec<Operator>> =
            (0..3).map(|_| record(|| training.advance(&x, samples)).expect("a record").1).collect();
        assert!(recorded[0].len() > 50, "{what}: {} operators", recorded[0].len());
        assert_eq!(recorded[0], recorded[1], "{what}");
        assert_eq!(recorded[1], recorded[2], "{what}");
        let waiting: Vec<&Operator> = recorded[0].iter().filter(|operator| operator.synchronises()).collect();
        assert!(waiting.is_empty(), "{what}: {waiting:?}");
    }
}

/// Sixteen fixed pictures of two kinds: a working chain of gradients brings −ELBO down by far more than its noise.
#[test]
fn a_small_vae_learns() {
    single_thread();
    let left = vector(&[1.0, 0.0, 1.0, 0.0]).to_kind(Kind::Float).reshape([1, 1, 2, 2]);
    let right = left.flip([3]);
    let x = Tensor::cat(&[left.expand([8, 1, 2, 2], false), right.expand([8, 1, 2, 2], false)], 0);
    for optimizer in [
        json!({"name": "adam", "learning_rate": 0.01}),
        json!({"name": "adamw", "learning_rate": 0.01, "weight_decay": 1e-4}),
        json!({"name": "rmsprop", "learning_rate": 0.005}),
        json!({"name": "sgd", "learning_rate": 0.03, "momentum": 0.9, "clip_norm": 5.0}),
    ] {
        let mut training = Training::new(&mlp(LikelihoodName::Bernoulli), [1, 2, 2], optimizer.clone());
        let losses: Vec<f64> = (0..400).map(|_| numbers(&training.advance(&x, 1))[0]).collect();
        let (start, end) = (losses[0], losses[380..].iter().sum::<f64>() / 20.0);
        // Four fair coins cost 4 ln 2 = 2.77 nats without a code; with the one bit that says all, ln 2 = 0.69.
        assert!(start > 2.4 && end < 2.0 && end > 0.69, "{optimizer}: from {start} to {end}");
    }
}

/// Two runs in one process, step by step in turn, are the two runs alone: no state is shared.
#[test]
fn interleaved_trainings_do_not_touch_each_other() {
    single_thread();
    let new = |optimizer| Training::new(&mlp(LikelihoodName::Gaussian), [1, 4, 4], optimizer);
    let x = generator(3).uniform(&[4, 1, 4, 4], Kind::Float);
    let (mut first, mut second) = (new(optimizers()[1].clone()), new(optimizers()[3].clone()));
    for _ in 0..5 {
        drop(first.advance(&x, 1));
        drop(second.advance(&x, 1));
    }
    for (optimizer, interleaved) in [(1, &first), (3, &second)] {
        let mut alone = new(optimizers()[optimizer].clone());
        for _ in 0..5 {
            drop(alone.advance(&x, 1));
        }
        assert_eq!(all_bits(&alone.vae.parameters()), all_bits(&interleaved.vae.parameters()));
        assert_eq!(all_bits(&alone.player.state()), all_bits(&interleaved.player.state()));
    }
}

/// NaN or infinite, in the loss or anywhere in the gradients: the flag is 1 and nothing moves.
#[test]
fn a_non_finite_step_is_flagged_and_changes_nothing() {
    single_thread();
    let scalar = |value: f64| vector(&[value]).squeeze().to_kind(Kind::Float);
    let ordinary = || vec![vector(&[3.0, 0.0]).to_kind(Kind::Float), vector(&[-4.0]).to_kind(Kind::Float)];
    let (flag, norm) = non_finite(&scalar(-7.0), &ordinary()).expect("a flag");
    assert_eq!((flag.kind(), flag.dim(), numbers(&flag)), (Kind::Float, 0, vec![0.0]));
    assert_close(&norm, &scalar(5.0), 1e-7);

    for broken in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let (flag, _) = non_finite(&scalar(broken), &ordinary()).expect("a flag");
        assert_eq!(numbers(&flag), [1.0], "loss {broken}");
        let mut gradients = ordinary();
        gradients[0] = vector(&[0.0, broken]).to_kind(Kind::Float);
        let (flag, _) = non_finite(&scalar(1.0), &gradients).expect("a flag");
        assert_eq!(numbers(&flag), [1.0], "gradient {broken}");
    }

    let mut training = Training::new(&mlp(LikelihoodName::Bernoulli), [1, 4, 4], optimizers()[1].clone());
    let x = generator(3).uniform(&[4, 1, 4, 4], Kind::Float);
    drop(training.advance(&x, 1));
    let before = (all_bits(&training.vae.parameters()), all_bits(&training.player.state()));
    let loss = training.advance(&(&x * f64::NAN), 1);
    assert!(numbers(&loss)[0].is_nan());
    assert_eq!((all_bits(&training.vae.parameters()), all_bits(&training.player.state())), before);
}

#[test]
fn a_parameter_without_gradient_is_named() {
    single_thread();
    let parameter = |name: &str| (name.to_owned(), vector(&[1.0]).set_requires_grad(true));
    let parameters: NamedTensors = vec![parameter("encoder.used"), parameter("encoder.forgotten")];
    let loss = parameters[0].1.square().sum(None::<Kind>);
    let config: OptimizerConfig = serde_json::from_value(optimizers()[0].clone()).expect("a configuration");
    let player = Player::new(parameters, &config).expect("it fits");
    let error = player.gradients(&loss).expect_err("refused").to_string();
    assert!(error.contains("encoder.forgotten") && !error.contains("encoder.used"), "{error}");
}

/// The gradients of ½θ² are θ; they are values, nothing is left behind in `grad`.
#[test]
fn a_player_takes_gradients_as_values_and_names_its_state() {
    single_thread();
    let theta = vector(&[3.0, -1.0]).set_requires_grad(true);
    let config: OptimizerConfig =
        serde_json::from_value(json!({"name": "sgd", "learning_rate": 0.5, "momentum": 0.5})).expect("it is one");
    let mut player = Player::new(vec![("encoder.theta".to_owned(), theta.shallow_clone())], &config).expect("it fits");
    let gradients = player.gradients(&(theta.square().sum(None::<Kind>) * 0.5)).expect("gradients");
    assert_eq!(numbers(&gradients[0]), [3.0, -1.0]);
    assert!(!theta.grad().defined());
    player.step(gradients, &step_number(0), None).expect("a step");
    assert_eq!(numbers(&theta), [1.5, -0.5]);
    assert_eq!(player.parameters().len(), 1);
    assert_eq!(numbers(&player.learning_rate(&step_number(9))), [0.5]);
    let names: Vec<String> = player.state().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["optimizer.encoder.theta.momentum_buffer"]);
}

#[test]
fn a_player_refuses_settings_that_do_not_fit() {
    single_thread();
    let config: OptimizerConfig =
        serde_json::from_value(json!({"name": "adamw", "learning_rate": 1})).expect("it is one");
    let error = Player::new(Vec::new(), &config).expect_err("refused");
    assert_eq!(error.field, "weight_decay");
}
