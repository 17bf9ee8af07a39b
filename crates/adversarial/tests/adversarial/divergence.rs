//! The table of f-divergences: its functions against definitions of their own.

use crate::support::{from, numbers};
use elbo_adversarial::FDivergence;
use elbo_adversarial::divergence::Order;
use elbo_native::testing::single_thread;
use serde_json::json;
use tch::{Kind, Tensor};

pub(crate) fn alpha(value: f64) -> FDivergence {
    FDivergence::Alpha(Order::new(value).expect("an order"))
}

/// Every word, and the α-family on each side of its two limits.
pub(crate) fn rows() -> Vec<FDivergence> {
    FDivergence::NAMED.into_iter().chain([-0.5, 0.3, 1.5].map(alpha)).collect()
}

/// f as docs/mathematics.md §6 writes it, in t.
pub(crate) fn published(row: FDivergence, t: f64) -> f64 {
    match row {
        FDivergence::Kl => {
            if t > 0.0 {
                t * t.ln()
            } else {
                0.0
            }
        }
        FDivergence::ReverseKl => -t.ln(),
        FDivergence::TwiceJensenShannon => published(FDivergence::Kl, t) - (t + 1.0) * (0.5 * (t + 1.0)).ln(),
        FDivergence::Pearson => (t - 1.0).powi(2),
        FDivergence::Neyman => (t - 1.0).powi(2) / t,
        FDivergence::TwiceSquaredHellinger => (t.sqrt() - 1.0).powi(2),
        FDivergence::TotalVariation => 0.5 * (t - 1.0).abs(),
        FDivergence::Alpha(order) => {
            let alpha = order.get();
            (t.powf(alpha) - 1.0 - alpha * (t - 1.0)) / (alpha * (alpha - 1.0))
        }
    }
}

fn at(function: impl Fn(&Tensor) -> Tensor, value: f64) -> f64 {
    numbers(&function(&Tensor::from_slice(&[value])))[0]
}

fn close(got: f64, expected: f64, tolerance: f64) -> bool {
    (got - expected).abs() <= tolerance * (1.0 + expected.abs())
}

const POINTS: [f64; 8] = [-4.0, -1.3, -0.2, -1e-3, 1e-3, 0.4, 1.7, 4.0];

/// The definitions are in t and lose digits near 1: 1e-12 of what cancels is what float64 leaves.
#[test]
fn f_and_its_slope_are_those_of_the_table() {
    single_thread();
    for row in rows() {
        for log_ratio in POINTS {
            let t = log_ratio.exp();
            let (f, expected) = (at(|x| row.f(x), log_ratio), published(row, t));
            assert!(close(f, expected, 1e-12), "{row}: f({t}) = {f}, not {expected}");
            let step = 1e-5 * t;
            let slope = (published(row, t + step) - published(row, t - step)) / (2.0 * step);
            let got = at(|x| row.slope(x), log_ratio);
            // Central differences: the third derivative times step² and rounding over step.
            assert!(close(got, slope, 1e-7), "{row}: f′({t}) = {got}, not {slope}");
            let changed_over = at(|x| row.adjoint().f(&-x), log_ratio);
            assert!(close(changed_over, expected / t, 1e-11), "{row}: f(t)/t = {changed_over}");
        }
        assert!(at(|x| row.f(x), 0.0).abs() < 1e-15, "{row}: f(1) = 0");
    }
}

/// sup over t ≥ 0 of u t − f(t), by golden section on a concave function of one variable.
fn legendre(row: FDivergence, u: f64) -> f64 {
    let value = |t: f64| u * t - published(row, t);
    let (mut low, mut high) = (1e-12, 1e7);
    let golden = 0.5 * (5_f64.sqrt() - 1.0);
    for _ in 0..200 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if value(left) < value(right) {
            low = left;
        } else {
            high = right;
        }
    }
    value(0.5 * (low + high))
}

/// Over the range of f′ and, where f′(0) is finite, below it, where the supremum is at t = 0.
#[test]
fn conjugates_are_legendre_suprema() {
    single_thread();
    for row in rows() {
        for log_ratio in POINTS {
            let u = at(|x| row.slope(x), log_ratio);
            let supremum = legendre(row, u);
            let got = at(|u| row.conjugate(u), u);
            assert!(close(got, supremum, 1e-9), "{row}: f*({u}) = {got}, not {supremum}");
            let direct = at(|x| row.conjugate_of_slope(x), log_ratio);
            assert!(close(direct, supremum, 1e-9), "{row}: f*(f′(e^{log_ratio})) = {direct}, not {supremum}");
        }
    }
    for (row, u) in [(FDivergence::Pearson, -3.0), (FDivergence::TotalVariation, -0.8), (alpha(1.5), -3.0)] {
        let (got, supremum) = (at(|u| row.conjugate(u), u), legendre(row, u));
        assert!(close(got, supremum, 1e-9), "{row}: f*({u}) = {got}, not {supremum}");
    }
}

