use crate::{on_one_and_three_threads, rows};
use elbo_evaluation::learners::boosting::{BoostedTrees, Boosting};
use elbo_evaluation::learners::tree::{Columns, Split};

fn stump(x: &[f64], labels: &[usize]) -> BoostedTrees {
    let settings = Boosting { stages: 1, depth: 1, ..Boosting::default() };
    BoostedTrees::fit(&Columns::new(x, 1), labels, None, &settings, 0)
}

fn assert_near(values: &[f64], expected: &[f64]) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 1e-12, "{values:?} for {expected:?}");
    }
}

/// Log-odds 0 at first, residuals ±1/2, curvature 1/4 a row: leaves of ∓1 / (1/2) = ∓2, a tenth of which is added.
#[test]
fn a_stump_between_two_classes_is_that_of_the_hand_computation() {
    let model = stump(&[0.0, 1.0, 2.0, 3.0], &[4, 4, 7, 7]);
    assert_eq!(model.trees(0)[0].split(0), Some(Split { feature: 0, threshold: 1.5 }));
    assert_near(&model.decision(&[1.0]), &[-0.2]);
    assert_near(&model.decision(&[2.0]), &[0.2]);
    assert_eq!((model.predict(&[1.4]), model.predict(&[1.6])), (4, 7));
    assert_eq!(model.importances(), [1.0]);
}

/// Frequencies 1/4 and 3/4: log-odds ln 3; residuals −3/4 and 1/4, curvature 3/16 a row: leaves −4 and (3/4) / (9/16) = 4/3.
#[test]
fn the_start_is_the_log_odds_of_the_frequencies() {
    let model = stump(&[0.0, 1.0, 2.0, 3.0], &[0, 1, 1, 1]);
    assert_near(&model.decision(&[0.0]), &[3_f64.ln() - 0.4]);
    assert_near(&model.decision(&[3.0]), &[3_f64.ln() + 0.4 / 3.0]);
}

/// One row of each of three classes: p = 1/3, residuals 2/3 and −1/3, curvature 2/9 a row, all leaves times (K − 1)/K = 2/3.
/// The class in the middle has two splits of equal gain, of which the lower wins.
#[test]
fn stumps_of_three_classes_are_those_of_the_hand_computation() {
    let model = stump(&[0.0, 1.0, 2.0], &[0, 1, 2]);
    let thresholds: Vec<f64> = (0..3).map(|k| model.trees(k)[0].split(0).expect("a split").threshold).collect();
    assert_eq!(thresholds, [0.5, 0.5, 1.5]);
    let start = (1.0_f64 / 3.0).ln();
    assert_near(&model.decision(&[0.0]), &[start + 0.2, start - 0.1, start - 0.1]);
    assert_near(&model.decision(&[1.0]), &[start - 0.1, start + 0.05, start - 0.1]);
    assert_near(&model.decision(&[2.0]), &[start - 0.1, start + 0.05, start + 0.2]);
}

