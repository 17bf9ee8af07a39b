use crate::rows;
use elbo_evaluation::learners::linear_svm::{LinearSvm, Plane};

/// `1/2 (w² + b²) + Σ c_i max(0, 1 − y_i (w x_i + b))²`.
fn objective(plane: Plane, x: &[f64], signs: &[f64], costs: &[f64]) -> f64 {
    let loss = |((x, sign), cost): ((&f64, &f64), &f64)| cost * (1.0 - sign * plane.at(*x)).max(0.0).powi(2);
    0.5 * (plane.weight.powi(2) + plane.bias.powi(2)) + x.iter().zip(signs).zip(costs).map(loss).sum::<f64>()
}

/// The objective is convex and has a gradient everywhere, so that a point where all central differences vanish is its minimum. Their
/// error is of the order of step² times kinks in the second derivative, here below 1e-6; at w = b = 0 they are above 1e-2.
fn assert_minimal(plane: Plane, x: &[f64], signs: &[f64], costs: &[f64]) {
    let step = 1e-6;
    let moved =
        |dw: f64, db: f64| objective(Plane { weight: plane.weight + dw, bias: plane.bias + db }, x, signs, costs);
    let slopes = [moved(step, 0.0) - moved(-step, 0.0), moved(0.0, step) - moved(0.0, -step)];
    for slope in slopes.map(|difference| difference / (2.0 * step)) {
        assert!(slope.abs() < 1e-6, "slope {slope} at {plane:?}");
    }
}

/// One row at −1 and one at 1: by symmetry b = 0, and w minimises w²/2 + 2 C (1 − w)².
#[test]
fn two_rows_have_the_plane_of_the_closed_form() {
    let machine = LinearSvm::fit(&[-1.0, 1.0], &[3, 8], 0.01);
    let [plane] = machine.planes() else { panic!("one plane for two labels") };
    assert!((plane.weight - 0.04 / 1.04).abs() < 1e-15 && plane.bias.abs() < 1e-15, "{plane:?}");
    assert_eq!((machine.predict(-0.1), machine.predict(0.1)), (3, 8));
}

/// For two labels each row has the weight `n / (2 n_label)` of its own.
#[test]
fn the_plane_between_two_labels_minimises_the_balanced_objective() {
    let (features, labels) = rows(200, 2, 1);
    let x: Vec<f64> = features.iter().step_by(3).copied().collect();
    // Fewer of label 1, so that balancing matters.
    let kept: Vec<usize> = (0..200).filter(|&row| labels[row] == 0 || row % 3 == 0).collect();
    let (x, labels): (Vec<f64>, Vec<usize>) = kept.iter().map(|&row| (x[row], labels[row])).unzip();
    for cost in [0.01, 1.0] {
        let machine = LinearSvm::fit(&x, &labels, cost);
        let count = |label| labels.iter().filter(|&&other| other == label).count() as f64;
        let signs: Vec<f64> = labels.iter().map(|&label| if label == 1 { 1.0 } else { -1.0 }).collect();
        let costs: Vec<f64> = labels.iter().map(|&label| cost * x.len() as f64 / (2.0 * count(label))).collect();
        assert_minimal(machine.planes()[0], &x, &signs, &costs);
    }
}

/// For more, rows of the label have `n / (labels · n_label)`, and the rest 1, as liblinear has it.
#[test]
fn the_plane_of_each_of_several_labels_minimises_its_objective() {
    let (features, labels) = rows(300, 4, 2);
    let x: Vec<f64> = features.iter().step_by(3).copied().collect();
    for cost in [0.01, 1.0] {
        let machine = LinearSvm::fit(&x, &labels, cost);
        assert_eq!(machine.planes().len(), 4);
        for (label, plane) in machine.planes().iter().enumerate() {
            let count = labels.iter().filter(|&&other| other == label).count() as f64;
            let signs: Vec<f64> = labels.iter().map(|&other| if other == label { 1.0 } else { -1.0 }).collect();
            let own = cost * 300.0 / (4.0 * count);
            let costs: Vec<f64> = signs.iter().map(|&sign| if sign > 0.0 { own } else { cost }).collect();
            assert_minimal(*plane, &x, &signs, &costs);
        }
    }
}

#[test]
fn one_label_is_certain_and_a_constant_feature_is_no_obstacle() {
    assert_eq!(LinearSvm::fit(&[0.5, 0.7], &[4, 4], 0.01).predict(-3.0), 4);
    let machine = LinearSvm::fit(&[2.0; 6], &[0, 1, 2, 0, 1, 0], 0.01);
    assert!(machine.planes().iter().all(|plane| plane.weight.is_finite() && plane.bias.is_finite()));
    assert!(machine.predict(2.0) < 3);
}
