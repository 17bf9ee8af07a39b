//! Values of `tests/oracle.json` (own numpy code, float64), and the wrong forms of other projects beside them.

use crate::setting::{Codes, assert_near, assert_number, number, oracle, tensor};
use crate::unbiased::first_column_weights;
use elbo_core::posterior::standard_normal_log_density;
use elbo_objectives::Estimator;
use elbo_objectives::estimator::{AggregateTerms, Densities, Mixture, log_mixture, pairwise_log_density};
use serde_json::Value;
use tch::Tensor;

fn codes(case: &Value) -> Codes {
    Codes { mean: tensor(&case["mu"]), log_var: tensor(&case["logvar"]), z: tensor(&case["z"]) }
}

fn dataset_len(case: &Value) -> i64 {
    case["N"].as_i64().expect("N")
}

fn assert_terms(terms: &AggregateTerms, golden: &Value) {
    for (value, key) in
        [(&terms.mutual_information, "mi"), (&terms.total_correlation, "tc"), (&terms.dimension_wise_kl, "dwkl")]
    {
        assert_number(value, golden[key].as_f64().expect(key), 1e-10);
    }
}

/// MWS, Uniform and the stratified weights of the paper, per sample and as terms. (Balanced is ours: no one else to compare with.)
#[test]
fn estimators_agree_with_the_oracle() {
    for case in oracle("minibatch_aggregate_posterior") {
        let codes = codes(&case);
        for (estimator, key) in [
            (Estimator::Mws, "mws_rtqichen"),
            (Estimator::Uniform, "minibatch_as_dataset_minus_logB"),
            (Estimator::Mss, "mss_paper_diagonal_weights"),
        ] {
            let densities = Densities::estimate(estimator, &codes.gaussian(), &codes.z, dataset_len(&case));
            assert_near(&densities.conditional, &tensor(&case["log_qz_given_x"]), 1e-10);
            assert_near(&densities.prior, &tensor(&case["log_pz"]), 1e-10);
            assert_near(&densities.joint, &tensor(&case[key]["log_qz"]), 1e-10);
            let product = densities.marginals.sum_dim_intlist(-1, false, None);
            assert_near(&product, &tensor(&case[key]["log_prod_qzj"]), 1e-10);
            assert_terms(&densities.terms(), &case[key]);
        }
    }
}

/// The published stratified form is the one that the enumeration of `unbiased.rs` refutes, and none of our estimators.
#[test]
fn first_column_weights_reproduce_the_published_values_and_no_estimator_of_ours() {
    for case in oracle("minibatch_aggregate_posterior") {
        let codes = codes(&case);
        let log_weights = first_column_weights(codes.z.size()[0], dataset_len(&case)).log();
        let mixture = log_mixture(&codes.z, &codes.mean, &codes.log_var, &log_weights);
        assert_near(&mixture.joint, &tensor(&case["mss_rtqichen"]["log_qz"]), 1e-10);
        assert_is_none_of_ours(&codes, dataset_len(&case), &mixture.joint);
    }
}

/// YannDubs/disentangling-vae adds the log-weights before the sum over dimensions: weights to the power D.
#[test]
fn log_weights_inside_the_sum_over_dimensions_are_no_estimator_of_ours() {
    for case in oracle("minibatch_aggregate_posterior") {
        let codes = codes(&case);
        let log_weights = first_column_weights(codes.z.size()[0], dataset_len(&case)).log();
        let pairwise = pairwise_log_density(&codes.z, &codes.mean, &codes.log_var) + log_weights;
        let joint = pairwise.sum_dim_intlist(0, false, None).logsumexp(-1, false);
        assert_near(&joint, &tensor(&case["mss_disentangling_vae"]["log_qz"]), 1e-10);
        assert_is_none_of_ours(&codes, dataset_len(&case), &joint);
    }
}

/// google-research/disentanglement_lib and amir-abdi/disentanglement-pytorch leave the constants out: MI about −ln B, TC about −(D − 1) ln B lower.
#[test]
fn mixtures_without_constants_are_no_estimator_of_ours() {
    for case in oracle("minibatch_aggregate_posterior") {
        let codes = codes(&case);
        let constants = (codes.z.size()[0] as f64).ln();
        let uniform = Densities::estimate(Estimator::Uniform, &codes.gaussian(), &codes.z, dataset_len(&case));
        let joint = &uniform.joint + constants;
        assert_near(&joint, &tensor(&case["nonmss_disentangling_vae_no_const"]["log_qz"]), 1e-10);
        assert_terms(
            &uniform.terms().with_weights_scaled(constants, codes.z.size()[1]),
            &case["nonmss_disentangling_vae_no_const"],
        );
        assert_is_none_of_ours(&codes, dataset_len(&case), &joint);
    }
}

#[track_caller]
fn assert_is_none_of_ours(codes: &Codes, dataset_len: i64, joint: &Tensor) {
    for estimator in Estimator::MINIBATCH {
        let ours = Densities::estimate(estimator, &codes.gaussian(), &codes.z, dataset_len).joint;
        let distance = number(&(ours - joint).abs().max());
        assert!(distance > 0.1, "{estimator} agrees to {distance:e}");
    }
}

