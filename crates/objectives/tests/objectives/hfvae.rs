//! HFVAE: trees of groups, and each of its terms against closed forms, enumeration and β-TCVAE.

use crate::regularisers::read;
use crate::setting::{Codes, DOUBLE, assert_near, assert_number, beta_tcvae, generator, number};
use elbo_core::FieldError;
use elbo_core::posterior::standard_normal_log_density;
use elbo_objectives::estimator::Densities;
use elbo_objectives::groups::{Groups, Node};
use elbo_objectives::{Estimator, Hfvae, HierarchicalTerms, Objective};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::f64::consts::LN_2;
use tch::{Kind, Tensor};

const DATASET_LEN: i64 = 40;

fn groups(json: Value) -> Groups {
    read(json)
}

fn terms(estimator: Estimator, codes: &Codes, dataset_len: i64, groups: &Groups) -> HierarchicalTerms {
    HierarchicalTerms::estimate(estimator, &codes.gaussian(), &codes.z, dataset_len, groups)
}

fn hfvae(groups: &Value, tc_weights: &Value, estimator: Estimator) -> Hfvae {
    let json = json!({
        "groups": groups, "mi_weight": 0.5, "tc_weights": tc_weights, "dw_kl_weight": 1.5, "estimator": estimator
    });
    read(json)
}

#[track_caller]
fn assert_total_correlations(terms: &HierarchicalTerms, expected: &[f64], tolerance: f64) {
    assert_eq!(terms.total_correlations.len(), expected.len());
    for (value, &expected) in terms.total_correlations.iter().zip(expected) {
        assert_number(value, expected, tolerance);
    }
}

/// Level by level, the lists of a tree, and what stands in them.
#[test]
fn a_tree_is_read_written_and_taken_apart_by_level() {
    let json = json!([[0, 1], [2, 3, [4, 5]], 6]);
    let tree = groups(json.clone());
    assert_eq!(serde_json::to_value(&tree).expect("JSON"), json);
    assert_eq!(tree.depth(), 3);
    assert_eq!(tree.lists(), [vec![0, 1, 2, 3, 4, 5, 6], vec![0, 1], vec![2, 3, 4, 5], vec![4, 5]]);
    let levels: Vec<_> = tree
        .levels()
        .into_iter()
        .map(|level| (level.first, level.lists, level.child_lists, level.child_dimensions))
        .collect();
    assert_eq!(levels, [(0, 1, 2, vec![6]), (1, 2, 1, vec![0, 1, 2, 3]), (3, 1, 0, vec![4, 5])]);
    assert_eq!(Groups::flat(3), groups(json!([0, 1, 2])));
    assert_eq!(Groups::flat(3).depth(), 1);
}

#[test]
fn what_is_no_tree_is_refused() {
    for json in ["[[0, 1], []]", "[]", "[0, -1]", "[0, 1.5]", "3", "[\"a\"]"] {
        let message = serde_json::from_str::<Groups>(json).expect_err("no tree").to_string();
        assert!(
            message.starts_with("expected nested lists of latent dimensions, none of them empty, such as"),
            "{message}"
        );
        assert!(message.contains(&format!("got {}", json.replace(", ", ","))), "{message}");
    }
}

/// The dimension that is missing, doubled or not there stands in the line, and so does the number of weights.
#[test]
fn trees_and_weights_that_do_not_fit_are_refused_by_field() {
    for (tree, weights, field, message) in [
        (json!([[0, 1], [3]]), json!([1, 1]), "groups", "expected each of the 4 dimensions once, but 2 is missing"),
        (
            json!([[0, 1], [2, 3, 1]]),
            json!([1, 1]),
            "groups",
            "expected every dimension once, but 1 stands there twice",
        ),
        (json!([[0, 1], [2, 3, 4]]), json!([1, 1]), "groups", "expected dimensions from 0 to 3, got 4"),
        (json!([[0, 1], [2, 3]]), json!([1]), "tc_weights", "expected 2 weights, one for each level of groups, got 1"),
        (json!([0, 1, 2, 3]), json!([1, 2]), "tc_weights", "expected 1 weights, one for each level of groups, got 2"),
    ] {
        let objective = hfvae(&tree, &weights, Estimator::Mws);
        let error = objective.check(8, DATASET_LEN, 4).expect_err("this must be refused");
        let error: FieldError = error.downcast().expect("an error that names its field");
        assert_eq!((error.field.as_str(), error.message.as_str()), (field, message));
    }
    let objective = hfvae(&json!([[0, 1], [2, 3]]), &json!([1, 2]), Estimator::Balanced);
    assert!(objective.check(8, DATASET_LEN, 4).is_ok());
    assert!(objective.check(1, DATASET_LEN, 4).expect_err("one row").to_string().contains("a batch of at least 2"));
    assert!(
        objective.check(41, DATASET_LEN, 4).expect_err("a surplus").to_string().contains("at most the 40 examples")
    );
    let exact = hfvae(&json!([[0, 1], [2, 3]]), &json!([1, 2]), Estimator::Exact);
    assert!(exact.check(40, DATASET_LEN, 4).is_ok() && exact.check(39, DATASET_LEN, 4).is_err());
}

