//! `SingleObjective` as an algorithm: what a step reports, what it changes, and what it may ask of the device.

use crate::setting::{beta_tcvae, generator, number};
use elbo_core::networks::{LikelihoodName, ModelConfig, NetworkName};
use elbo_core::optimizer::OptimizerName;
use elbo_core::{Algorithm, BatchContext, ForwardPass, Generator, OptimizerConfig, Scalars, Vae, Weight};
use elbo_native::recorder::{Operator, record};
use elbo_objectives::{
    BetaVae, Capacity, Elbo, Estimator, FreeBits, Iwae, Objective, SingleObjective, StickingTheLanding, Terms,
};
use serde::de::DeserializeOwned;
use tch::{Device, Kind, Tensor};

const BATCH: i64 = 6;
const IMAGE: [i64; 3] = [1, 32, 32];
const DATASET_LEN: i64 = 50;

/// The smallest of the shipped networks.
fn vae() -> Vae {
    let config = ModelConfig::new(NetworkName::Burgess, 3, LikelihoodName::Bernoulli);
    config.build(IMAGE, &generator(1), Device::Cpu).expect("a model")
}

fn adam() -> OptimizerConfig {
    OptimizerConfig::new(OptimizerName::Adam, Weight::constant(1e-3).expect("positive"))
}

fn algorithm<O: Objective>(objective: O) -> SingleObjective<O> {
    SingleObjective::new(vae(), objective, &adam()).expect("an algorithm")
}

/// Half of the pixels white, as the seed has it.
fn images(seed: u64) -> Tensor {
    let [channels, height, width] = IMAGE;
    generator(seed).uniform(&[BATCH, channels, height, width], Kind::Float).round()
}

/// A run in small: a step counter on the device and a generator.
struct Run {
    step: Tensor,
    noise: Generator,
}

impl Run {
    fn new() -> Self {
        Self { step: Tensor::from(0_i64), noise: generator(2) }
    }

    fn context(&self) -> BatchContext<'_> {
        BatchContext { step: &self.step, dataset_len: DATASET_LEN, noise: &self.noise }
    }

    fn train(&mut self, algorithm: &mut dyn Algorithm, x: &Tensor) -> Scalars {
        let scalars = algorithm.train_step(x, &self.context()).expect("a step");
        let _ = self.step.g_add_scalar_(1);
        scalars
    }
}

pub(crate) fn read<O: DeserializeOwned + Objective + 'static>(json: &str) -> Box<dyn Objective> {
    Box::new(serde_json::from_str::<O>(json).expect("a configuration"))
}

