//! Interventional robustness.

use crate::codes;
use elbo_evaluation::scores::{Table, irs};

/// A code that is a factor does not stray while the factor is held.
#[test]
fn factors_themselves_score_1() {
    for table in [codes::identity(), codes::permuted(), codes::duplicated()] {
        let found = irs(&table, 10, 1);
        assert!((found.value - 1.0).abs() < 1e-12, "{found:?}");
    }
}

/// Four images of two factors of two levels. Dimension 0 is 3 a + b: with a held it strays by ½ from its mean, with b held by 1½; it is at
/// most 2 from its own mean (0, 1, 3, 4 around 2). The quantile of two equal deviations is that deviation. So the first scores 1 − ½/2 = ¾.
/// Dimension 1 is b: it scores 1, and strays by ½ at most. Weighted by 2 and ½: (2 · ¾ + ½ · 1)/2½ = 0.8.
#[test]
fn two_binary_factors_by_hand() {
    let levels: Vec<Vec<usize>> = vec![vec![0, 0], vec![0, 1], vec![1, 0], vec![1, 1]];
    let codes: Vec<Vec<f64>> = levels.iter().map(|row| vec![(3 * row[0] + row[1]) as f64, row[1] as f64]).collect();
    let found = irs(&Table::from_rows(&codes, &levels), 2, 1).value;
    assert!((found - 0.8).abs() < 1e-12, "{found}");
}

/// 101 images of one level, at 0, 1, …, 100: deviations from 50 are 50, 49, 49, …; of 101 sorted ones the 99% quantile is the 100th, 50.
#[test]
fn the_quantile_is_between_order_statistics() {
    let levels: Vec<Vec<usize>> = (0..202).map(|row| vec![row / 101]).collect();
    let codes: Vec<Vec<f64>> = (0..202).map(|row| vec![f64::from(row % 101)]).collect();
    let found = irs(&Table::from_rows(&codes, &levels), 2, 1).value;
    // Largest deviation 50, the 99% quantile of a level's deviations (place 99 of 0..100) 50 as well: nothing is told.
    assert!(found.abs() < 1e-12, "{found}");
}

/// Noise strays as far with any factor held, but for the quantile: 1 − 0.99; a constant tells nothing.
#[test]
fn nothing_tells_nothing() {
    let noise = irs(&codes::noise(), 10, 1).value;
    assert!(noise < 0.05, "{noise}");
    assert!(irs(&codes::constant(), 10, 1).value.abs() < 1e-12);
}

/// v0 ± v1 stray by v1's or v0's whole range while the other is held: about half of their own.
#[test]
fn a_rotation_strays() {
    let found = irs(&codes::rotated(), 10, 1).value;
    assert!((0.5..0.75).contains(&found), "{found}");
}
