//! AAE, WAE-GAN and the adversarial `InfoVAE`.

use crate::support::{IMAGE, adam, batch, from, generator, numbers, parts};
use elbo_adversarial::aggregate::AggregateGame;
use elbo_adversarial::testing::{Batch, check_routing};
use elbo_adversarial::{Aae, Costs, Game, InfoVaeGan, Mode, Parts, WaeGan};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Activation;
use elbo_core::networks::Mlp;
use elbo_core::vae::Encoder;
use elbo_core::{
    Algorithm, BatchContext, FieldError, Generator, Knowledge, Likelihood, NamedTensors, Network, Posterior, Scalars,
    Vae,
};
use elbo_native::testing::single_thread;
use elbo_objectives::{Elbo, Objective};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn critic() -> Value {
    json!({ "hidden": [12, 12], "activation": "leaky-relu-0.2" })
}

fn critic_optimizer() -> Value {
    json!({ "name": "adam", "learning_rate": 1e-3, "betas": [0.5, 0.9] })
}

pub(crate) fn aae(weight: impl Into<Value>) -> Aae {
    let weight: Value = weight.into();
    from(json!({ "divergence_weight": weight, "critic": critic(), "critic_optimizer": critic_optimizer() }))
}

pub(crate) fn wae_gan() -> WaeGan {
    from(json!({ "divergence_weight": 10.0, "critic": critic(), "critic_knows_prior": true,
        "critic_optimizer": critic_optimizer() }))
}

pub(crate) fn info_vae_gan(alpha: f64, lambda: impl Into<Value>, divergence: impl Into<Value>) -> InfoVaeGan {
    let (lambda, divergence): (Value, Value) = (lambda.into(), divergence.into());
    from(
        json!({ "alpha": alpha, "lambda": lambda, "divergence": divergence, "critic": critic(), "critic_knows_prior": false,
        "critic_optimizer": critic_optimizer(), "critic_steps": 2 }),
    )
}

/// Any of the three.
fn game(build: impl FnOnce(Parts<'_>) -> Result<AggregateGame, FieldError>) -> AggregateGame {
    let (adam, noise) = (adam(), generator(3));
    build(parts(&adam, &noise)).expect("a game")
}

/// `g(x, ε)`, a network of the picture and of noise: nothing is known of q(z|x) but its samples.
#[derive(Debug)]
struct Implicit(Mlp);

impl Encoder for Implicit {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        assert_eq!(samples, 1, "one sample is all that is asked for here");
        let x = x.flatten(1, -1);
        let epsilon = noise.normal(&[x.size()[0], 2], x.kind());
        (Posterior::Implicit { moments: None }, self.0.forward(&Tensor::cat(&[&x, &epsilon], 1)))
    }

    fn parameters(&self) -> NamedTensors {
        self.0.parameters()
    }

    fn knowledge(&self) -> Knowledge {
        Knowledge::Samples
    }
}

fn implicit_vae() -> Vae {
    let noise = generator(4);
    let initialiser = Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch);
    let pixels = IMAGE.iter().product();
    let encoder = Implicit(Mlp::new(&initialiser, pixels + 2, &[16], Activation::Relu, 3, 1));
    let decoder = Mlp::new(&initialiser, 3, &[16], Activation::Tanh, pixels, 1);
    Vae::new(Box::new(encoder), Box::new(decoder), Likelihood::Bernoulli, 3, IMAGE)
}

