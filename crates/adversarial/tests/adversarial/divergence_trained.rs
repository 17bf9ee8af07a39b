//! Divergences by critics that were trained on samples, against the oracle's.

use crate::oracle::{Case, cases};
use crate::support::{from, generator, numbers};
use elbo_adversarial::critic::AggregateCritic;
use elbo_adversarial::divergence::{Estimate, HeldOut};
use elbo_adversarial::{AggregateCriticConfig, Critic, FDivergence, RatioEstimator};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Linear;
use elbo_core::{Generator, NamedTensors, OptimizerConfig};
use elbo_native::testing::single_thread;
use serde_json::json;
use tch::{Device, Kind, Tensor};

/// `T(z) = a + b z + c z²`, which contains the log ratio of any two Gaussians.
#[derive(Debug)]
struct Quadratic(Linear);

impl Critic for Quadratic {
    fn log_ratio(&self, _x: &Tensor, z: &Tensor) -> Tensor {
        self.0.forward(&Tensor::cat(&[z, &z.square()], 1)).squeeze_dim(-1)
    }

    fn parameters(&self) -> NamedTensors {
        self.0.parameters()
    }
}

fn draw([mean, deviation]: [f64; 2], count: i64, noise: &Generator) -> Tensor {
    noise.normal(&[count, 1], Kind::Float) * deviation + mean
}

/// T on `count` fresh samples of P and of Q after `updates` updates on batches of 2000.
fn trained<C: Critic>(case: &Case, critic: C, optimizer: &OptimizerConfig, updates: i64) -> [Tensor; 2] {
    let noise = generator(41);
    let mut estimator = RatioEstimator::new(critic, optimizer).expect("an estimator");
    for update in 0..updates {
        let (p, q) = (draw(case.p, 2000, &noise), draw(case.q, 2000, &noise));
        let _cost = estimator.train((&p, &p), (&q, &q), &Tensor::from(update)).expect("an update");
    }
    let fresh = generator(42);
    [case.p, case.q].map(|normal| {
        let z = draw(normal, 400_000, &fresh);
        tch::no_grad(|| estimator.critic().log_ratio(&z, &z))
    })
}

/// KL, 2·JS, 2·Hellinger² and the total variation within 5%, by both plug-ins; no bound above the truth by more than three standard errors.
fn check(case: &Case, [on_p, on_q]: &[Tensor; 2]) {
    use FDivergence::{Kl, TotalVariation, TwiceJensenShannon, TwiceSquaredHellinger};
    let held_out = HeldOut::new(on_p, on_q);
    for row in [Kl, TwiceJensenShannon, TwiceSquaredHellinger, TotalVariation] {
        let truth = case.value(row);
        let bound = held_out.bound(row);
        for Estimate { value, tail, .. } in [held_out.plug_in(row), held_out.plug_in_on_numerator(row), bound] {
            assert!((value / truth - 1.0).abs() < 0.05, "{row}: {value}, not {truth}");
            assert!(tail.reliable, "{row}: {tail:?}");
        }
        assert!(bound.value < truth + 3.0 * bound.standard_error, "{row}: {bound:?} is above {truth}");
    }
    // Not gated, but never without a verdict.
    let neyman = held_out.bound(FDivergence::Neyman);
    println!("{:?} and {:?}: Neyman {neyman:?}", case.p, case.q);
    assert!(case.value(FDivergence::Neyman) < 100.0 || !neyman.tail.reliable, "{neyman:?}");
}

/// A rate that falls to a hundredth, so that what is left is not the noise of the last batches.
fn falling(rate: f64, updates: i64) -> OptimizerConfig {
    from(json!({ "name": "adam",
        "learning_rate": { "schedule": "cosine", "from": rate, "to": rate / 100.0, "steps": updates } }))
}

#[test]
fn a_quadratic_critic_finds_the_divergences_of_gaussians() {
    single_thread();
    for case in &cases()[..2] {
        let noise = generator(1);
        let critic = Quadratic(Linear::zero(&Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch), 2, 1));
        check(case, &trained(case, critic, &falling(0.05, 800), 800));
    }
}

#[test]
fn a_small_network_finds_the_divergences_of_gaussians() {
    single_thread();
    for case in &cases()[..2] {
        let noise = generator(1);
        let config: AggregateCriticConfig = from(json!({ "hidden": [32, 32], "activation": "elu" }));
        let critic: AggregateCritic = config.build(1, &noise, Device::Cpu).expect("a critic");
        check(case, &trained(case, critic, &falling(0.01, 800), 800));
    }
}

/// The cost before an update is that of a critic that knows nothing, and its state is its parameters and its optimiser.
#[test]
fn an_estimator_starts_at_twice_log_two() {
    single_thread();
    let noise = generator(1);
    let critic = Quadratic(Linear::zero(&Initialiser::new(&noise, Device::Cpu, Initialisation::PyTorch), 2, 1));
    let mut estimator = RatioEstimator::new(critic, &falling(0.05, 10)).expect("an estimator");
    let z = draw([0.0, 1.0], 16, &noise);
    let cost = estimator.train((&z, &z), (&z, &z), &Tensor::from(0_i64)).expect("an update");
    assert!((numbers(&cost)[0] - 2.0 * 2_f64.ln()).abs() < 1e-6);
    let state = estimator.state();
    let names: Vec<&str> = state.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..2], ["weight", "bias"]);
    assert!(names.contains(&"optimizer.weight.exp_avg"), "{names:?}");
}
