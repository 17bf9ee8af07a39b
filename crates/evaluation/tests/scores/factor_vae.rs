//! The `FactorVAE` score.

use crate::codes;
use crate::golden::{self, assert_close, numbers, whole};
use elbo_evaluation::scores::factor_vae::{Batches, Settings, Variances, Vote, accuracy, majority};
use elbo_evaluation::scores::{Table, factor_vae};
use serde_json::Value;

const SMALL: Settings = Settings { batch: 16, train: 600, test: 300, variance_points: 10_000, threshold: 0.05 };

fn score(table: &Table) -> f64 {
    factor_vae(table, &SMALL, 10, 3).value
}

/// The golden's batches: their rows give its votes, the votes its classifier and accuracies.
#[test]
fn votes_classifier_and_accuracy_are_the_golden_ones() {
    let case = golden::case();
    let table = golden::table(&case);
    let variances = Variances::of(&table, 0.0);
    for name in ["factor_vae_score", "factor_vae_score_3_column_batches"] {
        let expected = &case[name];
        let votes: Vec<Vote> = expected["batches"]
            .as_array()
            .unwrap()
            .iter()
            .map(|batch| {
                let dimension = variances.least(&table, &whole(&batch["columns"])).unwrap();
                assert_eq!(dimension as u64, batch["argmin_code"].as_u64().unwrap());
                Vote { factor: batch["factor"].as_u64().unwrap() as usize, dimension }
            })
            .collect();
        let classifier = majority(&mut votes.iter().copied(), 6, 4);
        assert_eq!(classifier, whole(&expected["classifier"]), "{name}");
        let found = accuracy(&classifier, &mut votes.iter().copied());
        assert!((found - expected["train_accuracy"].as_f64().unwrap()).abs() < 1e-9);
        if expected["split"] != Value::Null {
            let (train, test) = votes.split_at(24);
            let classifier = majority(&mut train.iter().copied(), 6, 4);
            assert!(
                (accuracy(&classifier, &mut test.iter().copied())
                    - expected["split"]["eval_accuracy"].as_f64().unwrap())
                .abs()
                    < 1e-9
            );
        }
    }
    let global = numbers(&case["factor_vae_score"]["global_variances"]);
    let found: Vec<f64> = (0..6)
        .map(|d| {
            let values = table.dimension(d);
            let mean = values.iter().sum::<f64>() / 400.0;
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 399.0
        })
        .collect();
    assert_close(&found, &global, 1e-9);
}

/// The shared factor's own dimension does not vary at all: every vote is right, also where each dimension is there twice.
#[test]
fn factors_themselves_score_1() {
    for table in [codes::identity(), codes::permuted(), codes::duplicated()] {
        assert!((score(&table) - 1.0).abs() < 1e-12);
    }
}

/// With v0 + v1 and v0 − v1, holding v0 or v1 shrinks both alike: those two factors are told apart only by their share of the variance,
/// which is that of 4 against 5 levels. The third is always told, so the score is near 2/3.
#[test]
fn a_rotation_confuses_the_two_factors_it_mixes() {
    let found = score(&codes::rotated());
    assert!((0.6..0.8).contains(&found), "{found}");
}

/// Noise votes at random: the share of the most frequent factor, about 1/3.
#[test]
fn noise_scores_chance() {
    let found = score(&codes::noise());
    assert!((0.25..0.45).contains(&found), "{found}");
}

/// Two collapsed dimensions, whose tiny noise would win every vote if it counted, beside the factors; and nothing but collapsed ones.
///
/// The other project counts the mask's length, so that its score of nothing but collapsed dimensions is not 0.
#[test]
fn collapsed_dimensions_are_pruned() {
    let beside = codes::table(20, |v, rng| [v, &[1e-3 * rng.f64(), 1e-3 * rng.f64()]].concat());
    assert!((score(&beside) - 1.0).abs() < 1e-12);
    let collapsed = codes::table(20, |v, rng| v.iter().map(|v| 1e-3 * v + 1e-4 * rng.f64()).collect());
    assert!(score(&collapsed).abs() < 1e-12);
    assert!(score(&codes::constant()).abs() < 1e-12);
}

#[test]
fn a_batch_shares_its_factor_and_ties_go_to_the_first() {
    let table = codes::identity();
    let batches = Batches::new(&table, 8).unwrap();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut seen = [0; 3];
    for _ in 0..300 {
        let (factor, rows) = batches.draw(&mut rng);
        seen[factor] += 1;
        assert!(rows.iter().all(|&row| table.levels(row)[factor] == table.levels(rows[0])[factor]));
    }
    assert!(seen.iter().all(|&count| count > 70), "{seen:?}");
    let tied = [Vote { factor: 2, dimension: 0 }, Vote { factor: 1, dimension: 0 }];
    assert_eq!(majority(&mut tied.into_iter(), 2, 3), [1, 0]);
}
