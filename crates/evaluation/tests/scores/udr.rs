//! Unsupervised disentanglement ranking.

use crate::codes;
use elbo_evaluation::scores::Table;
use elbo_evaluation::scores::udr::udr;

fn columns(table: &Table) -> Vec<Vec<f64>> {
    (0..table.dimensions()).map(|d| table.dimension(d)).collect()
}

/// Models whose dimensions are monotone functions of each other's, in any order, have found the same: 1.
#[test]
fn models_that_agree_up_to_order_sign_and_shape_score_1() {
    let bent = codes::table(20, |v, _| vec![v[1].powi(3), -v[2], v[0].exp()]);
    for score in udr(&[columns(&codes::identity()), columns(&codes::permuted()), columns(&bent)]) {
        assert!((score - 1.0).abs() < 1e-9, "{score}");
    }
}

/// A: (a, b). B: (a, a), two independent signs a and b. R = [[1, 1], [0, 0]].
/// Columns: 1²/1 each, 2. Rows: 1²/2 and 0. (2 + ½)/(2 + 2) = 0.625.
#[test]
fn two_models_by_hand() {
    let (a, b) = (vec![1.0, 1.0, -1.0, -1.0], vec![1.0, -1.0, 1.0, -1.0]);
    let found = udr(&[vec![a.clone(), b], vec![a.clone(), a]]);
    assert!(found.iter().all(|score| (score - 0.625).abs() < 1e-12), "{found:?}");
}

/// Ties share their mean rank: levels repeat, and Spearman's correlation of a code with itself is still 1.
/// One model of three that shares nothing with the others is the lowest; an empty one scores 0.
#[test]
fn the_odd_one_out_is_ranked_last() {
    let (noise, empty) = (columns(&codes::noise()), Vec::new());
    let scores = udr(&[columns(&codes::identity()), columns(&codes::permuted()), columns(&codes::identity()), noise]);
    assert!(scores[..3].iter().all(|score| (score - 1.0).abs() < 1e-9) && scores[3] < 0.1, "{scores:?}");
    assert!(udr(&[empty, columns(&codes::identity())])[0].abs() < 1e-12);
}