/// Boosted stumps on two features of 0 and 1, written out: for each stage the residuals, by how much either feature lowers their squared
/// error, and the Newton step of the better one. The first feature explains most at first, the second what is left, so that both come in,
/// in trees that explain much and trees that explain little.
#[test]
fn importances_are_shares_of_the_squared_error_that_is_explained() {
    // Features, label, and how many rows.
    let counted = [([0, 0], 0, 7), ([0, 1], 0, 4), ([0, 1], 1, 3), ([1, 0], 1, 5), ([1, 1], 1, 8), ([1, 0], 0, 2)];
    let rows: Vec<([usize; 2], usize)> =
        counted.iter().flat_map(|&(x, label, count)| std::iter::repeat_n((x, label), count)).collect();
    let (mut raw, mut explained) = (vec![(16.0_f64 / 13.0).ln(); rows.len()], [0.0; 2]);
    for _ in 0..40 {
        let p: Vec<f64> = raw.iter().map(|raw| 1.0 / (1.0 + (-raw).exp())).collect();
        let side = |feature: usize, value: usize| {
            let on = (0..rows.len()).filter(|&row| rows[row].0[feature] == value);
            on.fold((0.0, 0.0, 0.0), |(n, r, c), row| {
                (n + 1.0, r + rows[row].1 as f64 - p[row], c + p[row] * (1.0 - p[row]))
            })
        };
        let gain = |feature: usize| {
            let ((n, r, _), (m, s, _)) = (side(feature, 0), side(feature, 1));
            n * m / (n + m) * (r / n - s / m).powi(2)
        };
        let best = usize::from(gain(1) > gain(0));
        explained[best] += gain(best);
        let steps = [0, 1].map(|value| side(best, value).1 / side(best, value).2);
        raw = raw.iter().zip(&rows).map(|(raw, row)| raw + 0.1 * steps[row.0[best]]).collect();
    }
    let settings = Boosting { stages: 40, depth: 1, ..Boosting::default() };
    let fit = |x: Vec<[usize; 2]>, labels: Vec<usize>, weights: Option<&[u32]>| {
        let x: Vec<f64> = x.as_flattened().iter().map(|&value| value as f64).collect();
        BoostedTrees::fit(&Columns::new(&x, 2), &labels, weights, &settings, 0)
    };
    let share = explained[0] / (explained[0] + explained[1]);
    assert!(share > 0.6 && share < 0.99, "both features must come in, got {share}");
    // One row each, and once for all rows alike with their number for a weight.
    let (x, labels) = rows.iter().copied().unzip();
    let (distinct, theirs) = counted.iter().map(|&(x, label, _)| (x, label)).unzip();
    let weights = counted.map(|(_, _, count)| count as u32);
    for model in [fit(x, labels, None), fit(distinct, theirs, Some(&weights))] {
        assert_near(model.importances(), &[share, 1.0 - share]);
        for (&(x, _), raw) in rows.iter().zip(&raw) {
            assert_near(&model.decision(&x.map(|value| value as f64)), &[*raw]);
        }
    }
}

/// Two features that say the same are drawn for by lot, at each level of each tree.
#[test]
fn equal_features_share_the_importance() {
    let (features, labels) = rows(200, 3, 5);
    let twice: Vec<f64> = features.chunks(3).flat_map(|x| [x[0], x[1], x[0]]).collect();
    let model = BoostedTrees::fit(&Columns::new(&twice, 3), &labels, None, &Boosting::default(), 1);
    let [first, _, second] = model.importances() else { panic!("three features") };
    // 300 trees of three levels, weighted by what they explain: the lots even out to a tenth or so.
    assert!((first - second).abs() < 0.2 * (first + second), "{first} and {second}");
}

#[test]
fn the_fit_depends_on_the_seed_and_not_on_the_number_of_threads() {
    let (features, labels) = rows(200, 3, 6);
    let columns = Columns::new(&features, 3);
    let fit = |seed| BoostedTrees::fit(&columns, &labels, None, &Boosting::default(), seed);
    let [one, three] = on_one_and_three_threads(|| fit(1));
    assert_eq!(one, three);
    assert_ne!(one, fit(2));
}

/// Trees of depth 3 that separate the classes drive the probability of the right one to 1.
#[test]
fn separate_classes_are_learned() {
    let x: Vec<f64> = (0..60).map(f64::from).collect();
    let labels: Vec<usize> = (0..60).map(|row| row / 10).collect();
    let model = BoostedTrees::fit(&Columns::new(&x, 1), &labels, None, &Boosting::default(), 0);
    assert!((0..60).all(|row| model.predict(&[x[row]]) == labels[row]));
}

#[test]
fn one_label_is_certain_and_constant_features_explain_nothing() {
    let model = BoostedTrees::fit(&Columns::new(&[0.0, 1.0], 1), &[3, 3], None, &Boosting::default(), 0);
    assert_eq!((model.predict(&[9.0]), model.importances()), (3, &[0.0][..]));
    let model = BoostedTrees::fit(&Columns::new(&[1.0; 6], 1), &[0, 1, 2, 2, 1, 2], None, &Boosting::default(), 0);
    assert_eq!((model.predict(&[1.0]), model.importances()), (2, &[0.0][..]));
}
