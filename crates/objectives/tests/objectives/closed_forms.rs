//! Codes whose terms are known without a computer.

use crate::setting::{Codes, DOUBLE, assert_number, generator, number};
use elbo_core::posterior::kl_to_standard_normal;
use elbo_objectives::Estimator;
use elbo_objectives::estimator::{AggregateTerms, Densities};
use std::f64::consts::LN_2;
use tch::{Kind, Tensor};

fn terms(estimator: Estimator, codes: &Codes, dataset_len: i64) -> AggregateTerms {
    Densities::estimate(estimator, &codes.gaussian(), &codes.z, dataset_len).terms()
}

/// `batch` encodings of unit width, alternately at (c, c) and (−c, −c), so far apart that neither reaches the other.
fn two_far_clusters(batch: i64) -> Codes {
    let sign = (Tensor::arange(batch, DOUBLE).remainder(2) * 2.0 - 1.0).unsqueeze(1);
    let mean = sign.expand([batch, 2], false) * 60.0;
    Codes::sampled(mean.shallow_clone(), mean.zeros_like(), &generator(3))
}

/// Two encodings on the diagonal, far apart: each coordinate alone is a fair coin, and the pair is one coin.
/// So I(z; n) = TC(z) = ln 2, whatever the width of the encodings.
#[test]
fn two_far_clusters_on_the_diagonal_carry_one_bit() {
    for width in [1e-3, 1.0, 5.0] {
        let mean = Tensor::from_slice2(&[[60.0, 60.0], [-60.0, -60.0]]);
        let log_var = Tensor::full_like(&mean, 2.0 * f64::ln(width));
        let codes = Codes::sampled(mean, log_var, &generator(4));
        for estimator in [Estimator::Uniform, Estimator::Balanced] {
            let terms = terms(estimator, &codes, 2);
            assert_number(&terms.mutual_information, LN_2, 1e-12);
            assert_number(&terms.total_correlation, LN_2, 1e-12);
        }
    }
}

/// The same coin from a batch of N = 1000 examples that holds as many of one side as of the other: `q(z_i)` is the weight of its own side
/// times its encoding, so that every term is a logarithm of weights. With w that sum of weights, MI = −ln w, and in two
/// dimensions TC = ln w − 2 ln w = −ln w too.
#[test]
fn two_far_clusters_read_as_the_weights_of_their_own_side() {
    let (n, b) = (1000_f64, 8.0);
    let (m, same_side) = (b - 1.0, b / 2.0);
    for (estimator, own_side) in [
        (Estimator::Mws, same_side / (n * b)),
        (Estimator::Uniform, 0.5),
        // Sides alternate, so that the next row is always on the other side.
        (Estimator::Mss, 1.0 / n + (same_side - 1.0) / m),
        (Estimator::Balanced, 1.0 / n + (same_side - 1.0) * (n - 1.0) / (n * m)),
    ] {
        let terms = terms(estimator, &two_far_clusters(8), 1000);
        assert_number(&terms.mutual_information, -own_side.ln(), 1e-12);
        assert_number(&terms.total_correlation, -own_side.ln(), 1e-12);
    }
}

/// Codes that say nothing: q(z|x) = p(z) for all x. MI = TC = DWKL = 0 for every estimator whose rows sum to 1; MWS shows its
/// constants and nothing else: ln N, (D − 1) ln N and −D ln N.
#[test]
fn collapsed_codes_read_zero_and_mws_its_constants() {
    let zeros = Tensor::zeros([6, 3], DOUBLE);
    let codes = Codes::sampled(zeros.shallow_clone(), zeros, &generator(5));
    for estimator in [Estimator::Uniform, Estimator::Mss, Estimator::Balanced] {
        for (name, value) in terms(estimator, &codes, 500).named() {
            assert!(number(value).abs() < 1e-12, "{estimator}: {name} is {value:?}");
        }
    }
    let mws = terms(Estimator::Mws, &codes, 500);
    let ln_n = 500_f64.ln();
    assert_number(&mws.mutual_information, ln_n, 1e-12);
    assert_number(&mws.total_correlation, 2.0 * ln_n, 1e-12);
    assert_number(&mws.dimension_wise_kl, -3.0 * ln_n, 1e-12);
}

/// The published trap in figures: at N = 20 000 and D = 10 a total correlation of nothing reads (D − 1) ln N = 89.1 nats under MWS.
#[test]
fn mws_reads_89_nats_of_total_correlation_for_none() {
    let zeros = Tensor::zeros([64, 10], DOUBLE);
    let codes = Codes::sampled(zeros.shallow_clone(), zeros, &generator(6));
    assert_number(&terms(Estimator::Mws, &codes, 20_000).total_correlation, 89.13, 0.01);
    assert_number(&terms(Estimator::Uniform, &codes, 20_000).total_correlation, 0.0, 1e-12);
}

