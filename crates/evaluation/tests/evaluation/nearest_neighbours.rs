//! Nearest-neighbour estimates against closed forms of Gaussians, and what must not change them.

use elbo_evaluation::exact::Estimate;
use elbo_evaluation::nearest_neighbours::{Unusable, entropy, kl, kl_to_density};
use elbo_native::Generator;
use elbo_native::testing::single_thread;
use std::f64::consts::{E, TAU};
use tch::{Device, Kind, Tensor};

const K: usize = 5;

fn noise(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator")
}

/// `[n, D]` of N(mean, scale²), the same in every coordinate.
fn normal(noise: &Generator, size: [i64; 2], mean: f64, scale: f64) -> Tensor {
    noise.normal(&size, Kind::Double) * scale + mean
}

/// Within four standard errors, and `bias` beside: what is known of the estimator at this n, k and D.
fn assert_near(found: Estimate, truth: f64, bias: f64) {
    let Estimate { value, standard_error } = found;
    assert!(standard_error > 0.0, "{found:?}");
    assert!((value - truth).abs() < 4.0 * standard_error + bias, "{value} ± {standard_error}, truth {truth}");
}

/// The entropy of N(m, s² I) is D/2 log(2πe s²). In one and two dimensions the bias at 4000 samples is below the error; in ten the ball of
/// the fifth neighbour reaches over more than one standard deviation, and the figure is off by up to 0.1 nats.
#[test]
fn entropy_of_a_gaussian_is_the_closed_form() {
    single_thread();
    for (dimensions, scale, bias) in [(1_i64, 3.0, 0.0), (2, 0.1, 0.0), (5, 1.0, 0.04), (10, 0.5, 0.12)] {
        let samples = normal(&noise(dimensions as u64), [4000, dimensions], 2.0, scale);
        let truth = dimensions as f64 / 2.0 * (TAU * E * scale * scale).ln();
        let found = entropy(&samples, K).expect("usable");
        assert_near(found, truth, bias);
        assert!(found.standard_error < 0.1, "{found:?}");
    }
}

/// KL(N(m, s² I) ‖ N(0, I)) = D/2 (m² + s² − 1 − log s²). Two samples read it too low in many dimensions, never by more than a fifth here.
#[test]
fn divergence_of_two_gaussians_is_the_closed_form() {
    single_thread();
    for (dimensions, mean, scale, bias) in [(1_i64, 1.0, 1.0, 0.0), (2, 0.5, 0.7, 0.0), (5, 0.4, 0.8, 0.2)] {
        let random = noise(10 + dimensions as u64);
        let p = normal(&random, [4000, dimensions], mean, scale);
        let q = normal(&random, [3000, dimensions], 0.0, 1.0);
        let truth = dimensions as f64 / 2.0 * (mean * mean + scale * scale - 1.0 - 2.0 * f64::ln(scale));
        assert_near(kl(&p, &q, K).expect("usable"), truth, bias * truth);
        let log_density = (p.square() + TAU.ln()).sum_dim_intlist(-1, false, None) * -0.5;
        assert_near(
            kl_to_density(&p, &log_density, K).expect("usable"),
            truth,
            if dimensions > 2 { 0.04 } else { 0.0 },
        );
    }
}

/// Two samples of one distribution: 0, in ten dimensions too, where the biases of the two distances cancel.
#[test]
fn divergence_of_a_distribution_from_itself_is_zero() {
    single_thread();
    for dimensions in [2, 10] {
        let random = noise(3);
        let [p, q] = [0, 1].map(|_| normal(&random, [3000, dimensions], 0.0, 1.0));
        assert_near(kl(&p, &q, K).expect("usable"), 0.0, 0.0);
    }
}

/// Distances are multiplied by a under x → a R x + b with R a rotation: the entropy gains D log a, the divergence nothing. But for
/// rounding.
#[test]
fn similarities_change_what_they_should() {
    single_thread();
    let random = noise(4);
    let (p, q) = (normal(&random, [400, 3], 0.3, 0.8), normal(&random, [500, 3], 0.0, 1.0));
    let (cos, sin) = (0.6, 0.8);
    let rotation = Tensor::from_slice(&[cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0]).view([3, 3]);
    let moved = |x: &Tensor| x.matmul(&rotation) * 7.0 - 2.0;
    let gain = entropy(&moved(&p), 3).expect("usable").value - entropy(&p, 3).expect("usable").value;
    assert!((gain - 3.0 * 7.0_f64.ln()).abs() < 1e-9, "{gain}");
    let [before, after] = [kl(&p, &q, 3), kl(&moved(&p), &moved(&q), 3)].map(|found| found.expect("usable").value);
    assert!((before - after).abs() < 1e-9, "{before} {after}");
}

/// Forty sets of samples: the spread of their estimates is what their error bars say, within what forty can tell (a standard deviation from
/// forty values is off by a ninth, one from sixteen parts by a sixth).
#[test]
fn error_bars_are_the_spread_of_repetitions() {
    single_thread();
    let found: Vec<[Estimate; 2]> = (0..40)
        .map(|seed| {
            let random = noise(100 + seed);
            let (p, q) = (normal(&random, [640, 2], 0.5, 0.7), normal(&random, [640, 2], 0.0, 1.0));
            [entropy(&p, K).expect("usable"), kl(&p, &q, K).expect("usable")]
        })
        .collect();
    for which in [0, 1] {
        let values: Vec<f64> = found.iter().map(|pair| pair[which].value).collect();
        let spread = Estimate::of(&values).standard_error * 40.0_f64.sqrt();
        let claimed = found.iter().map(|pair| pair[which].standard_error).sum::<f64>() / 40.0;
        assert!((0.6..1.6).contains(&(claimed / spread)), "claimed {claimed}, spread {spread}");
    }
}

/// Each of 800 rows six times: the fifth neighbour of every row is at distance 0. Five times: none is.
#[test]
fn repeated_samples_are_refused() {
    single_thread();
    let samples = normal(&noise(5), [800, 2], 0.0, 1.0);
    let error = entropy(&samples.repeat([6, 1]), 5).expect_err("repeated");
    assert_eq!(error, Unusable::Repeated { row: 0, k: 5, count: 4800 });
    assert!(error.to_string().starts_with("row 0 has 5 or more neighbours at distance 0"), "{error}");
    // In the whole: its sixteen parts of consecutive rows hold fewer copies.
    assert!(entropy(&samples.repeat([5, 1]), 5).is_ok());
}

#[test]
fn samples_that_are_not_finite_are_refused() {
    single_thread();
    let fine = normal(&noise(7), [200, 2], 0.0, 1.0);
    let broken = fine.copy();
    let _ = broken.get(17).get(1).fill_(f64::NAN);
    assert_eq!(entropy(&broken, K), Err(Unusable::NotFinite { of: "p", row: 17 }));
    assert_eq!(kl(&fine, &broken, K), Err(Unusable::NotFinite { of: "q", row: 17 }));
}

#[test]
#[should_panic(expected = "96 samples of p at least are needed for k = 5, got 95")]
fn too_few_samples_are_a_mistake() {
    single_thread();
    let _ = entropy(&normal(&noise(8), [95, 2], 0.0, 1.0), K);
}
