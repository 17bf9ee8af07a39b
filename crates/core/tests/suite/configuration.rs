//! Configurations: what is read is what is written, and every refusal, word for word.

use elbo_core::initialisation::Initialisation;
use elbo_core::layers::Activation;
use elbo_core::networks::{LikelihoodName, NetworkName, PosteriorConfig, PosteriorFamily, Sigma};
use elbo_core::optimizer::OptimizerName;
use elbo_core::schedule::Shape;
use elbo_core::{ModelConfig, NonNegative, OptimizerConfig, Schedule, Weight};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// `path: message`, as the runner prints it (without its file), of a value that must be refused.
#[track_caller]
fn refusal<T: DeserializeOwned + std::fmt::Debug>(value: &Value) -> String {
    let text = value.to_string();
    let error = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(&text))
        .expect_err("must be refused");
    let message = error.inner().to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    format!("{}: {message}", error.path())
}

fn round_trip<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).expect("it can be written"))
        .expect("what is written can be read")
}

#[test]
fn numbers_out_of_range_are_refused_word_for_word() {
    for (value, got) in [
        (json!(-4), "-4"),
        (json!(-0.5), "-0.5"),
        (json!("x"), "\"x\""),
        (json!(true), "true"),
        (json!(null), "null"),
        (json!([1]), "[1]"),
        (json!({"a": 1}), "{\"a\":1}"),
    ] {
        assert_eq!(refusal::<NonNegative>(&value), format!(".: expected a finite number ≥ 0, got {got}"));
    }
    assert_eq!(refusal::<Weight>(&json!(-4)), ".: expected a finite number ≥ 0, got -4");
    assert_eq!(refusal::<Weight>(&json!(-0.25)), ".: expected a finite number ≥ 0, got -0.25");
    let or_schedule = ".: expected a finite number ≥ 0 or a schedule like \
        {\"schedule\": \"linear\", \"from\": 0, \"to\": 6, \"steps\": 10000}, got";
    assert_eq!(refusal::<Weight>(&json!("six")), format!("{or_schedule} \"six\""));
    assert_eq!(refusal::<Weight>(&json!(null)), format!("{or_schedule} null"));
    assert_eq!(refusal::<Weight>(&json!(false)), format!("{or_schedule} false"));
    assert_eq!(refusal::<Weight>(&json!([1, 2])), format!("{or_schedule} [1,2]"));
}

/// The path goes on into the schedule's object.
#[test]
fn schedules_are_refused_at_the_field_that_is_wrong() {
    let with = |key: &str, value: Value| {
        let mut schedule = json!({"schedule": "linear", "from": 0, "to": 6, "steps": 10});
        schedule[key] = value;
        refusal::<Weight>(&schedule)
    };
    assert_eq!(
        with("schedule", json!("quadratic")),
        "schedule: expected one of linear, cosine, cyclical, exponential, got \"quadratic\""
    );
    assert_eq!(with("from", json!(-1)), "from: expected a finite number ≥ 0, got -1");
    assert_eq!(with("to", json!("x")), "to: expected a finite number ≥ 0, got \"x\"");
    assert_eq!(with("steps", json!(0)), "steps: expected an integer ≥ 1, got 0");
    assert_eq!(with("steps", json!(2.5)), "steps: expected an integer ≥ 1, got 2.5");
    assert_eq!(
        with("until", json!(3)),
        "until: unknown field `until`, expected one of `schedule`, `from`, `to`, `steps`"
    );
    assert_eq!(
        with("schedule", json!("exponential")),
        ".: expected from > 0 and to > 0 for an exponential schedule, got 0 and 6"
    );
    assert_eq!(refusal::<Weight>(&json!({"schedule": "linear", "from": 0, "to": 6})), ".: missing field `steps`");
}

fn burgess() -> Value {
    json!({"network": "burgess", "latent": 10, "likelihood": "bernoulli"})
}