/// Encodings of unit width at `signs` times 60, so far apart that none reaches another.
fn far_codes(signs: &[[f64; 4]], seed: u64) -> Codes {
    let mean = Tensor::from_slice2(signs) * 60.0;
    Codes::sampled(mean.shallow_clone(), mean.zeros_like(), &generator(seed))
}

/// One coin for all four coordinates. Each pair, and each coordinate, is that coin: ln 2 between the pairs, ln 2 within each of them, 3 ln 2
/// in all, and ln 2 of information.
#[test]
fn one_coin_is_one_bit_between_and_one_within_each_group() {
    let codes = far_codes(&[[1.0; 4], [-1.0; 4]], 81);
    for estimator in [Estimator::Uniform, Estimator::Balanced, Estimator::Exact] {
        let terms = terms(estimator, &codes, 2, &groups(json!([[0, 1], [2, 3]])));
        assert_number(&terms.mutual_information, LN_2, 1e-12);
        assert_total_correlations(&terms, &[LN_2, 2.0 * LN_2], 1e-12);
    }
}

/// Two fair coins, one for the first pair of coordinates and one for the second: the groups know nothing of each other, and each holds one
/// bit. Grouped across, the bits lie between the groups and none within.
#[test]
fn two_coins_lie_within_their_groups_and_between_those_across() {
    let codes = far_codes(
        &[[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, 1.0, 1.0], [-1.0, -1.0, -1.0, -1.0]],
        82,
    );
    let of = |tree: Value| terms(Estimator::Exact, &codes, 4, &groups(tree));
    assert_number(&of(json!([[0, 1], [2, 3]])).mutual_information, 2.0 * LN_2, 1e-12);
    assert_total_correlations(&of(json!([[0, 1], [2, 3]])), &[0.0, 2.0 * LN_2], 1e-12);
    assert_total_correlations(&of(json!([[0, 2], [3, 1]])), &[2.0 * LN_2, 0.0], 1e-12);
    // Three levels: between [0, 2, 3] and 1 the first coin; within it, between [2, 3] and 0 nothing; within [2, 3] the second coin.
    assert_total_correlations(&of(json!([[0, [2, 3]], 1])), &[LN_2, 0.0, LN_2], 1e-12);
}

/// log of the sum over components of a mixture with equal weights, by loops over numbers.
fn log_mixture_by_hand(codes: &Codes, row: i64, dimensions: &[i64]) -> f64 {
    let value = |t: &Tensor, i: i64, d: i64| number(&t.get(i).get(d));
    let n = codes.mean.size()[0];
    let density = |component: i64| -> f64 {
        let log_density = |&d: &i64| {
            let (mean, log_var) = (value(&codes.mean, component, d), value(&codes.log_var, component, d));
            let squared = (value(&codes.z, row, d) - mean).powi(2);
            -0.5 * (squared / log_var.exp() + log_var + (2.0 * std::f64::consts::PI).ln())
        };
        dimensions.iter().map(log_density).sum::<f64>().exp()
    };
    ((0..n).map(density).sum::<f64>() / n as f64).ln()
}

