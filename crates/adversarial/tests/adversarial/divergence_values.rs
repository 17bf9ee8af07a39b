//! Values with the true log ratio, against the oracle's.

use crate::divergence::{alpha, rows};
use crate::oracle::{Case, cases, log_normal};
use crate::support::{generator, numbers};
use elbo_adversarial::FDivergence;
use elbo_adversarial::divergence::{HeldOut, Tail};
use elbo_adversarial::ratio::{donsker_varadhan_bound, logistic_cost, nwj_bound};
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

/// Nodes of the trapezium rule on ±45, and their weights under P and under Q: exact to rounding for Gaussians, but for the tail where P
/// leaves the range of float64. Q²/P of the second pair, the Neyman χ², has its peak at −12.5 and a deviation of 3.3, and P reaches as far
/// as −29.7.
struct Quadrature {
    log_ratio: Tensor,
    weights: [Tensor; 2],
}

impl Quadrature {
    fn of(case: &Case) -> Self {
        const NODES: i64 = 40_001;
        let width = 45.0;
        let x = Tensor::linspace(-width, width, NODES, (Kind::Double, Device::Cpu));
        let spacing = 2.0 * width / (NODES - 1) as f64;
        let weights = [case.p, case.q].map(|normal| log_normal(&x, normal).exp() * spacing);
        Self { log_ratio: case.log_ratio(&x), weights }
    }

    /// The mean under P (0) or Q (1); a node that has no weight counts nothing, however large the value there.
    fn expectation(&self, side: usize, value: &Tensor) -> f64 {
        let weight = &self.weights[side];
        let product = (weight * value).where_self(&weight.gt(1e-307), &weight.zeros_like());
        product.sum(None).double_value(&[])
    }
}

