//! Critics of pairs: where they start, what they refuse, and the optimum.

use crate::support::{from, generator, number, numbers};
use elbo_adversarial::ratio::logistic_cost;
use elbo_adversarial::{Critic as _, PairCriticConfig};
use elbo_core::Gaussian;
use elbo_core::posterior::standard_normal_log_density;
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn inner_product(square: f64) -> Value {
    json!({ "network": "inner-product", "hidden": [32, 32, 32], "features": 64, "activation": "leaky-relu-0.2", "square": square })
}

fn concatenation(square: f64) -> Value {
    json!({ "network": "concatenation", "hidden": [32], "blocks": 5, "activation": "elu", "square": square })
}

/// −log p(z) is ‖z‖²/2 up to a constant, so a critic that starts there has only log q left to learn.
#[test]
fn a_critic_starts_near_its_quadratic() {
    single_thread();
    let noise = generator(1);
    let x = noise.uniform(&[64, 1, 4, 4], Kind::Float);
    let z = noise.normal(&[64, 5], Kind::Float);
    for square in [0.0, 0.5, 1.0] {
        let quadratic = z.square().sum_dim_intlist(-1, false, None) * square;
        for (config, tolerance) in [(inner_product(square), 1e-5), (concatenation(square), 1.0)] {
            let config: PairCriticConfig = from(config);
            let critic = config.build([16, 5], &generator(2), Device::Cpu).expect("a critic");
            let value = critic.log_ratio(&x, &z);
            assert_eq!(value.size(), [64]);
            // Three heads of zeros: rounding alone. One output layer as PyTorch draws it: small numbers.
            let distance = number(&(value - &quadratic).abs().max());
            assert!(
                distance <= tolerance * quadratic.abs().max().double_value(&[]).max(1.0),
                "{:?}: {distance}",
                config.network
            );
        }
    }
}

/// Zero heads must not be dead ends: after two updates everything has moved, and T depends on the pair and not on its parts alone.
#[test]
fn an_inner_product_learns_from_its_start_at_zero() {
    single_thread();
    let config: PairCriticConfig = from(inner_product(0.5));
    let critic = config.build([1, 1], &generator(3), Device::Cpu).expect("a critic");
    let optimizer: elbo_core::OptimizerConfig = from(json!({ "name": "adam", "learning_rate": 3e-3 }));
    let before: Vec<Vec<f64>> = critic.parameters().iter().map(|(_, tensor)| numbers(tensor)).collect();
    let mut ratio = elbo_adversarial::RatioEstimator::new(critic, &optimizer).expect("an estimator");
    let noise = generator(4);
    let draw = || {
        let x = noise.uniform(&[256, 1], Kind::Float).gt(0.5).to_kind(Kind::Float) * 2.0 - 1.0;
        let joint = &x + noise.normal(&[256, 1], Kind::Float) * 0.5;
        (x, joint, noise.normal(&[256, 1], Kind::Float))
    };
    for update in 0..200_i64 {
        let (x, joint, prior) = draw();
        let _cost = ratio.train((&x, &joint), (&x, &prior), &Tensor::from(update)).expect("an update");
    }
    let after: Vec<Vec<f64>> = ratio.critic().parameters().iter().map(|(_, tensor)| numbers(tensor)).collect();
    assert!(before.iter().zip(&after).all(|(before, after)| before != after), "a parameter stood still");
    // T*(x, z) = log N(z; x, 1/4) − log N(z; 0, 1): 2.69 at its own x, −5.31 at the other.
    let at = |x: f32, z: f32| {
        let one = |value: f32| Tensor::from_slice(&[value]).reshape([1, 1]);
        number(&ratio.critic().log_ratio(&one(x), &one(z)).squeeze())
    };
    assert!(at(1.0, 1.0) > 0.5 && at(-1.0, -1.0) > 0.5, "{} {}", at(1.0, 1.0), at(-1.0, -1.0));
    assert!(at(1.0, -1.0) < -2.0 && at(-1.0, 1.0) < -2.0, "{} {}", at(1.0, -1.0), at(-1.0, 1.0));
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    single_thread();
    let refusal = |mut config: Value, field: &str, value: Value| {
        let object = config.as_object_mut().expect("an object");
        if value.is_null() {
            object.remove(field);
        } else {
            object.insert(field.to_owned(), value);
        }
        let config: PairCriticConfig = from(config);
        config.build([4, 2], &generator(1), Device::Cpu).expect_err("a refusal").to_string()
    };
    for (config, field, value, expected) in [
        (inner_product(0.5), "blocks", json!(3), "blocks: expected no blocks, for a critic by inner-product has none"),
        (
            inner_product(0.5),
            "features",
            Value::Null,
            "features: expected an integer ≥ 1, which a critic by inner-product needs",
        ),
        (inner_product(0.5), "features", json!(0), "features: expected an integer ≥ 1, got 0"),
        (inner_product(0.5), "hidden", json!([4, 0]), "hidden: expected a list of integers ≥ 1, got [4, 0]"),
        (
            concatenation(0.5),
            "hidden",
            json!([4, 4]),
            "hidden: expected a list of one integer ≥ 1, the width of all blocks, got [4, 4]",
        ),
        (
            concatenation(0.5),
            "features",
            json!(4),
            "features: expected no features, for a critic by concatenation has none",
        ),
    ] {
        assert_eq!(refusal(config, field, value), expected);
    }
}