/// Overlapping encodings, the batch the data set: both levels by enumeration over rows, components and dimensions.
#[test]
fn both_levels_agree_with_enumeration() {
    let codes = Codes::random(7, 5, 83);
    let log_q = |row, dimensions: &[i64]| log_mixture_by_hand(&codes, row, dimensions);
    let mean = |of_row: &dyn Fn(i64) -> f64| (0..7).map(of_row).sum::<f64>() / 7.0;
    let alone = |row: i64, dimensions: &[i64]| dimensions.iter().map(|&d| log_q(row, &[d])).sum::<f64>();
    let between =
        mean(&|row| log_q(row, &[0, 1, 2, 3, 4]) - log_q(row, &[4, 1]) - log_q(row, &[2, 0]) - log_q(row, &[3]));
    let within = mean(&|row| log_q(row, &[4, 1]) + log_q(row, &[2, 0]) - alone(row, &[4, 1, 2, 0]));
    for estimator in [Estimator::Exact, Estimator::Balanced, Estimator::Uniform] {
        let terms = terms(estimator, &codes, 7, &groups(json!([[4, 1], [2, 0], 3])));
        assert_total_correlations(&terms, &[between, within], 1e-12);
    }
    assert!(between.abs() > 0.01 && within.abs() > 0.01);
}

/// A normal aggregate posterior: means drawn from N(0, 2 S − v), encodings of variance v, so that q(z) is N(0, 2 S) in the limit. The
/// dependence between groups of a normal vector is `½ ln(Π |S_g|/|S|)`, at any scale.
#[test]
fn a_normal_aggregate_has_the_correlations_of_its_covariance() {
    let (strong, weak, width) = (0.6, 0.25, 0.5_f64);
    let covariance = Tensor::from_slice2(&[
        [1.0, strong, weak, 0.0],
        [strong, 1.0, 0.0, weak],
        [weak, 0.0, 1.0, 0.0],
        [0.0, weak, 0.0, 1.0],
    ]);
    // Wide enough encodings leave a covariance of the means that is still positive definite.
    let of_means = &covariance * 2.0 - Tensor::eye(4, DOUBLE) * width;
    let root = of_means.linalg_cholesky(false);
    let noise = generator(84);
    let n = 4000;
    let mean = noise.normal(&[n, 4], Kind::Double).matmul(&root.transpose(0, 1));
    let log_var = Tensor::full_like(&mean, width.ln());
    let codes = Codes::sampled(mean, log_var, &noise);
    let log_det = |rows: &[i64]| {
        let rows = Tensor::from_slice(rows);
        number(&covariance.index_select(0, &rows).index_select(1, &rows).logdet())
    };
    let between = 0.5 * (log_det(&[0, 1]) + log_det(&[2, 3]) - log_det(&[0, 1, 2, 3]));
    let within = -0.5 * (log_det(&[0, 1]) + log_det(&[2, 3]));
    assert!(between > 0.1 && within > 0.2 && (within - between).abs() > 0.05);
    let terms = terms(Estimator::Exact, &codes, n, &groups(json!([[0, 1], [2, 3]])));
    assert_total_correlations(&terms, &[between, within], 0.04);
}

/// A flat list is β-TCVAE: term by term, and the loss with its gradient, whatever the estimator.
#[test]
fn a_flat_tree_is_beta_tcvae() {
    let codes = Codes::random(6, 3, 85).leaves();
    for estimator in Estimator::MINIBATCH {
        let flat = terms(estimator, &codes, DATASET_LEN, &Groups::flat(3));
        let reference = Densities::estimate(estimator, &codes.gaussian(), &codes.z, DATASET_LEN).terms();
        assert_near(&flat.mutual_information, &reference.mutual_information, 1e-12);
        assert_near(&flat.total_correlations[0], &reference.total_correlation, 1e-12);
        assert_near(&flat.dimension_wise_kl, &reference.dimension_wise_kl, 1e-12);
        let gradients = |objective: &dyn Objective| {
            let loss = codes.evaluate(objective, DATASET_LEN).loss;
            let gradients = Tensor::run_backward(&[&loss], &[&codes.mean, &codes.log_var, &codes.z], false, false);
            (loss, gradients)
        };
        let (loss, of_flat) = gradients(&hfvae(&json!([0, 1, 2]), &json!([6]), estimator));
        let (expected, of_reference) = gradients(&beta_tcvae(0.5, 6.0, 1.5, estimator));
        assert_near(&loss, &expected, 1e-12);
        for (gradient, expected) in of_flat.iter().zip(&of_reference) {
            assert_near(gradient, expected, 1e-12);
        }
    }
}