/// Past the domain u t − f(t) grows without end, and just inside it does not.
#[test]
fn conjugates_are_infinite_outside_their_domain_only() {
    single_thread();
    for row in rows() {
        let domain = row.domain();
        if domain.supremum.is_infinite() {
            assert!(at(|u| row.conjugate(u), 50.0).is_finite(), "{row}");
            continue;
        }
        let (outside, inside) = (domain.supremum + 1e-3, domain.supremum - 1e-3);
        let growth = |t: f64| outside * t - published(row, t);
        assert!(growth(1e9) > 1e4 && growth(1e9) > 5.0 * growth(1e8), "{row}: the supremum is infinite");
        assert_eq!(at(|u| row.conjugate(u), outside), f64::INFINITY, "{row}");
        assert!(at(|u| row.conjugate(u), inside).is_finite(), "{row}");
        assert_eq!(at(|u| row.conjugate(u), domain.supremum).is_finite(), domain.closed, "{row}");
    }
}

/// An output of a network, however large, is a critic in the domain that grows with it, and its conjugate is that of the table.
#[test]
fn outputs_of_a_network_lie_in_the_domain() {
    single_thread();
    for row in rows() {
        let mut before = f64::NEG_INFINITY;
        for v in [-6.0, -2.5, -0.5, 0.0, 0.5, 2.5, 6.0] {
            let u = at(|v| row.output(v), v);
            assert!(u < row.domain().supremum && u > before, "{row}: a({v}) = {u}");
            before = u;
            let (got, expected) = (at(|v| row.conjugate_of_output(v), v), legendre(row, u));
            assert!(close(got, expected, 1e-9), "{row}: f*(a({v})) = {got}, not {expected}");
        }
        let far = Tensor::from_slice(&[-80.0_f32, 80.0]);
        for side in [row.output(&far), row.conjugate_of_output(&far)] {
            let grows = matches!(row, FDivergence::Kl | FDivergence::Pearson | FDivergence::Alpha(_));
            assert!(grows || numbers(&side).iter().all(|value| value.is_finite()), "{row}: {side:?}");
        }
    }
}

/// In float32 nothing that is finite in float64, and within its range, becomes infinite or NaN; and it keeps its digits.
#[test]
fn single_precision_is_enough_at_log_ratios_of_eighty() {
    single_thread();
    let log_ratios: Vec<f64> = vec![-80.0, -40.0, -17.0, -3.0, -1e-4, 0.0, 1e-4, 3.0, 17.0, 40.0, 80.0];
    let double = Tensor::from_slice(&log_ratios);
    let single = double.to_kind(Kind::Float);
    let range = f64::from(f32::MAX);
    for row in rows() {
        type Function<'a> = &'a dyn Fn(&Tensor) -> Tensor;
        let functions: [(&str, Function<'_>); 3] = [
            ("f", &|x| row.f(x)),
            ("slope", &|x| row.slope(x)),
            ("conjugate of the slope", &|x| row.conjugate_of_slope(x)),
        ];
        for (name, function) in functions {
            let pairs = numbers(&function(&single)).into_iter().zip(numbers(&function(&double)));
            for ((got, expected), log_ratio) in pairs.zip(&log_ratios) {
                if expected.abs() < 0.1 * range {
                    // The rounding of T = 80 alone is 4e-6, and an exponential multiplies it by up to 1.5.
                    assert!(close(got, expected, 2e-5), "{row}: {name} at {log_ratio} is {got}, not {expected}");
                }
            }
        }
    }
}

#[test]
fn a_configuration_names_a_row_or_an_order() {
    for row in rows() {
        let text = serde_json::to_value(row).expect("JSON");
        assert_eq!(from::<FDivergence>(text), row);
    }
    assert_eq!(from::<FDivergence>(json!({ "alpha": 0.3 })), alpha(0.3));
    for wrong in [
        json!("jensen"),
        json!({ "alpha": 1.0 }),
        json!({ "alpha": 0.001 }),
        json!({ "alpha": 2, "beta": 1 }),
        json!(2),
    ] {
        let error = serde_json::from_value::<FDivergence>(wrong).expect_err("refused").to_string();
        assert!(error.starts_with("expected one of kl, reverse-kl, "), "{error}");
    }
}
