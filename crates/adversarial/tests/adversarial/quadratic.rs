//! The quadratic critic reaches the optimum of Proposition 1 where its family contains it.

use crate::support::{adam, from, generator, numbers};
use elbo_adversarial::critic::{Fit, Pairs, QuadraticCritic};
use elbo_adversarial::ratio::logistic_cost;
use elbo_adversarial::{Critic, RatioEstimator};
use elbo_core::OptimizerConfig;
use elbo_core::posterior::{normal_log_density, standard_normal_log_density};
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// `[n, 1]` points of an even grid, wide and fine enough that the trapezoid rule integrates a Gaussian to rounding.
fn grid() -> Tensor {
    Tensor::linspace(-14.0, 14.0, 2801, DOUBLE).unsqueeze(1)
}

fn fitted(critic: &mut QuadraticCritic, numerator: Pairs<'_>, denominator: Pairs<'_>) -> Fit {
    critic.fit(numerator, denominator, &mut || Ok(())).expect("a fit")
}

fn cases() -> Vec<Value> {
    let oracle: Value = serde_json::from_str(include_str!("../oracle_optimal_critic.json")).expect("JSON");
    oracle["cases"].as_array().expect("cases").clone()
}

fn list(case: &Value, field: &str) -> Vec<f64> {
    case[field].as_array().expect(field).iter().map(|value| value.as_f64().expect(field)).collect()
}

/// Fitted to the two densities themselves, on a grid, the critic is T*: the oracle's values, computed from the densities in Python, its
/// means under q and p, and the value of the objective, 2 JS − 2 log 2. Nothing is sampled, so what differs is the ridge of 1e−9.
#[test]
fn the_fit_to_two_densities_is_the_log_ratio_of_the_oracle() {
    single_thread();
    let z = grid();
    let x = Tensor::zeros([z.size()[0], 0], DOUBLE);
    for case in cases() {
        let number = |field: &str| case[field].as_f64().expect(field);
        let [mean, log_var] = ["mu", "logvar"].map(|field| Tensor::full([1], number(field), DOUBLE));
        let q = normal_log_density(&z, &mean, &log_var).exp().squeeze_dim(1);
        let p = standard_normal_log_density(&z).exp();
        let mut critic = QuadraticCritic::new([0, 1], DOUBLE);
        let sides = [&q, &p].map(|weight| Pairs { x: &x, z: &z, weight: Some(weight) });
        let fit = fitted(&mut critic, sides[0], sides[1]);

        let at = Tensor::from_slice(&list(&case, "z")).unsqueeze(1);
        let found = numbers(&critic.log_ratio(&at.narrow(1, 0, 0), &at));
        for (found, expected) in found.iter().zip(list(&case, "T_opt")) {
            assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} is not {expected}");
        }
        let spacing = 0.01;
        let mean_under = |density: &Tensor| (critic.log_ratio(&x, &z) * density * spacing).sum(None).double_value(&[]);
        for (found, field) in [(mean_under(&q), "E_q_T"), (mean_under(&p), "E_p_T")] {
            assert!((found - number(field)).abs() < 1e-6, "{field}: {found} is not {}", number(field));
        }
        let value = number("max_discriminator_objective");
        assert!((-fit.cost - value).abs() < 1e-7, "{} is not {value}", -fit.cost);
        assert!((value - number("two_js_minus_two_log2")).abs() < 1e-7);
    }
}