/// Every shipped objective, one with a schedule among them.
pub(crate) fn objectives() -> Vec<(String, Box<dyn Objective>)> {
    let warm_up: BetaVae =
        serde_json::from_str(r#"{"beta":{"schedule":"cosine","from":0,"to":4,"steps":10}}"#).expect("a warm-up");
    let mut all: Vec<(String, Box<dyn Objective>)> = vec![
        ("elbo".to_owned(), Box::new(Elbo)),
        ("beta-vae".to_owned(), Box::new(BetaVae { beta: Weight::constant(4.0).expect("positive") })),
        ("beta-vae with a warm-up".to_owned(), Box::new(warm_up)),
    ];
    for estimator in Estimator::MINIBATCH {
        all.push((format!("beta-tcvae {estimator}"), Box::new(beta_tcvae(1.0, 6.0, 1.0, estimator))));
    }
    all.extend(crate::regularisers::one_of_each());
    let ramp = r#""start_capacity":0,"max_capacity":1.5,"ramp_steps":100"#;
    let kl = format!(r#"{{"capacity_weight":10,{ramp},"form":"per-sample","target":"kl"}}"#);
    let information = r#""target":"mutual-information","estimator":"mss","aggregate_kl_weight":1"#;
    let information = format!(r#"{{"capacity_weight":1,{ramp},"form":"batch-mean",{information}}}"#);
    all.extend([
        ("capacity of the KL".to_owned(), read::<Capacity>(&kl)),
        ("capacity of the information".to_owned(), read::<Capacity>(&information)),
        ("free-bits".to_owned(), read::<FreeBits>(r#"{"free_nats":0.1,"beta":1}"#)),
        ("iwae".to_owned(), read::<Iwae>(r#"{"samples":3,"gradient":"plain"}"#)),
        ("iwae with dreg".to_owned(), read::<Iwae>(r#"{"samples":3,"gradient":"dreg"}"#)),
        ("sticking-the-landing".to_owned(), read::<StickingTheLanding>("{}")),
    ]);
    all
}

fn copies(algorithm: &dyn Algorithm) -> Vec<(String, Tensor)> {
    algorithm.state().into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect()
}

fn is_flagged(scalars: &Scalars) -> bool {
    number(scalars.non_finite().expect("a flag")) > 0.5
}

fn names(scalars: &Scalars) -> Vec<&str> {
    scalars.entries().iter().map(|(name, _)| name.as_str()).collect()
}

/// Two steps issue the same operators with the same shapes and host scalars, and none makes the host wait: the step can be captured.
#[test]
fn the_step_contract_holds_for_every_objective() {
    for (name, objective) in objectives() {
        let mut algorithm = algorithm(objective);
        let mut run = Run::new();
        let (first, second) = (images(3), images(4));
        run.train(&mut algorithm, &first);
        let mut recorded: Vec<Vec<Operator>> = Vec::new();
        for x in [&first, &second] {
            let (scalars, operators) = record(|| run.train(&mut algorithm, x)).expect("a recording");
            assert!(number(scalars.get("loss").expect("loss")).is_finite());
            recorded.push(operators);
        }
        let waiting: Vec<&str> = recorded[1]
            .iter()
            .filter(|operator| operator.synchronises())
            .map(|operator| operator.name.as_str())
            .collect();
        assert!(waiting.is_empty(), "{name} waits for the device: {waiting:?}");
        let difference = recorded[0].iter().zip(&recorded[1]).find(|(first, second)| first != second);
        assert!(difference.is_none(), "{name}: {difference:?}");
        assert_eq!(recorded[0].len(), recorded[1].len(), "{name}");
    }
}

/// A step reports its loss, the objective's terms and the optimiser's, under the same names every time.
#[test]
fn a_step_reports_loss_terms_and_optimiser() {
    let mut algorithm = algorithm(beta_tcvae(1.0, 6.0, 1.0, Estimator::Mss));
    let mut run = Run::new();
    let scalars = run.train(&mut algorithm, &images(3));
    let expected = [
        "loss",
        "reconstruction",
        "kl",
        "kl_per_dimension",
        "elbo",
        "estimate/mutual_information_mss",
        "estimate/total_correlation_mss",
        "estimate/dimension_wise_kl_mss",
        "gradient_norm",
        "schedule/learning_rate",
    ];
    assert_eq!(names(&scalars), expected);
    assert_eq!(names(&run.train(&mut algorithm, &images(4))), expected);
    assert_eq!(scalars.get("kl_per_dimension").expect("reported").size(), [3]);
    assert!((number(scalars.get("schedule/learning_rate").expect("reported")) - 1e-3).abs() < 1e-9);
    assert!(number(scalars.get("gradient_norm").expect("reported")) > 0.0);
    assert!(!is_flagged(&scalars));
}

/// Evaluation gives the same terms without the optimiser's, changes nothing, and leaves no graph; with the same noise it gives the same
/// numbers as the step that follows, because a step reports the terms before its update.
#[test]
fn evaluation_gives_the_terms_of_the_step_and_changes_nothing() {
    for (name, objective) in objectives() {
        let mut algorithm = algorithm(objective);
        let before = copies(&algorithm);
        let x = images(3);
        let evaluated = algorithm.evaluate(&x, &Run::new().context()).expect("an evaluation");
        for ((key, now), (_, before)) in algorithm.state().iter().zip(&before) {
            assert_eq!(now, before, "{name}: evaluation changed {key}");
        }
        assert!(evaluated.get("gradient_norm").is_none() && evaluated.get("schedule/learning_rate").is_none());
        let trained = Run::new().train(&mut algorithm, &x);
        for (key, value) in evaluated.entries() {
            assert_eq!(value, trained.get(key).expect("the same names"), "{name}: {key}");
            assert!(!value.requires_grad());
        }
        assert_eq!(evaluated.entries().len() + 2, trained.entries().len(), "{name}");
    }
}

/// Every parameter takes part in every loss.
#[test]
fn a_step_moves_every_parameter() {
    for (name, objective) in objectives() {
        // The warm-up starts at 0, where the KL says nothing yet; the second step has all terms.
        let mut algorithm = algorithm(objective);
        let before = copies(&algorithm);
        let mut run = Run::new();
        run.train(&mut algorithm, &images(3));
        run.train(&mut algorithm, &images(4));
        for ((key, now), (_, before)) in algorithm.vae().parameters().iter().zip(&before) {
            assert_ne!(now, before, "{name} leaves {key} as it was");
        }
    }
}

/// A few steps on one batch lower the loss.
#[test]
fn training_lowers_the_loss() {
    for (name, objective) in objectives().into_iter().filter(|(name, _)| !name.contains("warm-up")) {
        let mut algorithm = algorithm(objective);
        let mut run = Run::new();
        let x = images(3);
        let losses: Vec<f64> =
            (0..30).map(|_| number(run.train(&mut algorithm, &x).get("loss").expect("reported"))).collect();
        assert!(losses[29] < losses[0] - 20.0, "{name}: {} to {}", losses[0], losses[29]);
    }
}

/// A loss that is not finite is flagged and leaves parameters, moments and counts bit for bit as they were.
#[test]
fn a_loss_that_is_not_finite_changes_nothing_and_is_flagged() {
    for (name, objective) in objectives() {
        let mut algorithm = algorithm(objective);
        let mut run = Run::new();
        run.train(&mut algorithm, &images(3));
        for bad in [f64::NAN, f64::INFINITY] {
            let before = copies(&algorithm);
            let x = images(4);
            let _ = x.narrow(0, 0, 1).narrow(3, 0, 1).fill_(bad);
            let scalars = run.train(&mut algorithm, &x);
            assert!(is_flagged(&scalars), "{name}");
            for ((key, now), (_, before)) in algorithm.state().iter().zip(&before) {
                assert_eq!(now, before, "{name}: {key} moved");
            }
            let scalars = run.train(&mut algorithm, &images(5));
            assert!(!is_flagged(&scalars), "{name} does not recover");
        }
    }
}

/// The state is the model's parameters under their own names, and the optimiser's beside them, at addresses that stay.
#[test]
fn the_state_is_parameters_and_optimiser() {
    let mut algorithm = algorithm(Elbo);
    let addresses = |algorithm: &dyn Algorithm| -> Vec<(String, usize)> {
        algorithm.state().into_iter().map(|(name, tensor)| (name, tensor.data_ptr() as usize)).collect()
    };
    let before = addresses(&algorithm);
    let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["encoder.conv1.weight", "decoder.deconv3.bias", "optimizer.encoder.conv1.weight.exp_avg"] {
        assert!(names.contains(&name), "{name} is missing from {names:?}");
    }
    Run::new().train(&mut algorithm, &images(3));
    assert_eq!(addresses(&algorithm), before);
}

/// An objective of one's own that reports nothing: the curves by which runs are compared are there all the same.
#[derive(Debug)]
struct Silent;

impl Objective for Silent {
    fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
        let kl = pass.posterior.kl_to_prior().mean(None);
        Terms::new(kl - pass.log_likelihood().mean(None)).with("half_kl", pass.posterior.kl_to_prior().mean(None) * 0.5)
    }
}

#[test]
fn what_an_objective_does_not_report_is_completed() {
    let (silent, elbo) = (algorithm(Silent), algorithm(Elbo));
    let x = images(3);
    let of = |algorithm: &dyn Algorithm| algorithm.evaluate(&x, &Run::new().context()).expect("an evaluation");
    let (silent, elbo) = (of(&silent), of(&elbo));
    assert_eq!(names(&silent), ["loss", "half_kl", "reconstruction", "kl", "kl_per_dimension", "elbo"]);
    for name in ["loss", "reconstruction", "kl", "kl_per_dimension", "elbo"] {
        assert_eq!(silent.get(name), elbo.get(name), "{name}");
    }
}

/// The objective's own check reaches the loop.
#[test]
fn a_batch_that_does_not_fit_is_refused_before_the_run() {
    let algorithm = algorithm(beta_tcvae(1.0, 6.0, 1.0, Estimator::Mws));
    assert!(algorithm.check(64, 1000).is_ok());
    let message = algorithm.check(1, 1000).expect_err("a batch of one").to_string();
    assert!(message.starts_with("expected a batch of at least 2"), "{message}");
    assert!(algorithm.check(64, 63).is_err());
}
