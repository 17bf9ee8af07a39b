//! `proposition-1`: its encoders are what they say, T* is log q − log p, critics reach it, and the binary tells so.

mod common;

use common::{Bench, binary, refusal};
use elbo_adversarial::Critic;
use elbo_core::{Generator, NamedTensors};
use elbo_experiments::proposition_1::measure::Contrast;
use elbo_experiments::proposition_1::{
    Capacity, CriticName, KnownEncoder, LinearGaussian, Mixture, Problem, Settings, train,
};
use elbo_native::testing::single_thread;
use serde_json::Value;
use std::f64::consts::TAU;
use std::fs;
use tch::{Device, Kind, Tensor};

fn noise(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator")
}

/// log N(z; mean, sigma²), in float64 and by hand.
fn log_normal(z: f64, mean: f64, sigma: f64) -> f64 {
    -0.5 * ((z - mean) / sigma).powi(2) - (sigma * TAU.sqrt()).ln()
}

/// The mixture of the issue in two dimensions: components at a x ± 1.5 σ, a² = 1 − 3.25 σ².
fn log_mixture(x: [f64; 2], z: [f64; 2], sigma: f64) -> f64 {
    let slope = (1.0 - 3.25 * sigma * sigma).sqrt();
    let component =
        |side: f64| (0..2).map(|d| log_normal(z[d], slope * x[d] + side * 1.5 * sigma, sigma)).sum::<f64>().exp() * 0.5;
    (component(1.0) + component(-1.0)).ln()
}

fn matrix(values: &[[f64; 2]]) -> Tensor {
    Tensor::from_slice2(values).to_kind(Kind::Float)
}

const X: [[f64; 2]; 3] = [[0.0, 0.0], [1.2, -0.7], [-2.0, 0.4]];
const Z: [[f64; 2]; 3] = [[0.3, -0.2], [0.9, 0.1], [1.5, -3.0]];

/// Both densities against the formulas written out for two coordinates; float32 has seven digits.
#[test]
fn the_densities_are_those_of_their_formulas() {
    single_thread();
    let (x, z) = (matrix(&X), matrix(&Z));
    let linear = LinearGaussian::new(2, 0.5).log_density(&x, &z);
    let mixture = Mixture::new(2, 0.5).log_density(&x, &z);
    for row in 0..3 {
        let slope = 0.75_f64.sqrt();
        let expected: f64 = (0..2).map(|d| log_normal(Z[row][d], slope * X[row][d], 0.5)).sum();
        let found = linear.double_value(&[row as i64]);
        assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} is not {expected}");
        let expected = log_mixture(X[row], Z[row], 0.5);
        let found = mixture.double_value(&[row as i64]);
        assert!((found - expected).abs() < 1e-5 * (1.0 + expected.abs()), "{found} is not {expected}");
    }
}

/// D = 2, σ = ½: ½(1 − σ² + σ² − 1 − log σ²) a dimension, so 2 log 2 = 1.386; and by quadrature of q(z|x) log q(z|x)/p(z) over z and of
/// that over x, for one dimension.
#[test]
fn the_kl_of_the_default_case_is_two_log_two() {
    let found = LinearGaussian::new(2, 0.5).kl_to_prior();
    assert!((found - 2.0 * 2_f64.ln()).abs() < 1e-12, "{found}");
    let grid: Vec<f64> = (0..=400).map(|i| f64::from(i) * 0.05 - 10.0).collect();
    let (slope, spacing) = (0.75_f64.sqrt(), 0.05);
    let mut integral = 0.0;
    for &x in &grid {
        for &z in &grid {
            let log_q = log_normal(z, slope * x, 0.5);
            integral += (log_normal(x, 0.0, 1.0) + log_q).exp() * (log_q - log_normal(z, 0.0, 1.0));
        }
    }
    integral *= spacing * spacing;
    assert!((2.0 * integral - found).abs() < 1e-8, "{} is not {found}", 2.0 * integral);
}

/// At x = 0 by quadrature on the plane; at another x the KL is larger by ½ a²‖x‖², half of a² D in the mean.
#[test]
fn the_kl_of_the_mixture_is_that_of_quadrature() {
    for sigma in [0.5, 0.2] {
        let spacing = 0.02;
        let grid: Vec<f64> = (0..=600).map(|i| f64::from(i) * spacing - 6.0).collect();
        let mut integral = 0.0;
        for &one in &grid {
            for &two in &grid {
                let log_q = log_mixture([0.0; 2], [one, two], sigma);
                if log_q > -700.0 {
                    integral += log_q.exp() * (log_q - log_normal(one, 0.0, 1.0) - log_normal(two, 0.0, 1.0));
                }
            }
        }
        let expected = integral * spacing * spacing + (1.0 - 3.25 * sigma * sigma);
        let found = Mixture::new(2, sigma).kl_to_prior();
        assert!((found - expected).abs() < 1e-8, "σ = {sigma}: {found} is not {expected}");
    }
}