/// At the oracle's points, its log ratio and its optimal critics, which are f′(P/Q).
#[test]
fn optimal_critics_are_the_oracles() {
    single_thread();
    let mut compared = 0;
    for case in cases() {
        let log_ratio = case.log_ratio(&Tensor::from_slice(&case.critics.x));
        for (got, expected) in numbers(&log_ratio).iter().zip(&case.critics.log_ratio) {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
        for row in rows() {
            let Some(slopes) = case.critics.slopes(row) else { continue };
            for (got, expected) in numbers(&row.slope(&log_ratio)).iter().zip(slopes) {
                assert!((got - expected).abs() < 1e-11 * (1.0 + expected.abs()), "{row}: {got} is not {expected}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 75);
}

/// Both plug-in forms and the bound at the true log ratio are the divergence. The oracle's own quadrature is good to 1e-8; where it is
/// infinite nothing is compared.
#[test]
fn values_at_the_true_ratio_are_the_oracles() {
    single_thread();
    let mut compared = 0;
    for case in cases() {
        let grid = Quadrature::of(&case);
        let log_ratio = &grid.log_ratio;
        for row in FDivergence::NAMED {
            let expected = case.value(row);
            if expected.is_infinite() {
                continue;
            }
            let values = [
                grid.expectation(1, &row.f(log_ratio)),
                grid.expectation(0, &row.adjoint().f(&-log_ratio)),
                grid.expectation(0, &row.slope(log_ratio)) - grid.expectation(1, &row.conjugate_of_slope(log_ratio)),
            ];
            for (form, value) in ["plug-in under Q", "plug-in under P", "bound"].iter().zip(values) {
                let tolerance = match row {
                    // A kink between two nodes, where the rule is of second order.
                    FDivergence::TotalVariation => 1e-5,
                    // 5.2 deviations of the peak are all there is of it.
                    FDivergence::Neyman => 1e-6,
                    _ => 1e-7,
                };
                let right = (value - expected).abs() < tolerance * (1.0 + expected);
                assert!(right, "{row} of {:?} and {:?}, {form}: {value}, not {expected}", case.p, case.q);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 60);
}

/// The α-family at its own closed form: for equal deviations, ∫ P^α Q^(1−α) = exp(−α (1 − α) m²/2), m the distance of the means.
#[test]
fn the_alpha_family_has_its_closed_form() {
    single_thread();
    let case = &cases()[0];
    let grid = Quadrature::of(case);
    for order in [-0.5, 0.3, 1.5] {
        let row = alpha(order);
        let expected = ((-order * (1.0 - order) * 0.5_f64).exp() - 1.0) / (order * (order - 1.0));
        let value = grid.expectation(1, &row.f(&grid.log_ratio));
        assert!((value - expected).abs() < 1e-9, "{row}: {value}, not {expected}");
    }
}

/// For a log ratio that is wrong no bound is above the divergence, in expectation: f-divergences, NWJ and Donsker–Varadhan; and the last is
/// above NWJ.
#[test]
fn bounds_hold_for_a_wrong_ratio() {
    single_thread();
    for case in &cases()[..2] {
        let grid = Quadrature::of(case);
        let wrong = &grid.log_ratio * 0.6 + 0.2;
        for row in FDivergence::NAMED {
            let bound = grid.expectation(0, &row.slope(&wrong)) - grid.expectation(1, &row.conjugate_of_slope(&wrong));
            // The kink again: where the wrong sign agrees with the right one the two are equal.
            assert!(bound < case.value(row) - 1e-4, "{row}: {bound} is not below {}", case.value(row));
            let output =
                grid.expectation(0, &row.output(&wrong)) - grid.expectation(1, &row.conjugate_of_output(&wrong));
            assert!(output < case.value(row), "{row}: {output} from an output is not below {}", case.value(row));
        }
        let (on_p, on_q) = (grid.expectation(0, &wrong), grid.expectation(1, &wrong.exp()));
        let (nwj, donsker_varadhan) = (on_p - on_q + 1.0, on_p - on_q.ln());
        let kl = case.value(FDivergence::Kl);
        assert!(nwj < donsker_varadhan && donsker_varadhan < kl, "{nwj} {donsker_varadhan} {kl}");
    }
}

/// T and samples of both sides, on the host's generator.
fn samples(case: &Case, count: i64, seed: u64) -> [Tensor; 2] {
    let noise = generator(seed);
    [case.p, case.q].map(|[mean, deviation]| case.log_ratio(&(noise.normal(&[count], Kind::Double) * deviation + mean)))
}

/// On samples with the true ratio both classical bounds are the KL, within four standard errors of the means they are made of.
#[test]
fn nwj_and_donsker_varadhan_are_tight_at_the_true_ratio() {
    single_thread();
    for (case, seed) in cases()[..2].iter().zip(11..) {
        let count = 200_000;
        let [on_p, on_q] = samples(case, count, seed);
        let kl = case.value(FDivergence::Kl);
        let error = ((on_p.var(true) + on_q.exp().var(true)) / count as f64).sqrt().double_value(&[]);
        assert!(error < 0.01, "{error}");
        for bound in [nwj_bound(&on_p, &on_q), donsker_varadhan_bound(&on_p, &on_q)] {
            let bound = bound.double_value(&[]);
            assert!((bound - kl).abs() < 4.0 * error, "{bound} ± {error} is not {kl}");
        }
    }
}

/// Three identities that hold sample by sample: the bound for KL is NWJ's, that for 2·JS is 2 log 2 minus the classifier's cost, and
/// Donsker–Varadhan's is NWJ's where T is shifted so that its exponential has mean 1.
#[test]
fn bounds_are_each_other_where_they_should_be() {
    single_thread();
    let [on_p, on_q] = samples(&cases()[1], 1000, 5).map(|log_ratio| log_ratio * 0.7 + 0.1);
    let value = |tensor: Tensor| tensor.double_value(&[]);
    let kl = value(FDivergence::Kl.bound(&on_p, &on_q));
    assert!((kl - value(nwj_bound(&on_p, &on_q))).abs() < 1e-12);
    let js = value(FDivergence::TwiceJensenShannon.bound(&on_p, &on_q));
    // libtorch's softplus drops e^−x above x = 20.
    assert!((js - (2.0 * 2_f64.ln() - value(logistic_cost(&on_p, &on_q)))).abs() < 1e-8);
    let shift = on_q.logsumexp(0, false) - 1000_f64.ln();
    let shifted = value(nwj_bound(&(&on_p - &shift), &(&on_q - &shift)));
    assert!((value(donsker_varadhan_bound(&on_p, &on_q)) - shifted).abs() < 1e-12);
}

/// Where samples can carry a value it is within five standard errors of the truth and called reliable; where they cannot it is called
/// unreliable.
///
/// With the true ratio: the second pair's Neyman χ² is 2411 and its terms have no variance. The third pair's P is narrow, so that means of
/// 1/t over P are means of exp(0.47 ε²), without variance: the reverse KL's bound, and every plug-in over P but that of the KL. (Unread,
/// 2·JS over P is 0.354 ± 0.029 for a true 0.507.) Its Neyman χ² is infinite. The first pair's χ² are means of a lognormal weight with
/// deviation 2, whose tail index among 2e5 is about 0.7, at the limit: nothing is asked of them.
#[test]
fn heavy_tails_are_called_unreliable() {
    use FDivergence::{Kl, Neyman, Pearson, ReverseKl, TotalVariation, TwiceJensenShannon, TwiceSquaredHellinger};
    /// Which forms are reliable: over Q, over P, the bound.
    const ALL: [bool; 3] = [true; 3];
    const NONE: [bool; 3] = [false; 3];
    const NOT_OVER_P: [bool; 3] = [true, false, true];
    single_thread();
    let bounded = |forms| [TwiceJensenShannon, TwiceSquaredHellinger, TotalVariation].map(|row| (row, forms)).to_vec();
    let expected = [
        [bounded(ALL), vec![(Kl, ALL), (ReverseKl, ALL)]].concat(),
        [bounded(ALL), vec![(Kl, ALL), (ReverseKl, ALL), (Pearson, ALL), (Neyman, NONE)]].concat(),
        [bounded(NOT_OVER_P), vec![(Kl, ALL), (Pearson, NOT_OVER_P), (ReverseKl, NONE), (Neyman, NONE)]].concat(),
    ];
    for ((case, rows), seed) in cases().iter().zip(expected).zip(21..) {
        let [on_p, on_q] = samples(case, 200_000, seed);
        let held_out = HeldOut::new(&on_p, &on_q);
        for (row, forms) in rows {
            let estimates = [held_out.plug_in(row), held_out.plug_in_on_numerator(row), held_out.bound(row)];
            for (estimate, reliable) in estimates.iter().zip(forms) {
                let told =
                    format!("{row} of {:?} and {:?}: {estimate:?}, and truly {}", case.p, case.q, case.value(row));
                assert_eq!(estimate.tail.reliable, reliable, "{told}");
                let distance = (estimate.value - case.value(row)).abs() / estimate.standard_error;
                assert!(!reliable || distance < 5.0, "{told}");
            }
        }
    }
}

/// Equal weights are worth their number; one weight among many is worth one; and a Pareto tail P(w > y) = y^(−1/k) has Hill's index k,
/// within four of its standard errors k/√M, M = 3 √n.
#[test]
fn tails_of_known_weights_are_read() {
    single_thread();
    let equal = Tail::of(&Tensor::zeros([1000], (Kind::Double, Device::Cpu)));
    assert!((equal.effective_sample_size - 1000.0).abs() < 1e-6 && equal.reliable, "{equal:?}");
    let mut logarithms = vec![0.0; 1000];
    logarithms[3] = 30.0;
    let single = Tail::of(&Tensor::from_slice(&logarithms));
    assert!((single.effective_sample_size - 1.0).abs() < 1e-6 && !single.reliable, "{single:?}");
    for (k, reliable) in [(0.3, true), (0.9, false)] {
        let count = 100_000;
        let pareto = -generator(31).uniform(&[count], Kind::Double).log() * k;
        let tail = Tail::of(&pareto);
        let error = k / (3.0 * (count as f64).sqrt()).sqrt();
        assert!((tail.index - k).abs() < 4.0 * error && tail.reliable == reliable, "{tail:?}");
    }
    let few = Tail::of(&Tensor::zeros([10], (Kind::Double, Device::Cpu)));
    assert!(!few.reliable, "ten samples say nothing of a tail: {few:?}");
}