#[test]
fn models_are_refused_word_for_word() {
    let with = |key: &str, value: Value| {
        let mut model = burgess();
        model[key] = value;
        refusal::<ModelConfig>(&model)
    };
    assert_eq!(with("network", json!("x")), "network: expected one of burgess, locatello, vae-gan, mlp, got \"x\"");
    assert_eq!(
        with("network", json!({"mlp": null})),
        "network: expected one of burgess, locatello, vae-gan, mlp, got {\"mlp\":null}"
    );
    for got in ["0", "-3", "2.5", "\"ten\"", "null", "10.0"] {
        let value: Value = serde_json::from_str(got).expect("JSON");
        assert_eq!(with("latent", value), format!("latent: expected an integer ≥ 1, got {got}"));
    }
    assert_eq!(
        with("likelihood", json!("poisson")),
        "likelihood: expected one of bernoulli, gaussian, laplace, got \"poisson\""
    );
    for got in ["0", "-1", "\"learned\"", "[]"] {
        let value: Value = serde_json::from_str(got).expect("JSON");
        assert_eq!(with("sigma", value), format!("sigma: expected a finite number > 0 or \"learnt\", got {got}"));
    }
    assert_eq!(with("encoder_hidden", json!([4, 0])), "encoder_hidden: expected a list of integers ≥ 1, got [4,0]");
    assert_eq!(with("decoder_hidden", json!(4)), "decoder_hidden: expected a list of integers ≥ 1, got 4");
    assert_eq!(
        with("decoder_activation", json!("gelu")),
        "decoder_activation: expected one of relu, tanh, elu, leaky-relu, leaky-relu-0.2, got \"gelu\""
    );
    assert_eq!(
        with("initialisation", json!("zeros")),
        "initialisation: expected one of pytorch, glorot-uniform, glorot-normal, kaiming-uniform, kaiming-normal, got \"zeros\""
    );
    assert!(with("dropout", json!(0.1)).starts_with("dropout: unknown field `dropout`, expected one of `network`"));
    assert_eq!(refusal::<ModelConfig>(&json!({"network": "burgess", "latent": 2})), ".: missing field `likelihood`");
    let long = with("network", json!("x".repeat(500)));
    assert!(long.ends_with("xxx…") && long.chars().count() < 130, "{long}");
}

#[track_caller]
fn misfit(config: &ModelConfig, image: [i64; 3]) -> String {
    config.check(image).expect_err("must be refused").to_string()
}

#[test]
fn models_that_do_not_fit_are_refused_word_for_word() {
    let burgess = ModelConfig::new(NetworkName::Burgess, 10, LikelihoodName::Bernoulli);
    let image = [1, 64, 64];
    assert_eq!(burgess.check(image), Ok(()));
    assert_eq!(
        misfit(&burgess, [1, 28, 28]),
        "network: expected pictures whose height and width are multiples of 8 for burgess, got 28×28"
    );
    assert_eq!(
        misfit(&burgess, [3, 64, 72]),
        "network: expected pictures whose height and width are multiples of 16 for burgess, got 64×72"
    );
    let locatello = ModelConfig { network: NetworkName::Locatello, ..burgess.clone() };
    assert_eq!(
        misfit(&locatello, [1, 40, 40]),
        "network: expected pictures whose height and width are multiples of 16 for locatello, got 40×40"
    );
    assert_eq!(misfit(&ModelConfig { latent: 0, ..burgess.clone() }, image), "latent: expected an integer ≥ 1, got 0");
    assert_eq!(
        misfit(&ModelConfig { sigma: Some(Sigma::Learnt), ..burgess.clone() }, image),
        "sigma: expected no sigma, for a bernoulli likelihood has no scale"
    );
    let gaussian = ModelConfig { likelihood: LikelihoodName::Gaussian, ..burgess.clone() };
    assert_eq!(
        misfit(&gaussian, image),
        "sigma: expected a finite number > 0 or \"learnt\", which a gaussian likelihood needs"
    );
    assert_eq!(
        misfit(&ModelConfig { sigma: Some(Sigma::Fixed(-1.0)), ..gaussian }, image),
        "sigma: expected a finite number > 0 or \"learnt\", got -1"
    );
    assert_eq!(
        misfit(&ModelConfig { decoder_hidden: Some(vec![4]), ..burgess.clone() }, image),
        "decoder_hidden: expected no decoder_hidden, for it belongs to mlp and the network is burgess"
    );
    let mlp = ModelConfig {
        network: NetworkName::Mlp,
        encoder_hidden: Some(vec![]),
        encoder_activation: Some(Activation::Relu),
        decoder_hidden: Some(vec![3]),
        decoder_activation: Some(Activation::Tanh),
        ..burgess
    };
    assert_eq!(mlp.check([3, 5, 7]), Ok(()));
    assert_eq!(
        misfit(&ModelConfig { encoder_hidden: None, ..mlp.clone() }, image),
        "encoder_hidden: expected a list of integers ≥ 1, which an mlp needs"
    );
    assert_eq!(
        misfit(&ModelConfig { decoder_hidden: Some(vec![3, -2]), ..mlp.clone() }, image),
        "decoder_hidden: expected a list of integers ≥ 1, got [3, -2]"
    );
    assert_eq!(
        misfit(&ModelConfig { decoder_activation: None, ..mlp.clone() }, image),
        "decoder_activation: expected one of relu, tanh, elu, leaky-relu, leaky-relu-0.2, which an mlp needs"
    );
    let error = ModelConfig { latent: -1, ..mlp }.check(image).expect_err("refused").under("model");
    assert_eq!(error.to_string(), "model.latent: expected an integer ≥ 1, got -1");
}

