use crate::{on_one_and_three_threads, rows};
use elbo_evaluation::learners::logistic::LogisticRegression;
use serde_json::Value;

/// `1/2 Σ |w_k|² − Σ log softmax(w·x + b)`, for weights `[D, C]` followed by intercepts.
fn objective(parameters: &[f64], features: &[f64], width: usize, labels: &[usize]) -> f64 {
    let classes = parameters.len() / (width + 1);
    let weights = &parameters[..width * classes];
    let mut sum = 0.5 * weights.iter().map(|weight| weight * weight).sum::<f64>();
    for (x, &label) in features.chunks(width).zip(labels) {
        let logit = |k: usize| {
            (0..width).map(|d| x[d] * weights[d * classes + k]).sum::<f64>() + parameters[width * classes + k]
        };
        let largest = (0..classes).map(logit).fold(f64::NEG_INFINITY, f64::max);
        sum += largest + (0..classes).map(|k| (logit(k) - largest).exp()).sum::<f64>().ln() - logit(label);
    }
    sum
}

/// Largest central difference; its own error is some 1e-15 of the objective, a few hundred, over the step: far below 1e-3.
fn largest_slope(at: &[f64], step: f64, objective: impl Fn(&[f64]) -> f64) -> f64 {
    let slope = |place: usize| {
        let moved = |by: f64| {
            let mut to = at.to_vec();
            to[place] += by;
            objective(&to)
        };
        (moved(step) - moved(-step)).abs() / (2.0 * step)
    };
    (0..at.len()).map(slope).fold(0.0, f64::max)
}

fn parameters(model: &LogisticRegression) -> Vec<f64> {
    [model.weights(), model.intercepts()].concat()
}

/// The objective is convex: where its gradient vanishes is the minimum. The descent ends when a step promises 1e-10 of it, so that the
/// gradient is some √(1e-10 · 300 · curvature) < 1e-2; at 0 it is 100 times that and more.
#[test]
fn the_gradient_vanishes_for_four_classes() {
    let (features, labels) = rows(300, 4, 1);
    let model = LogisticRegression::fit(&features, 3, &labels);
    let slope = |at: &[f64]| largest_slope(at, 1e-5, |p| objective(p, &features, 3, &labels));
    let (start, end) = (slope(&[0.0; 16]), slope(&parameters(&model)));
    assert!(start > 50.0 && end < 5e-3, "largest slope from {start} to {end}");
}

/// scikit-learn's model for two classes is one vector: 1/2 |w|² + Σ log(1 + exp(−y (w·x + b))), w the difference of the two here.
#[test]
fn two_classes_have_the_penalty_of_one_weight_vector() {
    let (features, labels) = rows(300, 2, 2);
    let model = LogisticRegression::fit(&features, 3, &labels);
    let pairs = parameters(&model);
    let difference: Vec<f64> = pairs.chunks(2).map(|pair| pair[1] - pair[0]).collect();
    let binomial = |p: &[f64]| {
        let loss = |(x, &label): (&[f64], &usize)| {
            let logit = x.iter().zip(p).map(|(x, w)| x * w).sum::<f64>() + p[3];
            (1.0 + (if label == 1 { -logit } else { logit }).exp()).ln()
        };
        0.5 * p[..3].iter().map(|w| w * w).sum::<f64>() + features.chunks(3).zip(&labels).map(loss).sum::<f64>()
    };
    let (start, end) = (largest_slope(&[0.0; 4], 1e-5, binomial), largest_slope(&difference, 1e-5, binomial));
    assert!(start > 20.0 && end < 5e-3, "largest slope from {start} to {end}");
}

