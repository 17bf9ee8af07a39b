//! Free bits against hand-made sums.

use crate::setting::{Codes, DOUBLE, assert_near, assert_number};
use elbo_core::{NonNegative, Weight};
use elbo_objectives::{BetaVae, Elbo, FreeBits};
use tch::Tensor;

const DATASET_LEN: i64 = 40;

fn free_bits(free_nats: f64, beta: f64) -> FreeBits {
    let free_nats = NonNegative::new(free_nats).expect("not negative");
    FreeBits { free_nats, beta: Weight::constant(beta).expect("a weight") }
}

/// Codes whose KLs are the given numbers: σ = 1 and μ = √(2 KL). The sample is the mean.
fn codes(kl: &[&[f64]]) -> Codes {
    let rows: Vec<Tensor> = kl.iter().map(|row| (Tensor::from_slice(row) * 2.0).sqrt()).collect();
    let mean = Tensor::stack(&rows, 0).set_requires_grad(true);
    let log_var = Tensor::zeros(mean.size(), DOUBLE).set_requires_grad(true);
    let z = mean.detach().copy().set_requires_grad(true);
    Codes { mean, log_var, z }
}

/// λ = 0.5: dimension 0 with 0.2 nats is raised to 0.5, dimension 1 keeps its 2.
#[test]
fn a_dimension_below_the_floor_costs_the_floor() {
    let codes = codes(&[&[0.2, 2.0], &[0.2, 2.0]]);
    let terms = codes.evaluate(&free_bits(0.5, 3.0), DATASET_LEN);
    assert_number(terms.scalars.get("free_bits_kl").expect("reported"), 2.5, 1e-12);
    let reconstruction = terms.scalars.get("reconstruction").expect("reported");
    assert_near(&terms.loss, &(reconstruction + 3.0 * 2.5), 1e-12);
    assert_number(terms.scalars.get("kl").expect("reported"), 2.2, 1e-12);
}

/// The floor is under the batch's mean of a dimension, not under every example: rows of 0 and 1 nats have a mean of 0.5, above 0.4. (Under
/// every example it would be (0.4 + 1)/2 = 0.7.)
#[test]
fn the_floor_is_under_the_batch_mean() {
    let terms = codes(&[&[0.0], &[1.0]]).evaluate(&free_bits(0.4, 1.0), DATASET_LEN);
    assert_number(terms.scalars.get("free_bits_kl").expect("reported"), 0.5, 1e-12);
}

/// Below the floor the KL pulls at nothing; above it as in the ELBO, where ∂KL/∂μ = μ/B.
#[test]
fn a_free_dimension_has_no_gradient() {
    let codes = codes(&[&[0.2, 2.0], &[0.2, 2.0]]);
    let loss = codes.evaluate(&free_bits(0.5, 1.0), DATASET_LEN).loss;
    let gradients = Tensor::run_backward(&[loss], &[&codes.mean, &codes.log_var], false, false);
    let expected = codes.mean.detach() * Tensor::from_slice(&[0.0, 0.5]);
    assert_near(&gradients[0], &expected, 1e-12);
    // σ = 1 is where the KL is stationary in log σ².
    assert_near(&gradients[1], &codes.log_var.zeros_like(), 1e-12);
}

/// λ = 0 is the ELBO, and β-VAE with its β, in value and gradient.
#[test]
fn no_free_nats_are_the_elbo() {
    let codes = Codes::random(6, 3, 61).leaves();
    let gradients =
        |loss: &Tensor| Tensor::run_backward(&[loss], &[&codes.mean, &codes.log_var, &codes.z], false, false);
    for beta in [1.0, 4.0] {
        let free = codes.evaluate(&free_bits(0.0, beta), DATASET_LEN).loss;
        let plain = codes.evaluate(&BetaVae { beta: Weight::constant(beta).expect("a weight") }, DATASET_LEN).loss;
        assert_near(&free, &plain, 1e-13);
        for (free, plain) in gradients(&free).iter().zip(&gradients(&plain)) {
            assert_near(free, plain, 1e-13);
        }
    }
    let (free, elbo) = (codes.evaluate(&free_bits(0.0, 1.0), DATASET_LEN), codes.evaluate(&Elbo, DATASET_LEN));
    assert_near(&free.loss, &elbo.loss, 1e-13);
}

/// So many free nats that all dimensions are below them: D λ, whatever the codes, and the encoder is pulled by the pictures alone.
#[test]
fn with_enough_free_nats_the_kl_is_a_constant() {
    let codes = Codes::random(6, 3, 62).leaves();
    let terms = codes.evaluate(&free_bits(100.0, 1.0), DATASET_LEN);
    assert_number(terms.scalars.get("free_bits_kl").expect("reported"), 300.0, 0.0);
    let elbo = codes.evaluate(&Elbo, DATASET_LEN).scalars;
    assert_near(&terms.loss, &(elbo.get("reconstruction").expect("reported") + 300.0), 1e-12);
}

/// What it reads, and what it says when it does not.
#[test]
fn its_fields_are_refused_with_a_line() {
    let refusal = |json: &str| serde_json::from_str::<FreeBits>(json).expect_err("refused").to_string();
    let json = r#"{"free_nats":0.125,"beta":1.0}"#;
    let read: FreeBits = serde_json::from_str(json).expect("a configuration");
    assert_eq!(read, free_bits(0.125, 1.0));
    assert_eq!(serde_json::to_string(&read).expect("JSON"), json);
    assert!(refusal(r#"{"free_nats":-1,"beta":1}"#).starts_with("expected a finite number ≥ 0, got -1"));
    assert!(refusal(r#"{"free_nats":"all","beta":1}"#).starts_with("expected a finite number ≥ 0, got \"all\""));
    assert!(refusal(r#"{"free_nats":1,"beta":-1}"#).starts_with("expected a finite number ≥ 0, got -1"));
    assert!(refusal(r#"{"free_nats":1}"#).contains("missing field `beta`"));
    assert!(refusal(r#"{"free_nats":1,"beta":1,"groups":2}"#).contains("unknown field `groups`"));
}
