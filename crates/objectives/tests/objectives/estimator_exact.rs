//! The exact estimator: q(z) of the whole data set, and nothing less.

use crate::setting::{Codes, DOUBLE, assert_near, beta_tcvae, number};
use elbo_objectives::estimator::{Densities, MemoryBudget, Points};
use elbo_objectives::{Estimator, Objective};
use tch::{Device, Tensor};

/// The refusal names the batch and the data set; with the batch that is the data set there is none.
#[test]
fn a_part_of_the_data_is_refused_with_both_sizes() {
    let message = Estimator::Exact.check(64, 737_280).expect_err("a part").to_string();
    assert!(message.starts_with("expected a batch of all the 737280 examples of the data set"), "{message}");
    assert!(message.contains("got 64"), "{message}");
    assert!(Estimator::Exact.check(64, 64).is_ok());
    assert!(Estimator::Exact.check(65, 64).expect_err("a surplus").to_string().contains("at most the 64 examples"));
    assert!(Estimator::Exact.check(1, 1).expect_err("one example").to_string().contains("at least 2"));
    let objective = beta_tcvae(1.0, 6.0, 1.0, Estimator::Exact);
    assert_eq!(objective.check(64, 737_280, 10).expect_err("a part").to_string(), message);
}

/// 1/N everywhere, which at B = N is what Balanced and Uniform say too.
#[test]
fn it_weighs_every_example_the_same() {
    let expected = Tensor::full([4, 4], 0.25_f64.ln(), DOUBLE);
    assert_near(&Estimator::Exact.log_weights(0..4, 4, 4, DOUBLE), &expected, 0.0);
}

/// β-TCVAE reports its terms as exact; they are those of Balanced on the same batch.
#[test]
fn a_beta_tcvae_trains_on_it() {
    let codes = Codes::random(7, 3, 51);
    let exact = codes.evaluate(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Exact), 7);
    let balanced = codes.evaluate(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Balanced), 7);
    assert_near(&exact.loss, &balanced.loss, 1e-12);
    for term in ["mutual_information", "total_correlation", "dimension_wise_kl"] {
        let of = |terms: &elbo_objectives::Terms, name| {
            number(terms.scalars.get(&format!("estimate/{term}_{name}")).expect("reported"))
        };
        assert!((of(&exact, "exact") - of(&balanced, "balanced")).abs() < 1e-12, "{term}");
    }
}

/// Points in any order, some of them twice, each with its own row: the rows of the square case, whatever the estimator.
#[test]
fn points_may_come_in_any_order_with_their_own_rows() {
    let codes = Codes::random(6, 3, 52);
    let own = Tensor::from_slice(&[4_i64, 0, 5, 5, 2]);
    let z = codes.z.index_select(0, &own);
    for &estimator in Estimator::ALL {
        let dataset_len = if estimator == Estimator::Exact { 6 } else { 40 };
        let square = Densities::estimate(estimator, &codes.gaussian(), &codes.z, dataset_len);
        let points = Points { z: &z, own: Some(&own) };
        let budget = MemoryBudget::of(Device::Cpu);
        let found = Densities::estimate_at(estimator, &codes.gaussian(), points, dataset_len, budget);
        for (found, square) in [
            (&found.conditional, &square.conditional),
            (&found.joint, &square.joint),
            (&found.marginals, &square.marginals),
            (&found.prior, &square.prior),
        ] {
            assert_near(found, &square.index_select(0, &own), 1e-12);
        }
    }
}