#[test]
fn optimisers_are_refused_word_for_word() {
    let with = |key: &str, value: Value| {
        let mut config = json!({"name": "adam", "learning_rate": 5e-4});
        config[key] = value;
        refusal::<OptimizerConfig>(&config)
    };
    assert_eq!(with("name", json!("lion")), "name: expected one of adam, adamw, rmsprop, sgd, got \"lion\"");
    assert_eq!(with("learning_rate", json!(-1)), "learning_rate: expected a finite number ≥ 0, got -1");
    assert_eq!(
        with("learning_rate", json!({"schedule": "cosine", "from": "x", "to": 0, "steps": 9})),
        "learning_rate.from: expected a finite number ≥ 0, got \"x\""
    );
    assert_eq!(with("betas", json!([0.9, -1])), "betas[1]: expected a finite number ≥ 0, got -1");
    assert_eq!(with("epsilon", json!("tiny")), "epsilon: expected a finite number ≥ 0, got \"tiny\"");
    assert!(with("beta1", json!(0.5)).starts_with("beta1: unknown field `beta1`, expected one of `name`"));
    assert_eq!(refusal::<OptimizerConfig>(&json!({"name": "sgd"})), ".: missing field `learning_rate`");
}

#[test]
fn optimisers_that_do_not_fit_are_refused_word_for_word() {
    let misfit = |config: Value| {
        let config: OptimizerConfig = serde_json::from_value(config).expect("it can be read");
        config.check().expect_err("must be refused").to_string()
    };
    for (config, message) in [
        (json!({"name": "adam", "learning_rate": 0}), "learning_rate: expected a learning rate > 0, got 0"),
        (
            json!({"name": "adam", "learning_rate": {"schedule": "linear", "from": 0, "to": 0, "steps": 5}}),
            "learning_rate: expected a learning rate > 0, got 0",
        ),
        (
            json!({"name": "adam", "learning_rate": 1, "momentum": 0.9}),
            "momentum: expected no momentum, for it belongs to rmsprop, sgd and the optimiser is adam",
        ),
        (
            json!({"name": "sgd", "learning_rate": 1, "betas": [0.9, 0.99]}),
            "betas: expected no betas, for it belongs to adam, adamw and the optimiser is sgd",
        ),
        (
            json!({"name": "sgd", "learning_rate": 1, "epsilon": 1e-8}),
            "epsilon: expected no epsilon, for it belongs to adam, adamw, rmsprop and the optimiser is sgd",
        ),
        (
            json!({"name": "adamw", "learning_rate": 1, "weight_decay": 0, "alpha": 0.9}),
            "alpha: expected no alpha, for it belongs to rmsprop and the optimiser is adamw",
        ),
        (
            json!({"name": "rmsprop", "learning_rate": 1, "nesterov": true}),
            "nesterov: expected no nesterov, for it belongs to sgd and the optimiser is rmsprop",
        ),
        (json!({"name": "adamw", "learning_rate": 1}), "weight_decay: expected a finite number ≥ 0, which adamw needs"),
        (json!({"name": "adam", "learning_rate": 1, "betas": [0.9, 1]}), "betas: expected a number ≥ 0 and < 1, got 1"),
        (json!({"name": "rmsprop", "learning_rate": 1, "alpha": 1.5}), "alpha: expected a number ≥ 0 and < 1, got 1.5"),
        (json!({"name": "sgd", "learning_rate": 1, "momentum": 1}), "momentum: expected a number ≥ 0 and < 1, got 1"),
        (
            json!({"name": "sgd", "learning_rate": 1, "nesterov": true}),
            "momentum: expected a number > 0 and < 1, which nesterov needs",
        ),
        (json!({"name": "sgd", "learning_rate": 1, "clip_norm": 0}), "clip_norm: expected a finite number > 0, got 0"),
    ] {
        assert_eq!(misfit(config), message);
    }
}

/// A configuration comes back as it was written: nothing filled in, nothing left out, no number changed in kind or digits.
#[test]
fn what_is_written_is_what_was_read() {
    fn same<T: Serialize + DeserializeOwned>(value: &Value) {
        let read: T = serde_json::from_value(value.clone()).expect("it can be read");
        assert_eq!(serde_json::to_string(&read).expect("it can be written"), value.to_string());
    }
    same::<ModelConfig>(&burgess());
    same::<ModelConfig>(&json!({
        "network": "mlp", "latent": 2, "likelihood": "laplace", "sigma": 0.1,
        "encoder_hidden": [1200, 1200], "encoder_activation": "relu", "decoder_hidden": [], "decoder_activation": "leaky-relu",
        "initialisation": "glorot-uniform",
    }));
    same::<OptimizerConfig>(&json!({"name": "adam", "learning_rate": 5e-4}));
    same::<OptimizerConfig>(&json!({
        "name": "sgd", "learning_rate": {"schedule": "cosine", "from": 0.1, "to": 0.0, "steps": 10000},
        "weight_decay": 0.01, "momentum": 0.9, "nesterov": true, "clip_norm": 1.5,
    }));
}