fn implicit(build: impl FnOnce(Parts<'_>) -> Result<AggregateGame, FieldError>) -> Result<AggregateGame, FieldError> {
    let (adam, noise) = (adam(), generator(3));
    build(Parts { vae: implicit_vae(), optimizer: &adam, initialisation: &noise, device: Device::Cpu })
}

fn costs(game: &AggregateGame, batch: &Batch, step: i64) -> (Costs, Scalars) {
    let (noise, step) = (generator(batch.seed), Tensor::from(step));
    let context = BatchContext { step: &step, dataset_len: batch.dataset_len, noise: &noise };
    game.costs(&batch.x, &context, Mode::Training).expect("costs")
}

fn train(game: &mut dyn Algorithm, batch: &Batch, steps: std::ops::Range<i64>) -> Scalars {
    let mut last = Scalars::new();
    for step in steps {
        let (noise, step) = (generator(100 + step as u64), Tensor::from(step));
        let context = BatchContext { step: &step, dataset_len: batch.dataset_len, noise: &noise };
        last = game.train_step(&batch.x, &context).expect("a step");
    }
    last
}

fn value(scalars: &Scalars, name: &str) -> f64 {
    numbers(scalars.get(name).unwrap_or_else(|| panic!("no scalar is called {name}")))[0]
}

/// Reconstruction, KL and divergence train the model, the critic's cost the critic: for every f, with a ramp, without a divergence, and
/// with implicit codes.
#[test]
fn every_cost_trains_whom_it_should() {
    single_thread();
    let batch = batch(8, 1);
    let mut games = vec![
        game(|parts| aae(1.0).build(parts)),
        game(|parts| aae(0.0).build(parts)),
        game(|parts| wae_gan().build(parts)),
        game(|parts| info_vae_gan(1.0, 0.0, "kl").build(parts)),
        game(|parts| {
            let ramp = json!({ "schedule": "linear", "from": 2.0, "to": 5.0, "steps": 10 });
            info_vae_gan(0.5, ramp, "twice-jensen-shannon").build(parts)
        }),
        implicit(|parts| wae_gan().build(parts)).expect("a game"),
        implicit(|parts| info_vae_gan(1.0, 2.0, "reverse-kl").build(parts)).expect("a game"),
    ];
    for divergence in [
        json!("kl"),
        json!("reverse-kl"),
        json!("pearson"),
        json!("neyman"),
        json!("twice-squared-hellinger"),
        json!({ "alpha": 0.3 }),
    ] {
        games.push(game(|parts| info_vae_gan(0.2, 3.0, divergence).build(parts)));
    }
    for game in &mut games {
        let told = format!("{game:?}");
        check_routing(game, &batch, 2).unwrap_or_else(|error| panic!("{error}: {told:.200}"));
    }
}

/// The gradients of a model's player, in its order.
fn model_gradients(game: &AggregateGame, costs: &Costs) -> Vec<Tensor> {
    game.gradients(costs).expect("gradients").swap_remove(0)
}

/// Without its weight AAE is an autoencoder: the gradient is that of the mean of −log p(x|z) over the same pass, bit for bit.
#[test]
fn an_aae_of_weight_zero_is_an_autoencoder() {
    single_thread();
    let batch = batch(8, 2);
    let game = game(|parts| aae(0.0).build(parts));
    let (costs, _) = costs(&game, &batch, 0);
    let ours = model_gradients(&game, &costs);
    let pass = game.vae().forward_training(&batch.x, &generator(batch.seed), 1);
    let plain = -pass.log_likelihood().mean(None);
    let expected = elbo_native::gradients(&plain, &game.vae().parameters()).expect("gradients");
    assert!(ours.iter().zip(&expected).all(|(one, other)| one.equal(other)));
    assert!(ours.iter().all(|gradient| gradient.abs().max().double_value(&[]) > 0.0));
}

/// α = 0, λ = 1: the divergence has no weight, and the gradient is the ELBO's over the same pass, bit for bit.
#[test]
fn an_info_vae_without_divergence_is_the_elbo() {
    single_thread();
    let batch = batch(8, 2);
    let game = game(|parts| info_vae_gan(0.0, 1.0, "kl").build(parts));
    let (costs, scalars) = costs(&game, &batch, 0);
    let (noise, step) = (generator(batch.seed), Tensor::from(0_i64));
    let pass = game.vae().forward_training(&batch.x, &noise, 1);
    let context = BatchContext { step: &step, dataset_len: batch.dataset_len, noise: &noise };
    let elbo = Elbo {}.evaluate(&pass, &context).loss;
    let expected = elbo_native::gradients(&elbo, &game.vae().parameters()).expect("gradients");
    assert!(model_gradients(&game, &costs).iter().zip(&expected).all(|(one, other)| one.equal(other)));
    assert_eq!(value(&scalars, "loss"), numbers(&elbo)[0]);
    assert_eq!(value(&scalars, "elbo"), -numbers(&elbo)[0]);
}

/// Each weight does what its formula says: the gradient is linear in it.
#[test]
fn weights_weigh_what_they_are_called_after() {
    single_thread();
    let batch = batch(8, 2);
    let cost = |game: &AggregateGame, name: &str, step: i64| numbers(costs(game, &batch, step).0.get(name))[0];
    let one = game(|parts| info_vae_gan(0.5, 1.5, "pearson").build(parts));
    let two = game(|parts| info_vae_gan(0.25, 3.75, "pearson").build(parts));
    // 1 − α: 0.5 and 0.75. α + λ − 1: 1 and 3. Both are exact in binary, so that only one rounding is left.
    for (name, factor) in [("kl", 1.5), ("divergence", 3.0)] {
        let (one, two) = (cost(&one, name, 0), cost(&two, name, 0));
        assert!((two / one - factor).abs() < 1e-6, "{name}: {one} and {two}");
    }
    let ramp = json!({ "schedule": "linear", "from": 1.0, "to": 5.0, "steps": 4 });
    let ramp = game(|parts| info_vae_gan(0.5, ramp, "pearson").build(parts));
    let (start, end) = (cost(&ramp, "divergence", 0), cost(&ramp, "divergence", 4));
    assert!((end / start - 9.0).abs() < 1e-5, "α + λ − 1 goes from 0.5 to 4.5: {start} {end}");
    assert_eq!(value(&costs(&ramp, &batch, 2).1, "schedule/lambda"), 3.0);
    let wae = game(|parts| wae_gan().build(parts));
    let (wae_costs, scalars) = costs(&wae, &batch, 0);
    for (cost, scalar) in [("divergence", "adversarial_cost"), ("critic", "critic_cost")] {
        let ratio = numbers(wae_costs.get(cost))[0] / value(&scalars, scalar);
        assert!((ratio - 10.0).abs() < 1e-5, "λ weighs both, and the curve is unweighted: {cost} {ratio}");
    }
}

/// The published form, number by number: the encoder's cost is −log of the probability of the prior, the critic's the cross-entropy of both
/// labels.
#[test]
fn costs_are_those_that_were_published() {
    single_thread();
    let batch = batch(8, 2);
    let game = game(|parts| wae_gan().build(parts));
    let (_, scalars) = costs(&game, &batch, 0);
    let noise = generator(batch.seed);
    let z = game.vae().forward_training(&batch.x, &noise, 1).z;
    let prior = noise.normal(&z.size(), Kind::Float);
    let probability_of_codes = |z: &Tensor| numbers(&game.log_ratio(z)).into_iter().map(|t| 1.0 / (1.0 + (-t).exp()));
    let mean = |terms: Vec<f64>| terms.iter().sum::<f64>() / terms.len() as f64;
    let fooling = mean(probability_of_codes(&z).map(|d| -(1.0 - d).ln()).collect());
    let codes = mean(probability_of_codes(&z).map(|d| -d.ln()).collect());
    let of_prior = mean(probability_of_codes(&prior).map(|d| -(1.0 - d).ln()).collect());
    assert!((value(&scalars, "adversarial_cost") - fooling).abs() < 1e-5);
    assert!((value(&scalars, "critic_cost") - codes - of_prior).abs() < 1e-5);
    let nwj = mean(numbers(&game.log_ratio(&z)))
        - mean(numbers(&game.log_ratio(&prior)).into_iter().map(f64::exp).collect())
        + 1.0;
    assert!((value(&scalars, "estimate/aggregate_kl_nwj") - nwj).abs() < 1e-4);
}

/// With the prior known T is the network's output minus log N(z; 0, I).
#[test]
fn a_critic_that_knows_the_prior_has_half_the_square_added() {
    single_thread();
    let with = game(|parts| wae_gan().build(parts));
    let without = game(|parts| WaeGan { critic_knows_prior: false, ..wae_gan() }.build(parts));
    let z = generator(8).normal(&[5, 3], Kind::Float);
    let added = with.log_ratio(&z) - without.log_ratio(&z);
    let expected: Vec<f64> = numbers(&z)
        .chunks(3)
        .map(|z| 0.5 * z.iter().map(|z| z * z).sum::<f64>() + 1.5 * std::f64::consts::TAU.ln())
        .collect();
    for (got, expected) in numbers(&added).into_iter().zip(expected) {
        assert!((got - expected).abs() < 1e-5, "{got} {expected}");
    }
}

/// A posterior without density has no `kl` and no `elbo`, and what is left is there; a weight on its KL is refused.
#[test]
fn implicit_codes_are_held_without_a_kl() {
    single_thread();
    let batch = batch(8, 2);
    let mut game = implicit(|parts| info_vae_gan(1.0, 2.0, "kl").build(parts)).expect("a game");
    let scalars = train(&mut game, &batch, 0..3);
    for absent in ["kl", "kl_per_dimension", "elbo"] {
        assert!(scalars.get(absent).is_none(), "{absent}");
    }
    assert!(value(&scalars, "reconstruction") > 0.0 && value(&scalars, "divergence_surrogate").is_finite());
    let refused = implicit(|parts| info_vae_gan(0.5, 2.0, "kl").build(parts)).expect_err("refused");
    assert_eq!(
        refused.to_string(),
        "method.alpha: expected 1, because 1 − alpha weighs KL(q(z|x) ‖ p(z)) and an implicit posterior has none in closed form, got 0.5"
    );
}

/// Another code base's defaults give its divergence the weight −0.999, which trains q(z) away from the prior.
#[test]
fn a_weight_that_turns_the_sign_is_refused() {
    single_thread();
    let build = |config: InfoVaeGan| {
        let (adam, noise) = (adam(), generator(3));
        config.build(parts(&adam, &noise)).map(drop)
    };
    let message = |config: InfoVaeGan| build(config).expect_err("refused").to_string();
    let defaults = info_vae_gan(0.0, 0.001, "kl");
    let got = message(defaults.clone());
    assert!(
        got.starts_with("method.lambda: expected at least 1 − alpha = 1 at every step") && got.contains("-0.9990"),
        "{got}"
    );
    let got = message(info_vae_gan(1.5, 2.0, "kl"));
    assert!(got.starts_with("method.alpha: expected a finite number ≤ 1"), "{got}");
    let ramp = json!({ "schedule": "linear", "from": 2.0, "to": 0.5, "steps": 10 });
    let got = message(info_vae_gan(0.0, ramp, "kl"));
    assert!(got.starts_with("method.lambda: "), "the end of a ramp counts: {got}");
    let got = message(info_vae_gan(0.0, 2.0, "total-variation"));
    assert!(got.starts_with("method.divergence: expected a divergence other than total-variation"), "{got}");
    build(InfoVaeGan { allow_negative: true, ..defaults }).expect("meant");
    let mut wrong = aae(1.0);
    wrong.critic.hidden = vec![];
    let (adam, noise) = (adam(), generator(3));
    let got = wrong.build(parts(&adam, &noise)).expect_err("refused").to_string();
    assert!(got.starts_with("method.critic.hidden: "), "{got}");
}

/// Two critic updates a step are two counts of its optimiser for one of the model's.
#[test]
fn a_critic_is_updated_as_often_as_the_configuration_says() {
    single_thread();
    let mut game = game(|parts| info_vae_gan(0.0, 2.0, "kl").build(parts));
    train(&mut game, &batch(8, 2), 0..3);
    for (name, tensor) in game.state() {
        if name.starts_with("optimizer.") && name.rsplit('.').next() == Some("step") {
            let expected = if name.starts_with("optimizer.critic.") { 6.0 } else { 3.0 };
            assert_eq!(numbers(&tensor)[0], expected, "{name}");
        }
    }
}

/// A picture that is not a number moves nobody, and says so.
#[test]
fn a_bad_batch_moves_nobody() {
    single_thread();
    let mut game = game(|parts| info_vae_gan(0.0, 2.0, "kl").build(parts));
    let before: Vec<Tensor> = game.state().iter().map(|(_, tensor)| tensor.copy()).collect();
    let mut bad = batch(8, 2);
    bad.x *= f64::NAN;
    let scalars = train(&mut game, &bad, 0..1);
    assert_eq!(numbers(scalars.non_finite().expect("a flag"))[0], 1.0);
    assert!(game.state().iter().zip(&before).all(|((_, after), before)| after.equal(before)));
}

/// The state of a game, copied into a fresh one: from there on both are the same, bit for bit.
#[test]
fn a_copied_state_goes_on_bit_for_bit() {
    single_thread();
    let batch = batch(8, 2);
    let builders: [fn() -> AggregateGame; 3] = [
        || game(|parts| aae(1.0).build(parts)),
        || game(|parts| wae_gan().build(parts)),
        || game(|parts| info_vae_gan(0.0, 3.0, "neyman").build(parts)),
    ];
    for build in builders {
        let mut first = build();
        train(&mut first, &batch, 0..5);
        let mut second = build();
        let mut names = Vec::new();
        for ((name, mut to), (_, from)) in second.state().into_iter().zip(first.state()) {
            tch::no_grad(|| to.copy_(&from));
            names.push(name);
        }
        let unique: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        let (one, other) = (train(&mut first, &batch, 5..10), train(&mut second, &batch, 5..10));
        for ((name, one), (_, other)) in one.entries().iter().zip(other.entries()) {
            assert!(one.equal(other), "{name}");
        }
        assert!(first.state().iter().zip(second.state()).all(|((_, one), (_, other))| one.equal(&other)));
    }
}

/// With enough weight the codes go to the prior: 64 pictures whose codes start 1.5 away in every coordinate become a q(z) with nearly the
/// prior's mean and variance. From the same start without the divergence they do not.
#[test]
fn codes_go_to_the_prior() {
    single_thread();
    let batch = batch(64, 2);
    let distance = |game: &AggregateGame| {
        let z = tch::no_grad(|| game.vae().encode(&batch.x.repeat([8, 1, 1, 1]), &generator(77)).1);
        let (mean, variance) = (z.mean_dim(0, false, None), z.var_dim(0, true, false));
        // KL of a Gaussian with these moments from N(0, 1), summed over coordinates.
        numbers(&((mean.square() + &variance - 1.0 - variance.log()) * 0.5).sum(None))[0]
    };
    let ours = |weight: f64| {
        let mut game = game(|parts| {
            let mut config = info_vae_gan(1.0, json!(weight), "kl");
            config.critic_optimizer = from(json!({ "name": "adam", "learning_rate": 5e-3, "betas": [0.5, 0.9] }));
            config.build(parts)
        });
        // Codes start far out.
        for (name, mut tensor) in game.state() {
            if name == "encoder.head.bias" {
                tch::no_grad(|| tensor.copy_(&(&tensor + 1.5)));
            }
        }
        let before = distance(&game);
        train(&mut game, &batch, 0..600);
        (before, distance(&game))
    };
    let (before, after) = ours(20.0);
    assert!(before > 2.0 && after < 0.3, "{before} and {after}");
    let (_, without) = ours(0.0);
    assert!(without > 4.0 * after, "{without} without, {after} with");
}
