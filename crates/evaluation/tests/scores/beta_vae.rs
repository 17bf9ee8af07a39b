use crate::known::{
    Code, assert_near, assert_same_on_any_threads, assert_sound, case, golden, grid, matrix, single_level, table,
};
use elbo_evaluation::scores::beta_vae::{BetaVae, beta_vae, mean_difference};

const SETTINGS: BetaVae = BetaVae { pairs: 64, train: 600, test: 300 };

fn of(sizes: [usize; 3], code: Code) -> f64 {
    let score = beta_vae(&table(&grid(sizes, 600), sizes, code), &SETTINGS, 20, 0);
    assert_sound(&score);
    score.value
}

/// Features of given pairs of rows. (What the regression makes of them is held against scikit-learn's coefficients with the learners.)
#[test]
fn features_are_mean_distances() {
    let (table, case) = (golden(), case());
    let case = &case["beta_vae_score"];
    let pairs: Vec<[Vec<usize>; 2]> = serde_json::from_value(case["pairs"].clone()).expect("pairs");
    for ([first, second], expected) in pairs.iter().zip(matrix(&case["features"])) {
        let pairs: Vec<[usize; 2]> = first.iter().zip(second).map(|(&a, &b)| [a, b]).collect();
        assert_near(&mean_difference(&table, &pairs), &expected, 1e-12);
    }
}

/// The distance in the code of the shared factor is 0, in all others it is not.
#[test]
fn codes_that_are_the_factors_tell_which_is_shared() {
    for code in [Code::Identity, Code::Permuted, Code::Duplicated] {
        assert!(of([3, 4, 5], code) > 0.999, "{code:?}: {}", of([3, 4, 5], code));
    }
}

/// The figures' codes, of which four follow the four factors and one follows two: their regression is right on all points, too.
#[test]
fn the_codes_of_the_figures_tell_which_is_shared() {
    let score = beta_vae(&golden(), &SETTINGS, 20, 0);
    assert!(score.value > 0.99, "{score:?}");
}

/// Where either of two equal factors is held, half of the distance of the other is in both codes: one of three factors is told, the other
/// two are guessed. Within four deviations of a guess over 200 points, times 2/3.
#[test]
fn codes_that_are_rotated_leave_two_factors_to_chance() {
    let score = of([4, 4, 5], Code::Rotated);
    assert!((score - 2.0 / 3.0).abs() < 4.0 * 2.0 / 3.0 * 0.5 / 200_f64.sqrt(), "{score}");
}

/// Within four deviations of a guess among three over 300 points.
#[test]
fn constant_codes_and_noise_are_chance() {
    for code in [Code::Constant, Code::Noise] {
        let score = of([3, 4, 5], code);
        assert!((score - 1.0 / 3.0).abs() < 4.0 * (2.0 / 9.0 / 300.0_f64).sqrt(), "{code:?}: {score}");
    }
}

/// Over many levels, and codes of the level and noise of its width: with one pair a point, sharing a factor moves the mean distance a
/// little; with 64, the noise averages out. More pairs tell more.
#[test]
fn more_pairs_tell_more() {
    let levels = grid([5, 5, 5], 1000);
    let mut rng = fastrand::Rng::with_seed(4);
    let codes: Vec<Vec<f64>> =
        levels.iter().map(|row| row.iter().map(|&level| level as f64 + 4.0 * rng.f64()).collect()).collect();
    let table = elbo_evaluation::scores::Table::from_rows(&codes, &levels);
    let [one, many] = [1, 64].map(|pairs| beta_vae(&table, &BetaVae { pairs, ..SETTINGS }, 20, 0).value);
    assert!(one < 0.7 && many > 0.95, "{one} with one pair, {many} with 64");
}

/// One factor is always the one that is shared; a level with one row makes pairs of that row with itself.
#[test]
fn one_factor_and_one_code_are_no_obstacle() {
    let (train, _) = single_level();
    assert_eq!(beta_vae(&train, &BetaVae { pairs: 2, train: 10, test: 10 }, 5, 0).value, 1.0);
    let single = table(&grid([3, 4, 5], 60), [3, 4, 5], Code::First);
    assert_sound(&beta_vae(&single.select(&[0, 1, 2]), &BetaVae { pairs: 2, train: 10, test: 10 }, 5, 0));
}

#[test]
fn the_published_protocol_is_the_default_and_its_fields_are_checked() {
    assert_eq!(BetaVae::default(), BetaVae { pairs: 64, train: 10_000, test: 5_000 });
    assert!(serde_json::from_str::<BetaVae>(r#"{"pairs": 1, "train": 2, "test": 3, "batch": 4}"#).is_err());
}

#[test]
fn the_score_follows_from_the_seed_alone() {
    let table = golden();
    assert_same_on_any_threads(|| beta_vae(&table, &BetaVae { pairs: 8, train: 200, test: 100 }, 10, 3));
    let score = |seed| beta_vae(&table, &BetaVae { pairs: 1, train: 200, test: 100 }, 10, seed);
    assert_ne!(score(1), score(2));
}
