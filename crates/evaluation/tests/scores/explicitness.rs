use crate::known::{
    Code, assert_near, assert_same_on_any_threads, assert_sound, case, golden_split, list, pair, single_level,
};
use elbo_evaluation::scores::Table;
use elbo_evaluation::scores::explicitness::{areas, explicitness};

fn of(code: Code) -> f64 {
    let (train, test) = pair([3, 4, 5], code);
    let score = explicitness(&train, &test, 20, 0);
    assert_sound(&score);
    score.value
}

/// scikit-learn stops its regressions earlier, which puts a pair or two of the 100 test rows in another order: 1 / (20 · 80) of an area,
/// of which five are averaged.
#[test]
fn areas_are_those_of_scikit_learn() {
    let ((train, test), case) = (golden_split(), case());
    let expected = &case["explicitness_test_sklearn_lr"];
    let areas: Vec<f64> =
        areas(&train, &test).into_iter().map(|area| area.expect("all levels in the test rows")).collect();
    assert_near(&areas, &list(&expected["per_factor"]), 3e-4);
    let score = explicitness(&train, &test, 50, 0);
    assert_near(&[score.value], &[expected["mean"].as_f64().expect("a number")], 1e-4);
    assert!(score.low < score.value && score.value < score.high, "{score:?}");
}

/// Logits that are linear in a code give each of its levels, in order, a range of its own. A rotation is linear.
#[test]
fn codes_that_are_the_factors_tell_all_levels_rotated_or_not() {
    for code in [Code::Identity, Code::Permuted, Code::Duplicated, Code::Rotated] {
        assert!(of(code) > 0.9999, "{code:?}: {}", of(code));
    }
}

/// Codes are standardised first, so that the penalty does not depend on their scale; rounding may swap rows that are next to equal.
#[test]
fn scale_and_shift_of_a_code_do_not_matter() {
    let (train, test) = golden_split();
    let moved = |table: &Table| {
        let code =
            |row: usize| table.code(row).iter().enumerate().map(|(d, z)| 10_f64.powi(d as i32 - 2) * z + 3.0).collect();
        let rows = 0..table.rows();
        let levels = rows.clone().map(|row| table.levels(row).to_vec()).collect::<Vec<_>>();
        Table::from_rows(&rows.map(code).collect::<Vec<_>>(), &levels)
    };
    let value = |train: &Table, test: &Table| explicitness(train, test, 5, 0).value;
    assert_near(&[value(&moved(&train), &moved(&test))], &[value(&train, &test)], 1e-4);
}

/// All rows have the same probability: all pairs are ties.
#[test]
fn constant_codes_are_chance() {
    assert_near(&[of(Code::Constant)], &[0.5], 1e-12);
}

/// An area over 300 rows, a quarter of them positive, has a deviation of √((n + 1) / (12 n⁺ n⁻)) = 0.04; the mean of twelve half of that
/// at most, even if a factor's levels go together.
#[test]
fn noise_is_chance() {
    assert!((of(Code::Noise) - 0.5).abs() < 0.08, "{}", of(Code::Noise));
}

/// One code tells its own factor, and of the other two nothing.
#[test]
fn one_code_tells_one_factor() {
    let (train, test) = pair([3, 4, 5], Code::First);
    let areas: Vec<f64> = areas(&train, &test).into_iter().map(|area| area.expect("all levels")).collect();
    // On a grid each value of the code comes with all levels of the others alike; weights are 0 to the root of the tolerance, and their
    // sign puts groups of equal size and equal shares of positives in some order.
    assert_near(&areas, &[1.0, 0.5, 0.5], 1e-9);
}

/// A level that was never seen has probability 0 everywhere, a factor with one level in the test rows has no area.
#[test]
fn missing_levels_are_no_obstacle() {
    let (train, test) = single_level();
    assert_eq!((areas(&train, &test), areas(&test, &train)), (vec![Some(0.5)], vec![None]));
    assert_eq!(explicitness(&train, &test, 5, 0).value, 0.5);
    assert_eq!(explicitness(&test, &train, 5, 0).value, 0.5);

    let codes: Vec<Vec<f64>> = (0..30).map(|row| vec![f64::from(row)]).collect();
    let seen = Table::from_rows(&codes, &(0..30).map(|row| vec![2 * (row / 15)]).collect::<Vec<_>>());
    let all = Table::from_rows(&codes, &(0..30).map(|row| vec![row / 10]).collect::<Vec<_>>());
    // Levels 0 and 2 are at either end, in the right order; level 1 was never seen.
    assert_near(&[explicitness(&seen, &all, 5, 0).value], &[2.5 / 3.0], 1e-12);
}

#[test]
fn the_score_follows_from_the_seed_alone() {
    let (train, test) = golden_split();
    assert_same_on_any_threads(|| explicitness(&train, &test, 10, 3));
}