fn non_negative() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), 0.0..10.0, 1e-300..1e-290, 1e290..1e300]
}

fn weight() -> impl Strategy<Value = Weight> {
    let shape = proptest::sample::select(Shape::ALL);
    let ramp = (shape, non_negative(), non_negative(), 1..u64::from(u32::MAX))
        .prop_map(|(shape, from, to, steps)| Schedule::Ramp { shape, from: from + 1e-9, to: to + 1e-9, steps });
    prop_oneof![non_negative().prop_map(Schedule::Constant), ramp]
        .prop_map(|schedule| Weight::new(schedule).expect("in range"))
}

fn number() -> impl Strategy<Value = Option<NonNegative>> {
    proptest::option::of(non_negative().prop_map(|value| NonNegative::new(value).expect("in range")))
}

fn model() -> impl Strategy<Value = ModelConfig> {
    let sigma = prop_oneof![Just(Sigma::Learnt), (1e-12..1e12).prop_map(Sigma::Fixed)];
    let hidden = || proptest::option::of(proptest::collection::vec(1..5000_i64, 0..4));
    let activation = || proptest::option::of(proptest::sample::select(Activation::ALL));
    (
        (proptest::sample::select(NetworkName::ALL), 1..500_i64, proptest::sample::select(LikelihoodName::ALL)),
        proptest::option::of(sigma),
        (hidden(), activation(), hidden(), activation()),
        (proptest::option::of(proptest::sample::select(Initialisation::ALL)), proptest::option::of(posterior())),
    )
        .prop_map(
            |(
                (network, latent, likelihood),
                sigma,
                (encoder, encoder_act, decoder, decoder_act),
                (initialisation, posterior),
            )| {
                ModelConfig {
                    network,
                    latent,
                    likelihood,
                    sigma,
                    encoder_hidden: encoder,
                    encoder_activation: encoder_act,
                    decoder_hidden: decoder,
                    decoder_activation: decoder_act,
                    width: None,
                    initialisation,
                    posterior,
                }
            },
        )
}

fn posterior() -> impl Strategy<Value = PosteriorConfig> {
    let count = || proptest::option::of(1..500_i64);
    (
        (proptest::sample::select(PosteriorFamily::ALL), 1..500_i64, count(), count()),
        proptest::option::of(proptest::collection::vec(1..500_i64, 0..4)),
        proptest::option::of(proptest::sample::select(Activation::ALL)),
    )
        .prop_map(|((family, noise, terms, moment_samples), hidden, activation)| PosteriorConfig {
            family,
            noise,
            terms,
            hidden,
            activation,
            moment_samples,
        })
}

fn optimizer() -> impl Strategy<Value = OptimizerConfig> {
    (
        (proptest::sample::select(OptimizerName::ALL), weight()),
        (number(), number(), number(), number(), number(), number(), number()),
        proptest::option::of(any::<bool>()),
    )
        .prop_map(
            |((name, learning_rate), (beta1, beta2, epsilon, weight_decay, momentum, alpha, clip_norm), nesterov)| {
                OptimizerConfig {
                    name,
                    learning_rate,
                    betas: beta1.zip(beta2).map(|(beta1, beta2)| [beta1, beta2]),
                    epsilon,
                    weight_decay,
                    momentum,
                    nesterov,
                    alpha,
                    clip_norm,
                }
            },
        )
}

proptest! {
    /// To the last bit: a resumed run trains with what it stored.
    #[test]
    fn every_configuration_survives_being_written(model in model(), optimizer in optimizer(), weight in weight()) {
        prop_assert_eq!(round_trip(&weight), weight);
        prop_assert_eq!(round_trip(&model), model);
        prop_assert_eq!(round_trip(&optimizer), optimizer);
    }

    /// Any bits of a float64.
    #[test]
    fn every_number_is_itself_or_refused(value in any::<f64>()) {
        match NonNegative::new(value) {
            Some(number) => prop_assert_eq!(round_trip(&number).get().to_bits(), value.to_bits()),
            None => prop_assert!(!value.is_finite() || value < 0.0),
        }
    }

    /// No name but the listed ones, whatever its letters.
    #[test]
    fn only_listed_names_are_names(text in "\\PC{0,12}") {
        let known = NetworkName::ALL.iter().any(|name| name.name() == text);
        prop_assert_eq!(text.parse::<NetworkName>().is_ok(), known);
        prop_assert_eq!(serde_json::from_value::<NetworkName>(json!(text)).is_ok(), known);
    }
}
