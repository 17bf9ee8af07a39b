//! The small parts: scalars, names, forward passes.

use crate::support::{numbers, vector};
use elbo_core::named::prefixed;
use elbo_core::{FieldError, ForwardPass, Gaussian, Posterior, Scalars};
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

fn scalar(value: f64) -> Tensor {
    Tensor::full([], value, (Kind::Float, Device::Cpu))
}

#[test]
fn scalars_keep_their_order_and_lose_their_graph() {
    single_thread();
    let live = scalar(2.0).set_requires_grad(true);
    let mut scalars = Scalars::new().with("loss", &(&live * 3.0)).with("kl_per_dimension", &vector(&[1.0, 2.0]));
    scalars.push("schedule/beta", &live);
    let names: Vec<&str> = scalars.entries().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "kl_per_dimension", "schedule/beta"]);
    assert_eq!(scalars.get("loss").map(numbers), Some(vec![6.0]));
    assert!(scalars.get("missing").is_none());
    assert!(scalars.entries().iter().all(|(_, value)| !value.requires_grad()));
    assert!(scalars.non_finite().is_none());
    let flagged = scalars.with_non_finite(&scalar(1.0));
    assert_eq!(flagged.non_finite().map(numbers), Some(vec![1.0]));
    assert_eq!(flagged.entries().len(), 3, "the flag is no curve");
}

#[test]
#[should_panic(expected = "scalar 'kl' must have shape [] or [D], got [2, 2]")]
fn a_matrix_is_no_scalar() {
    single_thread();
    let _ = Scalars::new().with("kl", &Tensor::zeros([2, 2], (Kind::Float, Device::Cpu)));
}

#[test]
#[should_panic(expected = "scalar 'kl' is reported twice")]
fn a_name_is_reported_once() {
    single_thread();
    let _ = Scalars::new().with("kl", &scalar(0.0)).with("kl", &scalar(1.0));
}

#[test]
fn names_are_paths() {
    single_thread();
    let inner = vec![("weight".to_owned(), scalar(1.0)), ("bias".to_owned(), scalar(2.0))];
    let names: Vec<String> = prefixed("encoder", prefixed("conv1", inner)).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["encoder.conv1.weight", "encoder.conv1.bias"]);
    let error = FieldError::expected("sigma", "a finite number > 0", -1).under("model");
    assert_eq!(error.to_string(), "model.sigma: expected a finite number > 0, got -1");
}

fn pass(z: &[i64], log_likelihood: &[i64]) -> ForwardPass {
    let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let gaussian = Gaussian::new(zeros(&[2, 3]), zeros(&[2, 3]));
    let x = zeros(&[2, 1, 4, 4]);
    ForwardPass::new(x.shallow_clone(), Posterior::Gaussian(gaussian), zeros(z), x, zeros(log_likelihood))
}

#[test]
fn a_pass_knows_its_sizes() {
    single_thread();
    let one = pass(&[2, 3], &[2]);
    assert_eq!((one.batch(), one.latent()), (2, 3));
    let several = pass(&[5, 2, 3], &[5, 2]);
    assert_eq!((several.batch(), several.latent(), several.log_likelihood().size()), (2, 3, vec![5, 2]));
}

#[test]
#[should_panic(expected = "log_likelihood must have the shape of z without its last dimension")]
fn a_likelihood_summed_over_the_batch_is_a_mistake() {
    single_thread();
    let _ = pass(&[2, 3], &[]);
}

#[test]
#[should_panic(expected = "mean and log_var of a Gaussian must be [B, D], got [3]")]
fn a_gaussian_is_a_batch() {
    single_thread();
    let _ = Gaussian::new(vector(&[0.0; 3]), vector(&[0.0; 3]));
}