/// Encodings on a full grid, one width per dimension: q(z) is the product of its marginals, and the batch is the data set. TC = 0 sample by sample.
#[test]
fn codes_on_a_grid_have_no_total_correlation() {
    let [across, down] = [4, 5];
    let side = |n: i64| Tensor::arange(n, DOUBLE) * 1.3;
    let mean = Tensor::stack(
        &[
            side(across).unsqueeze(1).expand([across, down], false),
            side(down).unsqueeze(0).expand([across, down], false),
        ],
        -1,
    )
    .reshape([-1, 2]);
    let log_var = Tensor::from_slice(&[-0.7, 0.2]).expand([across * down, 2], false);
    let codes = Codes::sampled(mean, log_var, &generator(7));
    for estimator in [Estimator::Uniform, Estimator::Balanced] {
        let densities = Densities::estimate(estimator, &codes.gaussian(), &codes.z, across * down);
        let per_sample = &densities.joint - densities.marginals.sum_dim_intlist(-1, false, None);
        assert!(number(&per_sample.abs().max()) < 1e-12);
    }
}

/// One coordinate cannot depend on the others.
#[test]
fn one_dimension_has_no_total_correlation() {
    let codes = Codes::random(8, 1, 8);
    for estimator in Estimator::MINIBATCH {
        assert_number(&terms(estimator, &codes, 300).total_correlation, 0.0, 1e-12);
    }
}

/// Only one dimension says anything, the rest are the prior: every term is that of the one dimension alone.
#[test]
fn dimensions_at_the_prior_add_nothing() {
    let informative = Codes::random(8, 1, 9);
    let rest = Tensor::zeros([8, 2], DOUBLE);
    let noise = generator(10);
    let codes = Codes {
        mean: Tensor::cat(&[&informative.mean, &rest], 1),
        log_var: Tensor::cat(&[&informative.log_var, &rest], 1),
        z: Tensor::cat(&[&informative.z, &noise.normal(&[8, 2], Kind::Double)], 1),
    };
    for estimator in [Estimator::Uniform, Estimator::Mss, Estimator::Balanced] {
        let (one, three) = (terms(estimator, &informative, 90), terms(estimator, &codes, 90));
        for ((name, one), (_, three)) in one.named().into_iter().zip(three.named()) {
            assert!(number(&(one - three)).abs() < 1e-12, "{estimator}: {name}");
        }
    }
}

/// Mutual information cannot be read above ln B from uniform weights, nor above ln N from those that give the own example 1/N; here the
/// encodings are disjoint, and the bounds are reached.
#[test]
fn disjoint_codes_reach_the_ceiling_of_each_estimator() {
    let mean = Tensor::arange(8, DOUBLE).unsqueeze(1).expand([8, 2], false) * 1e4;
    let codes = Codes::sampled(mean.shallow_clone(), mean.zeros_like(), &generator(11));
    for (estimator, ceiling) in [
        (Estimator::Uniform, 8_f64),
        (Estimator::Mss, 5000.0),
        (Estimator::Balanced, 5000.0),
        (Estimator::Mws, 40000.0),
    ] {
        let terms = terms(estimator, &codes, 5000);
        assert_number(&terms.mutual_information, ceiling.ln(), 1e-10);
        assert_number(&terms.total_correlation, ceiling.ln(), 1e-10);
    }
}

/// Width 1e-3 in float32, 64 dimensions: within 1e-4 of the magnitude of the densities from float64 on the same numbers.
#[test]
fn float32_keeps_its_digits_at_small_widths() {
    let noise = generator(12);
    let mean = noise.normal(&[128, 64], Kind::Float) * 3.0;
    let log_var = mean.zeros_like() + 2.0 * 1e-3_f64.ln();
    let single = Codes::sampled(mean, log_var, &noise);
    let widen = |t: &Tensor| t.to_kind(Kind::Double);
    let double = Codes { mean: widen(&single.mean), log_var: widen(&single.log_var), z: widen(&single.z) };
    for estimator in Estimator::MINIBATCH {
        let densities = |codes: &Codes| Densities::estimate(estimator, &codes.gaussian(), &codes.z, 10_000);
        let (single, double) = (densities(&single), densities(&double));
        let product = double.marginals.sum_dim_intlist(-1, false, None);
        let allowed = (double.joint.abs() + product.abs()) * 1e-6;
        for (single, double) in
            [(&single.joint, &double.joint), (&single.marginals.sum_dim_intlist(-1, false, None), &product)]
        {
            let excess = (single.to_kind(Kind::Double) - double).abs() - &allowed;
            assert!(number(&excess.max()) < 0.0, "{estimator}: {excess:?}");
        }
    }
}

/// Encodings a thousand units out, one of them almost a point: every term stays finite, in float32.
#[test]
fn extreme_codes_stay_finite() {
    let mean = Tensor::from_slice2(&[[1e3_f32, -1e3], [0.0, 0.0], [1e3, 1e3]]);
    let log_var = Tensor::from_slice2(&[[-20_f32, 3.0], [-14.0, -14.0], [0.0, 10.0]]);
    assert!(number(&kl_to_standard_normal(&mean, &log_var).max()).is_finite());
    let codes = Codes::sampled(mean, log_var, &generator(13));
    for estimator in Estimator::MINIBATCH {
        for (name, value) in terms(estimator, &codes, 100).named() {
            assert!(number(value).is_finite(), "{estimator}: {name} is {value:?}");
        }
    }
}
