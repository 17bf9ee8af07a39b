//! DIP-VAE: golden moments, penalties and the wrong form of another project.

use crate::setting::{Codes, assert_near, assert_number, divergence_oracle, generator, number, tensor};
use elbo_core::Gaussian;
use elbo_objectives::divergence::covariance::{aggregate_covariance, covariance, diagonal, off_diagonal};
use serde_json::Value;
use tch::{Kind, Tensor};

fn posterior(case: &Value) -> Gaussian {
    Gaussian::new(tensor(&case["mu"]), tensor(&case["logvar"]))
}

/// Covariances with 1/B and both penalties, from numpy.
#[test]
fn moments_and_penalties_agree_with_the_oracle() {
    for case in divergence_oracle("dip_vae") {
        let posterior = posterior(&case);
        let (first, second) = (covariance(&posterior.mean), aggregate_covariance(&posterior));
        assert_near(&first, &tensor(&case["cov_mu"]), 1e-13);
        assert_near(&second, &tensor(&case["cov_z"]), 1e-13);
        for (covariance, form) in [(first, "dip_i"), (second, "dip_ii")] {
            assert_number(&off_diagonal(&covariance), case[form]["off"].as_f64().expect("off"), 1e-12);
            assert_number(&diagonal(&covariance), case[form]["diag"].as_f64().expect("diag"), 1e-12);
        }
    }
}

/// nmichlo/disent adds one number, the mean variance over batch and dimensions, to every element of the covariance, off the diagonal too.
/// It is neither ours nor numpy's.
#[test]
fn one_scalar_added_to_the_whole_covariance_is_not_ours() {
    for case in divergence_oracle("dip_vae") {
        let posterior = posterior(&case);
        let wrong = covariance(&posterior.mean) + posterior.log_var.exp().mean(None);
        let golden = tensor(&case["cov_z"]);
        for right in [&golden, &aggregate_covariance(&posterior)] {
            assert!(number(&(&wrong - right).abs().max()) > 0.1);
            assert!(number(&(off_diagonal(&wrong) - off_diagonal(right)).abs()) > 0.1);
        }
    }
}

/// Far from the origin, in float32: centred first, the covariance keeps its digits; E[μμᵀ] − E[μ]E[μ]ᵀ has none left.
#[test]
fn the_covariance_keeps_its_digits_far_from_the_origin() {
    let far = (generator(51).normal(&[64, 3], Kind::Double) * 512.0).round() / 512.0 + 1e4;
    let single = far.to_kind(Kind::Float);
    let exact = covariance(&far);
    let error = |t: &Tensor| number(&(t.to_kind(Kind::Double) - &exact).abs().max());
    assert!(error(&covariance(&single)) < 1e-4);
    let mean = single.mean_dim(0, false, None);
    let raw = single.transpose(0, 1).matmul(&single) / 64.0 - mean.outer(&mean);
    assert!(error(&raw) > 0.1);
}

/// Codes whose second moments are those of the prior have no penalty: ± √(1 − v) in every corner of a square, and variance v.
#[test]
fn codes_with_the_prior_s_moments_have_no_penalty() {
    let variance = 0.3_f64;
    let corners = Tensor::from_slice2(&[[1.0_f64, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]);
    let posterior = Gaussian::new(&corners * (1.0 - variance).sqrt(), Tensor::full_like(&corners, variance.ln()));
    let covariance = aggregate_covariance(&posterior);
    assert_number(&off_diagonal(&covariance), 0.0, 1e-15);
    assert_number(&diagonal(&covariance), 0.0, 1e-15);
}

/// The moments of many samples are those of the formula.
#[test]
fn the_aggregate_covariance_is_that_of_samples() {
    let codes = Codes::random(5, 2, 52);
    let z = codes.gaussian().sample(&generator(53), 20_000).reshape([-1, 2]);
    assert_near(&covariance(&z), &aggregate_covariance(&codes.gaussian()), 0.02);
}