/// The figures of `avb_optimal_t.json`: T* on a line, its means under q and p, and the value of the game at T*, by sums over quantiles.
#[test]
fn the_optimal_critic_has_the_value_of_the_oracle() {
    single_thread();
    let oracle: Value = serde_json::from_str(include_str!("../avb_optimal_t.json")).expect("JSON");
    let cases = oracle["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let value = |name: &str| case[name].as_f64().expect("a number");
        let row = |number: f64| Tensor::full([1, 1], number, (Kind::Double, Device::Cpu));
        let q = Gaussian::new(row(value("mu")), row(value("logvar")));
        let optimal = |z: &Tensor| {
            q.log_density(&z.reshape([-1, 1, 1])).reshape([-1]) - standard_normal_log_density(&z.reshape([-1, 1]))
        };
        let list = |name: &str| -> Vec<f64> {
            case[name].as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
        };
        let on_line = optimal(&Tensor::from_slice(&list("z")));
        for (got, expected) in numbers(&on_line).into_iter().zip(list("T_opt")) {
            assert!((got - expected).abs() < 1e-9, "{got} for {expected}");
        }
        // Midpoints of 200 000 equally likely intervals. What they miss is in the tails: 1e-4 of a quadratic's mean.
        let count = 200_000;
        let share = (Tensor::arange(count, (Kind::Double, Device::Cpu)) + 0.5) / count as f64;
        let prior = (share * 2.0 - 1.0).erfinv() * 2_f64.sqrt();
        let posterior = &prior * (value("logvar") / 2.0).exp() + value("mu");
        let (on_posterior, on_prior) = (optimal(&posterior), optimal(&prior));
        for (got, expected) in [
            (on_posterior.mean(None), value("E_q_T")),
            (on_prior.mean(None), value("E_p_T")),
            (-logistic_cost(&on_posterior, &on_prior), value("max_discriminator_objective")),
        ] {
            assert!((number(&got) - expected).abs() < 2e-4, "{got:?} for {expected}");
        }
        // And it is an optimum: whatever is added costs.
        let least = number(&logistic_cost(&on_posterior, &on_prior));
        for change in
            [|z: &Tensor| z * 0.1, |z: &Tensor| z * -0.1, |z: &Tensor| z.square() * 0.05, |z: &Tensor| z * 0.0 + 0.1]
        {
            let other = logistic_cost(&(&on_posterior + change(&posterior)), &(&on_prior + change(&prior)));
            assert!(number(&other) > least + 1e-4, "{other:?} against {least}");
        }
    }
}