/// Codes of one of the oracle's mixtures: `draws` samples from every encoding, row n of each draw from example n.
fn draws(case: &Value, draws: i64, seed: u64) -> Vec<Codes> {
    let noise = crate::setting::generator(seed);
    (0..draws).map(|_| Codes::sampled(tensor(&case["mu"]), tensor(&case["logvar"]), &noise)).collect()
}

/// With B = N, Balanced is Exact, and so is Uniform: each term lies within three standard errors of the quadrature.
/// The published forms do not: the constants and the powers show as whole nats.
#[test]
fn each_term_agrees_with_quadrature_when_the_batch_is_the_data_set() {
    for case in oracle("exact_aggregate_decomposition") {
        let n = dataset_len(&case);
        for estimator in [Estimator::Balanced, Estimator::Uniform] {
            let terms: Vec<[f64; 3]> = draws(&case, 400, 5)
                .iter()
                .map(|codes| {
                    let terms = Densities::estimate(estimator, &codes.gaussian(), &codes.z, n).terms();
                    terms.named().map(|(_, value)| number(value))
                })
                .collect();
            for (index, key) in ["mi", "tc", "dwkl"].into_iter().enumerate() {
                let truth = case[key].as_f64().expect(key);
                let (mean, standard_error) = mean_and_error(terms.iter().map(|terms| terms[index]));
                assert!(
                    (mean - truth).abs() < 3.0 * standard_error,
                    "{estimator}: {key} is {mean} ± {standard_error}, by quadrature {truth}"
                );
            }
        }
        let codes = &draws(&case, 1, 6)[0];
        let log_weights = first_column_weights(n, n).log();
        let pairwise = pairwise_log_density(&codes.z, &codes.mean, &codes.log_var) + &log_weights;
        let wrong = Densities {
            conditional: codes.gaussian().log_density(&codes.z),
            joint: pairwise.sum_dim_intlist(0, false, None).logsumexp(-1, false),
            marginals: pairwise.logsumexp(-1, false).transpose(0, 1),
            prior: standard_normal_log_density(&codes.z),
        };
        let truth = case["tc"].as_f64().expect("tc");
        assert!((number(&wrong.terms().total_correlation) - truth).abs() > 1.0);
    }
}

/// The bias of Balanced and MSS shrinks as the batch grows: the mutual information is read too high, never above by more than the
/// logarithm of the examples that a row of the batch stands for, ln((N − 1)/M), and the dimension-wise KL too low.
#[test]
fn the_bias_of_each_term_shrinks_as_the_batch_grows() {
    for case in oracle("exact_aggregate_decomposition") {
        let n = dataset_len(&case);
        let truth = ["mi", "tc", "dwkl"].map(|key| case[key].as_f64().expect(key));
        for estimator in [Estimator::Balanced, Estimator::Mss] {
            let mut previous = [f64::INFINITY; 3];
            for batch in [4, 16, 64] {
                let noise = crate::setting::generator(batch as u64);
                let mut sums = [0.0; 3];
                let repeats = 600;
                for codes in draws(&case, repeats, 7) {
                    let rows = noise.permutation(n).narrow(0, 0, batch);
                    let rows: Vec<i64> = Vec::try_from(rows).expect("indices");
                    let batch = codes.rows(&rows);
                    let terms = Densities::estimate(estimator, &batch.gaussian(), &batch.z, n).terms();
                    for (sum, (_, value)) in sums.iter_mut().zip(terms.named()) {
                        *sum += number(value) / repeats as f64;
                    }
                }
                let bias: Vec<f64> = sums.iter().zip(truth).map(|(mean, truth)| mean - truth).collect();
                let limit = ((n - 1) as f64 / (batch - 1) as f64).ln() + 0.05;
                assert!(bias[0] > -0.05 && bias[0] < limit, "{estimator}, B = {batch}: MI off by {}", bias[0]);
                assert!(bias[2] < 0.05, "{estimator}, B = {batch}: DWKL off by {}", bias[2]);
                for (index, bias) in bias.iter().enumerate() {
                    assert!(bias.abs() < previous[index] + 0.05, "{estimator}, B = {batch}, term {index}: {bias}");
                    previous[index] = bias.abs();
                }
            }
        }
    }
}

fn mean_and_error(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

/// A mixture is what its formula says: two components in one dimension, by hand.
#[test]
fn a_mixture_of_two_by_hand() {
    let Mixture { joint, marginals } = log_mixture(
        &Tensor::from_slice2(&[[0.5_f64]]),
        &Tensor::from_slice2(&[[0.0_f64], [1.0]]),
        &Tensor::zeros([2, 1], crate::setting::DOUBLE),
        &Tensor::from_slice2(&[[0.25_f64, 0.75]]).log(),
    );
    let expected = -0.125 - 0.5 * (2.0 * std::f64::consts::PI).ln();
    assert_number(&joint, expected, 1e-14);
    assert_number(&marginals, expected, 1e-14);
}
