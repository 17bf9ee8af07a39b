//! What holds whatever the codes are.

use crate::setting::{Codes, DOUBLE, assert_near, assert_number, beta_tcvae, evaluate_at, number};
use elbo_core::{ForwardPass, Posterior, Weight};
use elbo_objectives::estimator::{BatchError, Densities};
use elbo_objectives::{BetaVae, Elbo, Estimator, Objective};
use tch::{Kind, Tensor};

const DATASET_LEN: i64 = 40;

fn gradients(codes: &Codes, loss: &Tensor) -> Vec<Tensor> {
    Tensor::run_backward(&[loss], &[&codes.mean, &codes.log_var, &codes.z], false, false)
}

/// log q(z) and `Σ_d log q(z_d)` cancel when the weights are 1, so that the loss is minus the ELBO with the KL sampled, in value and
/// gradient, for every estimator. (disent's β·KL + (β − 1)·TC fails this.)
#[test]
fn unit_weights_give_the_sampled_elbo_in_value_and_gradient() {
    let codes = Codes::random(6, 3, 21).leaves();
    let pass = codes.pass();
    let sampled_kl = codes.gaussian().log_density(&pass.z) - elbo_core::posterior::standard_normal_log_density(&pass.z);
    let minus_elbo = (sampled_kl - pass.log_likelihood()).mean(None);
    let expected = gradients(&codes, &minus_elbo);
    for estimator in Estimator::MINIBATCH {
        let terms = codes.evaluate(&beta_tcvae(1.0, 1.0, 1.0, estimator), DATASET_LEN);
        assert_near(&terms.loss, &minus_elbo, 1e-12);
        for (gradient, expected) in gradients(&codes, &terms.loss).iter().zip(&expected) {
            assert_near(gradient, expected, 1e-12);
        }
    }
}

/// The loss is linear in its weights, and each weight multiplies its own term: weights below 1 as well as above.
#[test]
fn each_weight_weighs_its_own_term() {
    let codes = Codes::random(6, 3, 22);
    for estimator in Estimator::MINIBATCH {
        let estimate = Densities::estimate(estimator, &codes.gaussian(), &codes.z, DATASET_LEN).terms();
        let reconstruction = -codes.pass().log_likelihood().mean(None);
        for [mi, tc, dw_kl] in [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, 6.0, 0.5]] {
            let expected = &reconstruction
                + &estimate.mutual_information * mi
                + &estimate.total_correlation * tc
                + &estimate.dimension_wise_kl * dw_kl;
            assert_near(&codes.evaluate(&beta_tcvae(mi, tc, dw_kl, estimator), DATASET_LEN).loss, &expected, 1e-12);
        }
    }
}

/// MWS is Uniform up to constants: MI + ln N, TC + (D − 1) ln N, DWKL − D ln N; and so the gradients are the same.
#[test]
fn mws_and_uniform_differ_by_constants_only() {
    let codes = Codes::random(6, 3, 23).leaves();
    let terms = |estimator| Densities::estimate(estimator, &codes.gaussian(), &codes.z, DATASET_LEN).terms();
    let (mws, uniform) = (terms(Estimator::Mws), terms(Estimator::Uniform));
    let ln_n = (DATASET_LEN as f64).ln();
    assert_number(&(&mws.mutual_information - &uniform.mutual_information), ln_n, 1e-12);
    assert_number(&(&mws.total_correlation - &uniform.total_correlation), 2.0 * ln_n, 1e-12);
    assert_number(&(&mws.dimension_wise_kl - &uniform.dimension_wise_kl), -3.0 * ln_n, 1e-12);
    let loss = |estimator| codes.evaluate(&beta_tcvae(0.5, 6.0, 2.0, estimator), DATASET_LEN).loss;
    let (mws, uniform) = (loss(Estimator::Mws), loss(Estimator::Uniform));
    for (mws, uniform) in gradients(&codes, &mws).iter().zip(&gradients(&codes, &uniform)) {
        assert_near(mws, uniform, 1e-12);
    }
}

/// Under MWS the curves hold the readable uniform values too, derived from the same pass.
#[test]
fn mws_reports_the_uniform_estimates_beside_its_own() {
    let codes = Codes::random(6, 3, 24);
    let reported = codes.evaluate(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Mws), DATASET_LEN).scalars;
    let uniform = codes.evaluate(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Uniform), DATASET_LEN).scalars;
    for term in ["mutual_information", "total_correlation", "dimension_wise_kl"] {
        let name = format!("estimate/{term}_uniform");
        assert_near(reported.get(&name).expect("reported"), uniform.get(&name).expect("reported"), 1e-12);
    }
}