/// A critic written by hand: a function of z alone, float64 inside.
#[derive(Debug)]
struct ByHand(fn(&Tensor) -> Tensor);

impl Critic for ByHand {
    fn log_ratio(&self, _x: &Tensor, z: &Tensor) -> Tensor {
        (self.0)(&z.to_kind(Kind::Double))
    }

    fn parameters(&self) -> NamedTensors {
        Vec::new()
    }
}

/// The Gaussian of a Gaussian's moments is itself, so that in adaptive contrast T* of the linear-Gaussian encoder is 0, and
/// T + log r − log p is log q − log p: the critic that says nothing is right. Its mean under q is the KL within four standard errors.
#[test]
fn in_adaptive_contrast_nothing_is_left_to_learn_of_a_gaussian() {
    single_thread();
    let encoder = LinearGaussian::new(2, 0.5);
    let problem = Problem { encoder: &encoder, contrast: Contrast::Adaptive };
    let nothing = ByHand(|z| z.select(1, 0) * 0.0);
    let found = problem.measure(&nothing, &problem.samples(50_000, &noise(1)), 1024);
    assert!(found.rmse_under_q < 1e-5 && found.rmse_under_p < 1e-4, "{found:?}");
    assert!((found.kl_estimate - found.kl_closed_form).abs() < 4.0 * found.kl_standard_error, "{found:?}");
    assert!(found.excess_cost.abs() < 1e-6 && found.saturated_under_q == 0.0, "{found:?}");
    // T = 0 makes e^T 1: the bound of q against r is 0, and the known part is the whole KL.
    assert!((found.nwj_bound - found.kl_estimate).abs() < 1e-9, "{found:?}");
}

/// Whitened by its moments the mixture is ½ N(o, s² I) + ½ N(−o, s² I) with s² = 1/3.25 and o = 1.5 s, whatever x and σ: log of it over
/// N(0, I) is what a critic has to learn, and with it T + log r − log p is T* everywhere. Samples and density agree: the mean of T* under q
/// is the KL of quadrature.
#[test]
fn in_adaptive_contrast_the_shape_of_the_mixture_is_left() {
    single_thread();
    let encoder = Mixture::new(2, 0.3);
    let problem = Problem { encoder: &encoder, contrast: Contrast::Adaptive };
    let shape = ByHand(|z| {
        let scale = 3.25_f64.sqrt().recip();
        let component = |side: f64| {
            let distance = ((z - side * 1.5 * scale) / scale).square().sum_dim_intlist(-1, false, None);
            distance * -0.5 - 2.0 * scale.ln() - 2_f64.ln()
        };
        component(1.0).logaddexp(&component(-1.0)) + z.square().sum_dim_intlist(-1, false, None) * 0.5
    });
    let found = problem.measure(&shape, &problem.samples(100_000, &noise(2)), 1024);
    assert!(found.rmse_under_q < 1e-4 && found.rmse_under_contrast.expect("under r") < 1e-3, "{found:?}");
    assert!((found.kl_estimate - found.kl_closed_form).abs() < 4.0 * found.kl_standard_error, "{found:?}");
    assert!((found.nwj_bound - found.kl_closed_form).abs() < 4.0 * found.nwj_standard_error, "{found:?}");
    let draw = problem.draw(100_000, &noise(3));
    for side in [&draw.of_encoder, &draw.of_contrast] {
        // Standard errors are 1/√10⁵ = 0.003 of the mean and at most √2 times that of the variance.
        assert!(side.mean(None).double_value(&[]).abs() < 0.015);
        assert!((side.square().mean(None).double_value(&[]) - 1.0).abs() < 0.02);
    }
}

/// The short form of the default case: 2^17 pairs in the place of 2^21. The error of a maximum-likelihood fit goes as 1/√pairs, so four
/// times the 0.005 of the whole run is expected of the quadratic critic; 0.1 leaves room for another seed. The network's bound is twice
/// what the whole run must reach; T* itself has a standard deviation of 1.2 nats under q, which a critic without a clue would miss by.
#[test]
fn a_short_run_comes_near_the_log_ratio() {
    single_thread();
    let encoder = LinearGaussian::new(2, 0.5);
    let problem = Problem { encoder: &encoder, contrast: Contrast::Prior };
    let capacity = Capacity { width: 32, blocks: 1, learning_rate: 0.01 };
    let settings = Settings { steps: 256, batch_size: 512, samples: 50_000, curve_samples: 4_000, capacity, seed: 3 };
    for (critic, rmse, kl) in [(CriticName::Quadratic, 0.1, 0.05), (CriticName::Mlp, 0.5, 0.25)] {
        let outcome = train(critic, &problem, &settings, Device::Cpu, true, &mut |_, _| Ok(())).expect("an outcome");
        let last = &outcome.last;
        assert!(last.rmse_under_q < rmse, "{critic}: {last:?}");
        assert!((last.kl_estimate - 2.0 * 2_f64.ln()).abs() < kl, "{critic}: {last:?}");
        // At most the KL whatever T, but for sampling.
        assert!(last.nwj_bound < last.kl_closed_form + 4.0 * last.nwj_standard_error, "{critic}: {last:?}");
        let (first, end) = (&outcome.history[0], outcome.history.last().expect("points"));
        assert_eq!((end.step, end.pairs), (256, 256 * 512));
        assert!(end.measurement.rmse_under_q < first.measurement.rmse_under_q, "{critic}: {first:?} {end:?}");
    }
}