/// Two dimensions of each, and a mean that turns x: x, z jointly Gaussian under q. From samples the fit errs by the sampling error of a
/// maximum-likelihood fit of 15 features to 2·10⁴ pairs, about √(15/2·10⁴) ≈ 0.03 nats times what little overlap costs.
#[test]
fn the_fit_to_samples_is_near_the_log_ratio_and_does_not_depend_on_its_start() {
    single_thread();
    let noise = generator(5);
    let turn = Tensor::from_slice(&[0.6_f64, 0.5, -0.5, 0.6]).reshape([2, 2]);
    let log_var = Tensor::full([2], (0.25_f64).ln(), DOUBLE);
    let draw = |count: i64| {
        let x = noise.normal(&[count, 2], Kind::Double);
        let mean = x.matmul(&turn) + 0.3;
        let z = &mean + noise.normal(&[count, 2], Kind::Double) * 0.5;
        (x, z, mean)
    };
    let (x, z, _) = draw(20_000);
    let prior = noise.normal(&[20_000, 2], Kind::Double);
    let sides = [&z, &prior].map(|z| Pairs { x: &x, z, weight: None });
    let mut critic = QuadraticCritic::new([2, 2], DOUBLE);
    fitted(&mut critic, sides[0], sides[1]);

    let (fresh_x, fresh_z, mean) = draw(10_000);
    let truth = normal_log_density(&fresh_z, &mean, &log_var).sum_dim_intlist(-1, false, None)
        - standard_normal_log_density(&fresh_z);
    let error = (critic.log_ratio(&fresh_x, &fresh_z) - truth).square().mean(None).sqrt().double_value(&[]);
    assert!(error < 0.1, "RMSE {error}");

    let mut elsewhere = QuadraticCritic::new([2, 2], DOUBLE);
    let weight = &elsewhere.parameters()[0].1;
    tch::no_grad(|| weight.shallow_clone().copy_(&(noise.normal(&weight.size(), Kind::Double) * 0.3)));
    fitted(&mut elsewhere, sides[0], sides[1]);
    let [one, two] = [&critic, &elsewhere].map(|critic| critic.parameters()[0].1.detach());
    assert!(one.allclose(&two, 1e-6, 1e-6, false), "{one} is not {two}");
    // At the minimum the gradient of the cost, taken by autograd through the critic as any game trains it, is 0 but for the ridge.
    let on = |z: &Tensor| critic.log_ratio(&x, z);
    let gradient =
        elbo_native::gradients(&logistic_cost(&on(&z), &on(&prior)), &critic.parameters()).expect("gradients");
    assert!(gradient[0].abs().max().double_value(&[]) < 1e-7, "{}", gradient[0]);
}

/// Samples that a quadratic tells apart have no finite minimum; the ridge keeps the weights finite and the cost goes to 0.
#[test]
fn separated_samples_have_a_finite_fit() {
    single_thread();
    let noise = generator(6);
    let x = Tensor::zeros([50, 0], DOUBLE);
    let near = noise.normal(&[50, 1], Kind::Double) * 0.1;
    let far = noise.normal(&[50, 1], Kind::Double) * 0.1 + 5.0;
    let mut critic = QuadraticCritic::new([0, 1], DOUBLE);
    let [numerator, denominator] = [&near, &far].map(|z| Pairs { x: &x, z, weight: None });
    let fit = fitted(&mut critic, numerator, denominator);
    assert!(fit.cost < 1e-5, "{fit:?}");
    assert!(numbers(&critic.parameters()[0].1).iter().all(|weight| weight.is_finite()));
}

/// The same family by Adam, as a game would train it: the features are orthonormal under p, so that it comes near T* in 400 steps. T* has a
/// standard deviation of 0.9 nats under q here, so that 0.15 is no small feat of a critic that starts at 0.
#[test]
fn the_same_critic_is_trained_by_gradients() {
    single_thread();
    let noise = generator(7);
    let optimizer: OptimizerConfig = from(json!({ "name": "adam",
        "learning_rate": { "schedule": "cosine", "from": 0.1, "to": 0.0, "steps": 400 } }));
    let critic = QuadraticCritic::new([1, 1], (Kind::Float, Device::Cpu));
    let mut estimator = RatioEstimator::new(critic, &optimizer).expect("an estimator");
    let pairs = |count: i64| {
        let x = noise.normal(&[count, 1], Kind::Float);
        let z = &x * 0.75_f64.sqrt() + noise.normal(&[count, 1], Kind::Float) * 0.5;
        (x, z)
    };
    for step in 0..400_i64 {
        let (x, z) = pairs(512);
        let prior = noise.normal(&[512, 1], Kind::Float);
        let _ = estimator.train((&x, &z), (&x, &prior), &Tensor::from(step)).expect("a step");
    }
    let (x, z) = pairs(20_000);
    let variance = Tensor::full([1], 0.25_f64.ln(), (Kind::Float, Device::Cpu));
    let truth =
        normal_log_density(&z, &(&x * 0.75_f64.sqrt()), &variance).squeeze_dim(1) - standard_normal_log_density(&z);
    let error = (estimator.critic().log_ratio(&x, &z) - truth).square().mean(None).sqrt().double_value(&[]);
    assert!(error < 0.15, "RMSE {error}");
}

/// 1 + 5 + 15 features of two numbers of x and three of z, in one parameter.
#[test]
fn its_one_parameter_is_called_weight_and_starts_at_zero() {
    single_thread();
    let critic = QuadraticCritic::new([2, 3], (Kind::Float, Device::Cpu));
    let parameters = critic.parameters();
    let names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["weight"]);
    assert_eq!(parameters[0].1.size(), [21]);
    assert!(numbers(&parameters[0].1).iter().all(|&weight| weight == 0.0));
    assert!(RatioEstimator::new(critic, &adam()).is_ok());
}