/// The names of the curves, in order: what docs/curves.md explains.
#[test]
fn reported_names() {
    let codes = Codes::random(6, 3, 25);
    let names = |objective: &dyn Objective| -> Vec<String> {
        let scalars = codes.evaluate(objective, DATASET_LEN).scalars;
        scalars.entries().iter().map(|(name, _)| name.clone()).collect()
    };
    let elbo = ["reconstruction", "kl", "kl_per_dimension", "elbo"];
    assert_eq!(names(&Elbo), elbo);
    assert_eq!(names(&BetaVae { beta: Weight::constant(4.0).expect("positive") }), elbo);
    let balanced = names(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Balanced));
    assert_eq!(balanced[..4], elbo);
    assert_eq!(
        balanced[4..],
        [
            "estimate/mutual_information_balanced",
            "estimate/total_correlation_balanced",
            "estimate/dimension_wise_kl_balanced"
        ]
    );
    assert_eq!(names(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Mws)).len(), 10);
}

/// Reported terms are unweighted: they do not move with the weights, and the ELBO is their difference.
#[test]
fn reported_terms_are_unweighted() {
    let codes = Codes::random(6, 3, 26);
    let pass = codes.pass();
    let kl = codes.gaussian().kl_to_prior().mean(None);
    let reconstruction = -pass.log_likelihood().mean(None);
    let beta = BetaVae { beta: Weight::constant(4.0).expect("positive") };
    for objective in [&Elbo as &dyn Objective, &beta, &beta_tcvae(0.5, 6.0, 2.0, Estimator::Mss)] {
        let scalars = codes.evaluate(objective, DATASET_LEN).scalars;
        assert_near(scalars.get("kl").expect("kl"), &kl, 1e-13);
        assert_near(&scalars.get("kl_per_dimension").expect("kl_per_dimension").sum(None), &kl, 1e-13);
        assert_near(scalars.get("reconstruction").expect("reconstruction"), &reconstruction, 1e-13);
        assert_near(scalars.get("elbo").expect("elbo"), &-(&reconstruction + &kl), 1e-13);
        assert!(scalars.entries().iter().all(|(_, value)| !value.requires_grad()));
    }
}

/// β = 1 is the ELBO, in value and gradient; β = 4 adds three KLs.
#[test]
fn beta_one_is_the_elbo() {
    let codes = Codes::random(6, 3, 27).leaves();
    let loss = |beta| codes.evaluate(&BetaVae { beta: Weight::constant(beta).expect("positive") }, DATASET_LEN).loss;
    let elbo = codes.evaluate(&Elbo, DATASET_LEN);
    assert_near(&loss(1.0), &elbo.loss, 0.0);
    for (beta, elbo) in gradients(&codes, &loss(1.0)).iter().zip(&gradients(&codes, &elbo.loss)) {
        assert_near(beta, elbo, 0.0);
    }
    assert_near(&loss(4.0), &(elbo.loss + elbo.scalars.get("kl").expect("kl") * 3.0), 1e-12);
}

/// A weight that warms up: the loss follows it, `schedule/<name>` says where it is, and a constant weight makes no curve.
#[test]
fn a_warm_up_moves_the_loss_and_is_reported() {
    let codes = Codes::random(6, 3, 28);
    let pass = codes.pass();
    let json = r#"{ "beta": { "schedule": "linear", "from": 0.0, "to": 4.0, "steps": 100 } }"#;
    let objective: BetaVae = serde_json::from_str(json).expect("a warm-up");
    for (step, beta) in [(0, 0.0), (50, 2.0), (100, 4.0), (1000, 4.0)] {
        let terms = evaluate_at(&objective, &pass, DATASET_LEN, step);
        let kl = terms.scalars.get("kl").expect("kl");
        assert_near(&terms.loss, &(terms.scalars.get("reconstruction").expect("reconstruction") + kl * beta), 1e-12);
        assert_number(terms.scalars.get("schedule/beta").expect("schedule/beta"), beta, 1e-6);
    }
    let terms = codes.evaluate(&beta_tcvae(1.0, 6.0, 1.0, Estimator::Mws), DATASET_LEN);
    assert!(terms.scalars.entries().iter().all(|(name, _)| !name.starts_with("schedule/")));
}

