//! What the tests build on: small float64 codes, passes and contexts.

use elbo_core::{BatchContext, ForwardPass, Gaussian, Generator, Posterior, Weight};
use elbo_objectives::{BetaTcVae, Estimator, Objective, Terms};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

pub(crate) const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Encodings of B examples and a sample from each.
#[derive(Debug)]
pub(crate) struct Codes {
    pub(crate) mean: Tensor,
    pub(crate) log_var: Tensor,
    pub(crate) z: Tensor,
}

pub(crate) fn generator(seed: u64) -> Generator {
    elbo_native::testing::single_thread();
    Generator::new(Device::Cpu, seed).expect("a generator on the CPU")
}

impl Codes {
    /// Overlapping encodings of different widths, in float64.
    pub(crate) fn random(examples: i64, latent: i64, seed: u64) -> Self {
        let noise = generator(seed);
        let mean = noise.normal(&[examples, latent], Kind::Double);
        let log_var = noise.normal(&[examples, latent], Kind::Double) * 0.5 - 1.0;
        Self::sampled(mean, log_var, &noise)
    }

    /// Encodings with a sample drawn from each.
    pub(crate) fn sampled(mean: Tensor, log_var: Tensor, noise: &Generator) -> Self {
        let z = Gaussian::new(mean.shallow_clone(), log_var.shallow_clone()).sample(noise, 1);
        Self { mean, log_var, z }
    }

    pub(crate) fn gaussian(&self) -> Gaussian {
        Gaussian::new(self.mean.shallow_clone(), self.log_var.shallow_clone())
    }

    /// The rows of `indices`.
    pub(crate) fn rows(&self, indices: &[i64]) -> Self {
        let rows = Tensor::from_slice(indices);
        Self {
            mean: self.mean.index_select(0, &rows),
            log_var: self.log_var.index_select(0, &rows),
            z: self.z.index_select(0, &rows),
        }
    }

    /// The same values as leaves that take gradients.
    pub(crate) fn leaves(&self) -> Self {
        let leaf = |t: &Tensor| t.detach().copy().set_requires_grad(true);
        Self { mean: leaf(&self.mean), log_var: leaf(&self.log_var), z: leaf(&self.z) }
    }

    /// A pass whose log-likelihood is a smooth function of z, as a decoder's would be.
    pub(crate) fn pass(&self) -> ForwardPass {
        let batch = self.z.size()[0];
        let x = Tensor::zeros([batch, 1, 1, 1], DOUBLE);
        let log_likelihood = (self.z.sin() - self.z.square() * 0.3).sum_dim_intlist(-1, false, None) - 2.0;
        let decoded = x.shallow_clone();
        ForwardPass::new(x, Posterior::Gaussian(self.gaussian()), self.z.shallow_clone(), decoded, log_likelihood)
    }

    pub(crate) fn evaluate(&self, objective: &dyn Objective, dataset_len: i64) -> Terms {
        evaluate_at(objective, &self.pass(), dataset_len, 0)
    }
}

pub(crate) fn evaluate_at(objective: &dyn Objective, pass: &ForwardPass, dataset_len: i64, step: i64) -> Terms {
    let noise = generator(0);
    objective.evaluate(pass, &BatchContext { step: &Tensor::from(step), dataset_len, noise: &noise })
}

pub(crate) fn beta_tcvae(mi: f64, tc: f64, dw_kl: f64, estimator: Estimator) -> BetaTcVae {
    let weight = |value| Weight::constant(value).expect("a non-negative weight");
    BetaTcVae { mi_weight: weight(mi), tc_weight: weight(tc), dw_kl_weight: weight(dw_kl), estimator }
}

/// A float64 tensor from a (nested) list of an oracle file.
pub(crate) fn tensor(value: &Value) -> Tensor {
    let rows = value.as_array().expect("a list");
    match rows.first() {
        Some(Value::Array(_)) => Tensor::stack(&rows.iter().map(tensor).collect::<Vec<_>>(), 0),
        _ => Tensor::from_slice(&rows.iter().map(|v| v.as_f64().expect("a number")).collect::<Vec<_>>()),
    }
}

pub(crate) fn oracle(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../oracle.json")).expect("oracle.json is JSON");
    all[section]["cases"].as_array().expect("cases").clone()
}

/// The cases of kernels and moments, which came in a file of their own.
pub(crate) fn divergence_oracle(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../oracle_divergences.json")).expect("JSON");
    all[section]["cases"].as_array().expect("cases").clone()
}

/// All orders of 0..n.
pub(crate) fn permutations(n: i64) -> Vec<Vec<i64>> {
    (0..n).fold(vec![Vec::new()], |shorter, next| {
        let places = shorter.iter().flat_map(|order| (0..=order.len()).map(move |place| (order, place)));
        let longer = places.map(|(order, place)| [&order[..place], &[next], &order[place..]].concat());
        longer.collect()
    })
}

/// Mean of independent values and its standard error.
pub(crate) fn mean_and_error(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

pub(crate) fn number(t: &Tensor) -> f64 {
    f64::try_from(t).expect("a scalar")
}

#[track_caller]
pub(crate) fn assert_near(value: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(value.size(), expected.size(), "shapes differ");
    let difference = number(&(value - expected).abs().max());
    assert!(difference <= tolerance, "{value:?} is {difference:e} away from {expected:?}: more than {tolerance:e}");
}

#[track_caller]
pub(crate) fn assert_number(value: &Tensor, expected: f64, tolerance: f64) {
    let value = number(value);
    assert!((value - expected).abs() <= tolerance, "{value} should be {expected} within {tolerance:e}");
}
