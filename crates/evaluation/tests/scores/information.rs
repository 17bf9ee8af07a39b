//! Histogram information, MIG and modularity.

use crate::codes;
use crate::golden::{self, assert_close, numbers, rows, whole};
use elbo_evaluation::scores::information::{Binned, discretise, entropy, modularity_per_code};
use elbo_evaluation::scores::{mig_histogram, modularity};

/// numpy's `histogram` and `digitize` put the golden's codes into these bins, which it counts from 1.
#[test]
fn bins_are_those_of_numpy() {
    let case = golden::case();
    let table = golden::table(&case);
    for (d, expected) in case["discretised_codes"].as_array().unwrap().iter().enumerate() {
        let found: Vec<usize> = discretise(&table.dimension(d), 20).iter().map(|bin| bin + 1).collect();
        assert_eq!(found, whole(expected), "dimension {d}");
    }
}

/// Eleven equally spaced values in five bins: each value on an inner edge belongs to the bin on its right, the largest to the last.
#[test]
fn values_on_an_edge_go_to_the_right_and_the_largest_stays_in_the_last_bin() {
    let values: Vec<f64> = (0..=10).map(f64::from).collect();
    assert_eq!(discretise(&values, 5), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4]);
    assert_eq!(discretise(&[0.3; 4], 20), [0; 4]);
}

#[test]
fn information_and_entropies_are_the_golden_ones() {
    let case = golden::case();
    let table = golden::table(&case);
    let binned = Binned::new(&table);
    assert_close(&binned.factor_entropies(), &numbers(&case["factor_entropies"]), 1e-9);
    for (found, expected) in binned.mutual_information().iter().zip(rows(&case["mi_matrix_codes_by_factors"])) {
        assert_close(found, &expected, 1e-9);
    }
    let factor = table.factor(2);
    assert!((entropy(&factor, 5) - numbers(&case["factor_entropies"])[2]).abs() < 1e-12);
}

#[test]
fn mig_and_modularity_are_the_golden_ones() {
    let case = golden::case();
    let table = golden::table(&case);
    let (mig, modular) = (mig_histogram(&table, 20, 1), modularity(&table, 20, 1));
    assert!((mig.value - case["mig"].as_f64().unwrap()).abs() < 1e-9, "{mig:?}");
    assert!((modular.value - case["modularity"].as_f64().unwrap()).abs() < 1e-9, "{modular:?}");
    assert!(mig.low < mig.value && mig.value < mig.high);
    let per_code = modularity_per_code(&Binned::new(&table).mutual_information());
    assert_close(&per_code, &numbers(&case["modularity_per_code"]), 1e-9);
}

/// A dimension that is a factor tells it whole and nothing else: gap and modularity 1, in any order and scale.
#[test]
fn factors_themselves_score_1_in_any_order() {
    for table in [codes::identity(), codes::permuted()] {
        let (mig, modular) = (mig_histogram(&table, 10, 1), modularity(&table, 10, 1));
        assert!((mig.value - 1.0).abs() < 1e-9, "{mig:?}");
        assert!((modular.value - 1.0).abs() < 1e-9, "{modular:?}");
    }
}

/// Two dimensions that tell the same leave no gap; each of them still tells one factor alone.
#[test]
fn a_duplicated_code_has_no_gap_and_stays_modular() {
    let table = codes::duplicated();
    assert!(mig_histogram(&table, 10, 1).value.abs() < 1e-9);
    assert!((modularity(&table, 10, 1).value - 1.0).abs() < 1e-9);
}

/// v0 ± v1 tell as much of v0 as of each other, so the first two factors have no gap and the third has all: 1/3.
///
/// Each of the two tells almost as much of one as of the other, ρ < 1 by the squares, so its modularity is 1 − ρ/2, at least ½; the
/// third dimension has 1. The mean is between 2/3 and what ρ = 0.6 gives.
#[test]
fn a_rotation_of_two_factors_costs_their_gaps() {
    let table = codes::rotated();
    let mig = mig_histogram(&table, 10, 1).value;
    assert!((mig - 1.0 / 3.0).abs() < 0.02, "{mig}");
    let modular = modularity(&table, 10, 1).value;
    assert!((2.0 / 3.0..0.8).contains(&modular), "{modular}");
}

/// A constant has no information; noise has what the plug-in estimate's bias makes of it, (20 − 1)(levels − 1)/2n = 0.02 nats at most here.
#[test]
fn nothing_tells_nothing() {
    let constant = codes::constant();
    assert_eq!([mig_histogram(&constant, 10, 1).value, modularity(&constant, 10, 1).value], [0.0, 0.0]);
    let noise = codes::noise();
    assert!(mig_histogram(&noise, 10, 1).value < 0.01);
    let largest = Binned::new(&noise).mutual_information().concat().into_iter().fold(0.0, f64::max);
    assert!(largest < 0.04, "{largest}");
}

/// Another seed gives other intervals, the same seed the same; the value does not depend on it.
#[test]
fn a_seed_fixes_the_interval() {
    let table = golden::table(&golden::case());
    let (one, same, other) = (mig_histogram(&table, 30, 1), mig_histogram(&table, 30, 1), mig_histogram(&table, 30, 2));
    assert_eq!(one, same);
    assert!((one.value - other.value).abs() < 1e-15 && (one.low - other.low).abs() > 1e-9);
}