/// Each weight multiplies its own level.
#[test]
fn each_level_has_its_own_weight() {
    let codes = Codes::random(6, 4, 86);
    let tree = json!([[0, [3, 1]], 2]);
    let expected = terms(Estimator::Balanced, &codes, DATASET_LEN, &groups(tree.clone()));
    for weights in [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [4.0, 2.0, 0.5]] {
        let evaluated = codes.evaluate(&hfvae(&tree, &json!(weights), Estimator::Balanced), DATASET_LEN);
        let mut loss = evaluated.scalars.get("reconstruction").expect("reported")
            + &expected.mutual_information * 0.5
            + &expected.dimension_wise_kl * 1.5;
        for (weight, term) in weights.iter().zip(&expected.total_correlations) {
            loss += term * *weight;
        }
        assert_near(&evaluated.loss, &loss, 1e-12);
    }
}

/// Names and values of the curves; under MWS the readable ones of Uniform beside them, level by level.
#[test]
fn levels_are_reported_and_mws_in_readable_form_too() {
    let codes = Codes::random(6, 4, 87);
    let (tree, weights) =
        (json!([[0, 1], [2, 3]]), json!([4, { "schedule": "linear", "from": 0, "to": 2, "steps": 10 }]));
    let of = |estimator| codes.evaluate(&hfvae(&tree, &weights, estimator), DATASET_LEN).scalars;
    let (uniform, mws) = (of(Estimator::Uniform), of(Estimator::Mws));
    let names: Vec<&str> = uniform.entries().iter().skip(4).map(|(name, _)| name.as_str()).collect();
    let terms = ["mutual_information", "total_correlation", "total_correlation_by_level", "dimension_wise_kl"];
    assert_eq!(names[..4], terms.map(|term| format!("estimate/{term}_uniform")));
    assert_eq!(names[4..], ["schedule/tc_weights/1"]);
    assert_eq!(uniform.get("estimate/total_correlation_by_level_uniform").expect("reported").size(), [2]);
    for term in terms {
        let name = format!("estimate/{term}_uniform");
        assert_near(mws.get(&name).expect("reported"), uniform.get(&name).expect("reported"), 1e-12);
        let own = mws.get(&format!("estimate/{term}_mws")).expect("reported");
        assert!(number(&(own - mws.get(&name).expect("reported")).abs().min()) > 3.0, "{term}");
    }
}

/// A random tree over all dimensions.
fn tree(dimensions: &[i64], choose: &mut dyn FnMut(usize) -> usize, depth: usize) -> Vec<Node> {
    let mut children = Vec::new();
    let mut rest = dimensions;
    while !rest.is_empty() {
        let (taken, left) = rest.split_at(1 + choose(rest.len()));
        children.push(match taken {
            &[dimension] => Node::Dimension(dimension),
            several if depth == 0 => Node::Group(several.iter().copied().map(Node::Dimension).collect()),
            several => Node::Group(tree(several, choose, depth - 1)),
        });
        rest = left;
    }
    children
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the tree: the levels add up to the total correlation of all dimensions, and all terms to the sampled KL, to 1e-10.
    #[test]
    fn the_levels_of_any_tree_telescope(batch in 2_i64..8, latent in 1_i64..9, seed in 0_u64..1_000_000) {
        let noise = generator(seed);
        let order: Vec<i64> = Vec::try_from(noise.permutation(latent)).expect("an order");
        let mut choose = |below: usize| number(&noise.integers(below as i64, &[])) as usize;
        let tree = Groups::new(tree(&order, &mut choose, 3));
        prop_assert_eq!(tree.check(latent), Ok(()));
        let codes = Codes::random(batch, latent, seed);
        let sampled_kl = codes.gaussian().log_density(&codes.z) - standard_normal_log_density(&codes.z);
        let sampled_kl = number(&sampled_kl.mean(None));
        for estimator in Estimator::MINIBATCH {
            let found = terms(estimator, &codes, batch + 20, &tree);
            let all = Densities::estimate(estimator, &codes.gaussian(), &codes.z, batch + 20).terms();
            let sum = number(&found.total_correlation());
            prop_assert!((sum - number(&all.total_correlation)).abs() < 1e-10);
            let sum = sum + number(&found.mutual_information) + number(&found.dimension_wise_kl);
            prop_assert!((sum - sampled_kl).abs() < 1e-10 * (1.0 + sampled_kl.abs()));
        }
    }
}