fn study(bench: &Bench, more: &[&str]) -> assert_cmd::Command {
    let mut command = binary("proposition-1");
    command.args(["--device", "cpu", "--samples", "2000", "--batch-size", "128", "--quiet", "--out"]);
    command.arg(bench.path("out")).args(more);
    command
}

fn object(command: &mut assert_cmd::Command) -> Value {
    serde_json::from_slice(&command.assert().success().get_output().stdout).expect("one JSON object")
}

#[test]
fn the_binary_prints_one_object_and_leaves_tables_and_pictures() {
    let bench = Bench::new();
    let found = object(&mut study(&bench, &["--steps", "64", "--width", "8", "--json"]));
    let critics = found["critics"].as_object().expect("critics");
    let names: Vec<&String> = critics.keys().collect();
    assert_eq!(names, ["quadratic", "mlp", "quadratic+adaptive", "mlp+adaptive"]);
    for measurement in critics.values() {
        for key in ["rmse_under_q", "rmse_under_p", "correlation", "kl_estimate", "kl_closed_form", "nwj_bound"] {
            assert!(measurement[key].as_f64().is_some_and(f64::is_finite), "{key}: {measurement}");
        }
        assert!((measurement["kl_closed_form"].as_f64().expect("a number") - 2.0 * 2_f64.ln()).abs() < 1e-12);
    }
    assert_eq!(found["pairs"], 64 * 128);
    assert_eq!(found["settings"]["capacity"]["width"], 8);
    for picture in ["proposition-1.png", "proposition-1-curves.png"] {
        assert!(fs::read(bench.path("out").join(picture)).expect(picture).starts_with(b"\x89PNG"));
    }
    let csv = fs::read_to_string(bench.path("out/proposition-1-curves.csv")).expect("a table");
    let header = csv.lines().next().expect("a header");
    assert!(header.starts_with("critic,step,pairs,rmse_under_q,rmse_under_p,"), "{header}");
    // Points after 64, 45, 32, 23, 16, 11: six for each of four critics.
    assert_eq!(csv.lines().count(), 1 + 6 * 4, "{csv}");
    // The same seed gives the same figures.
    let again = object(&mut study(&bench, &["--steps", "64", "--width", "8", "--json"]));
    assert_eq!(again["critics"], found["critics"]);
}

/// The encoder of a trained VAE: the KL in closed form is that of its pictures, and adaptive contrast leaves nothing to learn of it.
#[test]
fn the_encoder_of_a_run_is_known_as_well() {
    let bench = Bench::new();
    bench.train("run").assert().success();
    let run = bench.path("run").display().to_string();
    let found = object(&mut study(&bench, &["--run", &run, "--pictures", "300", "--steps", "32", "--json"]));
    assert_eq!(found["encoder"], "trained");
    assert!(found["description"].as_str().expect("words").contains("300 pictures, D = 3"), "{found}");
    let adaptive = &found["critics"]["quadratic+adaptive"];
    let number = |key: &str| adaptive[key].as_f64().expect(key);
    assert!(
        (number("kl_estimate") - number("kl_closed_form")).abs() < 0.2 * (1.0 + number("kl_closed_form")),
        "{adaptive}"
    );
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let cases: [(&[&str], &str); 5] = [
        (&["--sigma", "0"], "--sigma: expected a number above 0 and at most 1 for linear-gaussian, got 0"),
        (
            &["--encoder", "mixture", "--sigma", "0.9"],
            "--sigma: expected a number above 0 and at most 0.554 for mixture, got 0.9",
        ),
        (&["--learning-rate", "0"], "--learning-rate: expected a finite number above 0, got 0"),
        (&["--encoder", "mixture", "--sweep"], "--sweep: is about the linear-gaussian encoder"),
        (
            &["--critics", "mlp", "--check"],
            "--check: needs the linear-gaussian encoder, quadratic and mlp, and the contrast prior",
        ),
    ];
    for (options, expected) in cases {
        assert_eq!(refusal(&mut study(&bench, options), 2), expected);
        assert!(!bench.path("out").exists());
    }
    let unknown = study(&bench, &["--critics", "forest"]).output().expect("started");
    assert_eq!(unknown.status.code(), Some(2));
}

/// A network that has seen 16 batches is no T*.
#[test]
fn a_check_that_is_missed_is_exit_code_one() {
    let bench = Bench::new();
    let output = study(&bench, &["--steps", "16", "--contrast", "prior", "--check"]).output().expect("started");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).expect("text");
    assert!(errors.contains("mlp: RMSE under q is") && errors.contains("at most 0.25 was expected"), "{errors}");
    assert_eq!(errors.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{errors}");
}
