use crate::known::{
    Code, assert_near, assert_same_on_any_threads, assert_sound, case, golden, golden_split, matrix, pair, single_level,
};
use elbo_evaluation::scores::Table;
use elbo_evaluation::scores::sap::{accuracies, sap, sap_continuous, squared_correlations};

const SIZES: [usize; 3] = [3, 4, 5];
/// Two levels each, where one line between them is all there is to find.
const COINS: [usize; 3] = [2, 2, 2];

fn of(sizes: [usize; 3], code: Code) -> [f64; 2] {
    let (train, test) = pair(sizes, code);
    let scores = [sap(&train, &test, 20, 0), sap_continuous(&train, 20, 0)];
    scores.iter().for_each(assert_sound);
    scores.map(|score| score.value)
}

#[test]
fn squared_correlations_are_those_of_disentanglement_lib() {
    let (table, case) = (golden(), case());
    for (row, expected) in squared_correlations(&table).iter().zip(matrix(&case["sap_continuous_matrix"])) {
        assert_near(row, &expected, 1e-9);
    }
    let score = sap_continuous(&table, 20, 0);
    assert_near(&[score.value], &[case["sap_continuous"].as_f64().expect("a number")], 1e-9);
    assert!(score.low < score.value && score.value < score.high, "{score:?}");
}

/// liblinear stops a little short of the minimum: one of the 100 test rows may fall on the other side of a line.
#[test]
fn accuracies_are_those_of_scikit_learn() {
    let ((train, test), case) = (golden_split(), case());
    let expected = &case["sap_discrete_linear_svc"];
    for (row, expected) in accuracies(&train, &test).iter().zip(matrix(&expected["matrix"])) {
        assert_near(row, &expected, 0.0101);
    }
    assert_near(&[sap(&train, &test, 20, 0).value], &[expected["score"].as_f64().expect("a number")], 0.0101);
}

/// A code that is a fair coin predicts it always, every other code in half of the rows; squared correlations are 1 and 0.
#[test]
fn codes_that_are_coins_have_the_gap_between_always_and_half() {
    for code in [Code::Identity, Code::Permuted] {
        assert_near(&of(COINS, code), &[0.5, 1.0], 1e-12);
    }
}

/// On a grid the factors do not correlate.
#[test]
fn codes_that_are_the_factors_correlate_with_them_alone() {
    for code in [Code::Identity, Code::Permuted] {
        let [sap, continuous] = of(SIZES, code);
        assert!(sap > 0.1, "{code:?}: {sap}");
        assert_near(&[continuous], &[1.0], 1e-12);
    }
}

/// The second best is as good as the best.
#[test]
fn codes_that_come_twice_have_no_gap() {
    for sizes in [COINS, SIZES] {
        assert_near(&of(sizes, Code::Duplicated), &[0.0, 0.0], 1e-12);
    }
}

/// Rotated by 45°, two factors have half of their variance in either code: no gap for them, all of it for the third.
#[test]
fn codes_that_are_rotated_have_the_gap_of_the_third_factor_alone() {
    assert_near(&of(COINS, Code::Rotated), &[0.5 / 3.0, 1.0 / 3.0], 1e-12);
    assert_near(&of(SIZES, Code::Rotated)[1..], &[1.0 / 3.0], 1e-12);
}

/// Every code is the same guess.
#[test]
fn constant_codes_have_no_gap() {
    assert_near(&of(SIZES, Code::Constant), &[0.0, 0.0], 1e-12);
}

/// The gap is between the two luckiest of four: below two deviations of an accuracy over 300 rows, 0.05, and of a squared correlation
/// over 600, some 0.01.
#[test]
fn noise_has_next_to_no_gap() {
    let [sap, continuous] = of(SIZES, Code::Noise);
    assert!(sap < 0.05 && continuous < 0.01, "{sap} {continuous}");
}

/// One code is held against nothing; what does not vary is left out, and so is all of it where nothing does.
#[test]
fn one_code_and_a_factor_of_one_level_are_no_obstacle() {
    let (train, test) = pair(COINS, Code::First);
    // Accuracies of 1, 1/2 and 1/2; a squared correlation of 1 with one factor of three.
    assert_near(
        &[sap(&train, &test, 20, 0).value, sap_continuous(&train, 20, 0).value],
        &[2.0 / 3.0, 1.0 / 3.0],
        1e-12,
    );
    let (train, test) = single_level();
    assert_eq!((sap(&train, &test, 20, 0).value, sap_continuous(&train, 20, 0).value), (0.0, 0.0));
    let levels: Vec<Vec<usize>> = (0..40).map(|row| vec![row % 2, 0]).collect();
    let codes: Vec<Vec<f64>> = levels.iter().map(|row| vec![row[0] as f64, 0.1]).collect();
    let table = Table::from_rows(&codes, &levels);
    assert_near(&[sap(&table, &table, 20, 0).value, sap_continuous(&table, 20, 0).value], &[0.5, 1.0], 1e-12);
}

/// The squared correlation of n rows has the deviation 2 r (1 − r²) / √n, up to r² = 0.5 and 400 rows here: the interval over resamples
/// has about that width.
#[test]
fn the_interval_has_the_width_of_the_sampling_error() {
    let mut rng = fastrand::Rng::with_seed(5);
    let mut normal = move || (0..12).map(|_| rng.f64()).sum::<f64>() - 6.0;
    let levels: Vec<Vec<usize>> = (0..400).map(|_| vec![(100.0 * (normal() + 6.0)) as usize]).collect();
    let codes: Vec<Vec<f64>> = levels.iter().map(|row| vec![row[0] as f64 / 100.0 - 6.0 + normal()]).collect();
    let score = sap_continuous(&Table::from_rows(&codes, &levels), 400, 0);
    let r = score.value.sqrt();
    let expected = 2.0 * 1.96 * 2.0 * r * (1.0 - r * r) / 20.0;
    // A standard deviation from 400 resamples of 400 rows is good to a tenth or so.
    assert!(((score.high - score.low) / expected - 1.0).abs() < 0.25, "{score:?} for {expected}");
}

#[test]
fn scores_follow_from_the_seed_alone() {
    let (train, test) = golden_split();
    assert_same_on_any_threads(|| [sap(&train, &test, 10, 3), sap_continuous(&train, 10, 3)]);
}