/// Rows of a batch may stand in any order: MSS alone looks at which row comes next, and its loss moves a little.
#[test]
fn only_mss_depends_on_the_order_of_the_rows() {
    let codes = Codes::random(6, 3, 29);
    let shuffled = codes.rows(&[3, 5, 0, 2, 4, 1]);
    for estimator in Estimator::MINIBATCH {
        let objective = beta_tcvae(1.0, 6.0, 1.0, estimator);
        let loss = |codes: &Codes| number(&codes.evaluate(&objective, DATASET_LEN).loss);
        let moved = (loss(&codes) - loss(&shuffled)).abs();
        assert_eq!(moved > 1e-10, estimator == Estimator::Mss, "{estimator} moved by {moved:e}");
    }
}

/// With K samples the reconstruction is the mean over samples and examples.
#[test]
fn the_elbo_of_several_samples_averages_over_them() {
    let codes = Codes::random(6, 3, 30);
    let z = Tensor::stack(&[&codes.z, &codes.mean], 0);
    let log_likelihood = z.sum_dim_intlist(-1, false, None);
    let x = Tensor::zeros([6, 1, 1, 1], DOUBLE);
    let decoded = Tensor::zeros([2, 6, 1, 1, 1], DOUBLE);
    let expected = -log_likelihood.mean(None);
    let pass = ForwardPass::new(x, Posterior::Gaussian(codes.gaussian()), z, decoded, log_likelihood);
    let terms = evaluate_at(&Elbo, &pass, DATASET_LEN, 0);
    assert_near(terms.scalars.get("reconstruction").expect("reconstruction"), &expected, 1e-13);
}

/// A batch of one divides by M = 0, and a batch larger than the data set cannot be without replacement: refused before the run, in words.
#[test]
fn batches_that_do_not_fit_are_refused_with_a_line() {
    for estimator in Estimator::MINIBATCH {
        let objective = beta_tcvae(1.0, 6.0, 1.0, estimator);
        assert!(objective.check(2, 2, 10).is_ok());
        assert_eq!(
            objective.check(1, 100, 10).expect_err("a batch of one").to_string(),
            "expected a batch of at least 2, because q(z) is estimated from the other rows of the batch; got 1"
        );
        assert_eq!(
            objective.check(65, 64, 10).expect_err("more rows than examples").to_string(),
            "expected a batch of at most the 64 examples of the data set, because a batch is drawn without replacement; got 65"
        );
        assert_eq!(estimator.check(0, 10), Err(BatchError::TooSmall(0)));
    }
    assert!(Elbo.check(1, 1, 1).is_ok());
    assert!(BetaVae { beta: Weight::constant(4.0).expect("positive") }.check(1, 1, 1).is_ok());
}

/// A batch of two is the smallest, and works: MSS has then no other rows than the own and the next.
#[test]
fn a_batch_of_two_works() {
    let codes = Codes::random(2, 3, 31);
    for estimator in Estimator::MINIBATCH {
        assert!(number(&codes.evaluate(&beta_tcvae(1.0, 6.0, 1.0, estimator), DATASET_LEN).loss).is_finite());
    }
    let mss = Estimator::Mss.log_weights(0..2, 2, DATASET_LEN, DOUBLE);
    assert_near(&mss, &Estimator::Balanced.log_weights(0..2, 2, DATASET_LEN, DOUBLE), 1e-15);
}

/// Float32 in, float32 out: no reduction widens or narrows.
#[test]
fn the_kind_of_the_codes_is_the_kind_of_the_loss() {
    let codes = Codes::random(4, 3, 32);
    for kind in [Kind::Float, Kind::Double] {
        let cast = |t: &Tensor| t.to_kind(kind);
        let codes = Codes { mean: cast(&codes.mean), log_var: cast(&codes.log_var), z: cast(&codes.z) };
        for estimator in Estimator::MINIBATCH {
            let densities = Densities::estimate(estimator, &codes.gaussian(), &codes.z, DATASET_LEN);
            assert!(densities.terms().named().iter().all(|(_, value)| value.kind() == kind));
            assert_eq!(estimator.log_weights(0..4, 4, DATASET_LEN, (kind, codes.z.device())).kind(), kind);
        }
    }
}