/// Features a hundred times as wide as usual, one of them far from 0: the preconditioned descent still gets to the minimum. Slopes are
/// in proportion to the features, and steps of the differences the other way round.
#[test]
fn wide_and_shifted_features_are_no_obstacle() {
    let (features, labels) = rows(300, 4, 3);
    let wide: Vec<f64> =
        features.iter().enumerate().map(|(at, x)| 100.0 * x + if at % 3 == 1 { 5000.0 } else { 0.0 }).collect();
    let model = LogisticRegression::fit(&wide, 3, &labels);
    let slope = |at: &[f64]| largest_slope(at, 1e-8, |p| objective(p, &wide, 3, &labels));
    let (start, end) = (slope(&[0.0; 16]), slope(&parameters(&model)));
    assert!(end < 1e-5 * start, "largest slope from {start} to {end}");
}

/// Without anything to go by, the intercepts alone fit the frequencies, and no weight pays for itself.
#[test]
fn constant_features_leave_the_frequencies() {
    let labels = [2, 2, 2, 5, 5, 9];
    let model = LogisticRegression::fit(&[0.7; 12], 2, &labels);
    assert_eq!(model.labels(), [2, 5, 9]);
    // Probabilities to the square root of the descent's tolerance.
    for (p, frequency) in model.probabilities(&[0.7, 0.7]).iter().zip([3.0 / 6.0, 2.0 / 6.0, 1.0 / 6.0]) {
        assert!((p - frequency).abs() < 1e-5, "{p} for {frequency}");
    }
    assert!(model.weights().iter().all(|weight| weight.abs() < 1e-4));
    assert_eq!(model.predict(&[0.7, 0.7]), 2);
}

#[test]
fn one_class_is_certain() {
    let model = LogisticRegression::fit(&[0.1, 0.2, 0.3], 1, &[6, 6, 6]);
    assert_eq!((model.probabilities(&[5.0]), model.predict(&[5.0])), (vec![1.0], 6));
}

#[test]
fn the_fit_does_not_depend_on_the_number_of_threads() {
    let (features, labels) = rows(2000, 3, 4);
    let [one, three] = on_one_and_three_threads(|| LogisticRegression::fit(&features, 3, &labels));
    assert_eq!(one, three);
}

/// scikit-learn's LogisticRegression(C=1) stops where the gradient of the mean loss is below 1e-4: at its coefficients the gradient of
/// the sum over 60 rows is below 6e-3, which shows that its objective is this one, and the minimum is no further from them than
/// √(2 (difference of the objectives)), because the penalty's curvature is 1.
#[test]
fn the_minimum_is_where_scikit_learn_was_heading() {
    let all: Value = serde_json::from_str(include_str!("../metrics.json")).expect("figures");
    let case = &all["case"]["beta_vae_score"];
    let matrix = |value: &Value| -> Vec<Vec<f64>> { serde_json::from_value(value.clone()).expect("a matrix") };
    let features = matrix(&case["features"]);
    let labels: Vec<usize> = serde_json::from_value(case["labels"].clone()).expect("labels");
    let train = features[..60].concat();
    let model = LogisticRegression::fit(&train, 6, &labels[..60]);

    let coefficients = matrix(&case["lr_coef"]);
    let mut theirs: Vec<f64> = (0..6).flat_map(|d| coefficients.iter().map(move |row| row[d])).collect();
    theirs.extend::<Vec<f64>>(serde_json::from_value(case["lr_intercept"].clone()).expect("intercepts"));
    let ours = parameters(&model);
    let objective = |p: &[f64]| objective(p, &train, 6, &labels[..60]);
    assert!(largest_slope(&theirs, 1e-5, objective) < 60.0 * 1e-4);
    assert!(largest_slope(&ours, 1e-5, objective) < 1e-3);
    let lead = objective(&theirs) - objective(&ours);
    let distance = ours[..24].iter().zip(&theirs).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    assert!(lead > 0.0 && lead < 1e-4 && distance <= (2.0 * lead).sqrt(), "lead {lead}, distance {distance}");

    let accuracy = |rows: std::ops::Range<usize>| {
        let count = rows.len() as f64;
        rows.filter(|&row| model.predict(&features[row]) == labels[row]).count() as f64 / count
    };
    assert_eq!(Some(accuracy(0..60)), case["train_accuracy"].as_f64());
    assert_eq!(Some(accuracy(60..80)), case["eval_accuracy"].as_f64());
}
