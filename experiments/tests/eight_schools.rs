//! Eight schools: the model against numbers made by hand and by quadrature, chains against known series, and the binary.

mod common;

use common::{Bench, binary, refusal};
use elbo_core::Generator;
use elbo_evaluation::exact::Estimate;
use elbo_experiments::eight_schools::Settings;
use elbo_experiments::eight_schools::avb::Avb;
use elbo_experiments::eight_schools::diagnostics::{Diagnosis, r_hat, rank_normalised};
use elbo_experiments::eight_schools::gaussians::{Family, GaussianSettings, expected_log_joint, fit};
use elbo_experiments::eight_schools::hmc::{HmcSettings, posterior, sample};
use elbo_experiments::eight_schools::model::{DIMENSIONS, EightSchools, Grid};
use elbo_experiments::eight_schools::modes::modes;
use elbo_native::testing::single_thread;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn noise(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator")
}

fn model() -> EightSchools {
    EightSchools::new(Device::Cpu, Kind::Double)
}

fn estimate(values: &Tensor) -> Estimate {
    Estimate::of(&Vec::<f64>::try_from(values).expect("float64 values"))
}

/// Sums of eighteen normal log-densities, by a few lines of Python.
#[test]
fn the_log_joint_is_the_number_made_by_hand() {
    single_thread();
    let z = [[0.0; 10], [0.5, -2.0, 0.1, 0.2, 0.3, 0.4, -0.1, -0.2, -0.3, -0.4]];
    let found = model().log_joint(&Tensor::from_slice2(&z));
    assert!((found.double_value(&[0]) + 31.246979918414162).abs() < 1e-10, "{found:?}");
    assert!((found.double_value(&[1]) + 24.965313251747496).abs() < 1e-10, "{found:?}");
    // The symmetry that makes two modes.
    let turned = [[0.5, 2.0, -0.1, -0.2, -0.3, -0.4, 0.1, 0.2, 0.3, 0.4]];
    assert!((model().log_joint(&Tensor::from_slice2(&turned)).double_value(&[0]) + 24.965313251747496).abs() < 1e-10);
}

/// −12.711 is the reference's figure; a grid of half the spacing and more extent gives the same to 1e-7. Marginals integrate to 1, that
/// of τ is even and has two modes by the rule that samples are read with.
#[test]
fn the_grid_gives_the_evidence_and_two_modes() {
    let grid = Grid::new(7.0, 0.05);
    assert!((grid.log_evidence + 12.711).abs() < 5e-4, "{}", grid.log_evidence);
    let finer = Grid::new(9.0, 0.025);
    assert!((grid.log_evidence - finer.log_evidence).abs() < 1e-7);
    let scale = grid.scale_marginal();
    for marginal in [&grid.mean_marginal(), &scale] {
        assert!((marginal.iter().sum::<f64>() * grid.spacing() - 1.0).abs() < 1e-12);
    }
    assert!(scale.iter().zip(scale.iter().rev()).all(|(a, b)| (a - b).abs() < 1e-12));
    assert_eq!(modes(&scale), 2);
    assert_eq!(modes(&grid.mean_marginal()), 1);
}

/// The polynomial of moments against the mean over 200 000 draws of a Gaussian with every covariance in it.
#[test]
fn the_expected_log_joint_is_the_mean_over_samples() {
    single_thread();
    let random = noise(1);
    let mean = random.normal(&[DIMENSIONS], Kind::Double) * 0.5;
    let factor = random.normal(&[DIMENSIONS, DIMENSIONS], Kind::Double) * 0.3;
    let covariance = factor.matmul(&factor.transpose(0, 1));
    let exact = expected_log_joint(&mean.unsqueeze(0), &covariance.unsqueeze(0)).double_value(&[0]);
    let z = &mean + random.normal(&[200_000, DIMENSIONS], Kind::Double).matmul(&factor.transpose(0, 1));
    let sampled = estimate(&model().log_joint(&z));
    assert!((exact - sampled.value).abs() < 4.0 * sampled.standard_error, "{exact}, {sampled:?}");
    assert!(sampled.standard_error < 0.1);
}

/// 1.57 and 1.17 are the reference's divergences of the best Gaussians; the same from samples, with the density of the fit itself; and the
/// gradient has gone.
#[test]
fn the_best_gaussians_have_the_known_divergences() {
    single_thread();
    let evidence = Grid::new(7.0, 0.05).log_evidence;
    for (family, known) in [(Family::MeanField, 1.57), (Family::FullRank, 1.17)] {
        let random = noise(2);
        let fit = fit(family, &GaussianSettings { starts: 8, steps: 800 }, &random, Device::Cpu).expect("a fit");
        let exact = fit.kl(evidence);
        assert!((exact - known).abs() < 0.02, "{family:?}: {exact}");
        assert!(fit.gradient_norm < 1e-2, "{family:?}: {}", fit.gradient_norm);
        let z = fit.sample(50_000, &random);
        let sampled = estimate(&(fit.log_density(&z) - model().log_joint(&z) + evidence));
        assert!((exact - sampled.value).abs() < 4.0 * sampled.standard_error, "{exact}, {sampled:?}");
    }
}

/// Independent draws are worth their number, and no monotone map changes what is said of them.
#[test]
fn independent_draws_are_worth_their_number() {
    single_thread();
    let draws = noise(3).normal(&[2000, 4], Kind::Double);
    let diagnosis = Diagnosis::of(&draws);
    assert!((diagnosis.effective_samples / 8000.0 - 1.0).abs() < 0.1, "{diagnosis:?}");
    assert!(diagnosis.r_hat < 1.005, "{diagnosis:?}");
    assert_eq!(rank_normalised(&draws), rank_normalised(&draws.exp()));
}

/// `x_t = a x_{t−1} + √(1 − a²) ε_t` has autocorrelations a^t, and so a time of (1 + a)/(1 − a) = 9 draws at a = 0.8. Within a seventh:
/// the error of an autocorrelation time from 40 000 draws that are worth 4 400.
#[test]
fn correlated_draws_are_worth_a_ninth() {
    single_thread();
    let (draws, chains, a) = (10_000, 4, 0.8_f64);
    let steps = noise(4).normal(&[draws, chains], Kind::Double);
    let mut rows = vec![steps.get(0)];
    for t in 1..draws {
        rows.push(&rows[t as usize - 1] * a + steps.get(t) * (1.0 - a * a).sqrt());
    }
    let diagnosis = Diagnosis::of(&Tensor::stack(&rows, 0));
    let expected = (draws * chains) as f64 / 9.0;
    assert!((diagnosis.effective_samples / expected - 1.0).abs() < 0.15, "{diagnosis:?}");
    assert!(diagnosis.r_hat < 1.01, "{diagnosis:?}");
}

/// One chain of four a standard deviation off: the variance of the means is 1/4 and R̂ = √(1 + 1/4) but for sampling. Chains of one mean
/// and other widths: told apart by distances from the median alone.
#[test]
fn chains_that_differ_are_told_apart() {
    single_thread();
    let draws = noise(5).normal(&[1000, 4], Kind::Double);
    let shifted = &draws + Tensor::from_slice(&[1.0, 0.0, 0.0, 0.0]);
    assert!((r_hat(&shifted) - 1.25_f64.sqrt()).abs() < 0.02, "{}", r_hat(&shifted));
    assert!(Diagnosis::of(&shifted).r_hat > 1.05);
    let widths = Tensor::from_slice(&[3.0, 1.0, 1.0, 1.0]);
    assert!(r_hat(&(&draws * &widths)) < 1.01);
    assert!(Diagnosis::of(&(draws * widths)).r_hat > 1.05);
}

fn short(draws: i64, leapfrog_steps: usize) -> HmcSettings {
    HmcSettings { chains: 32, warm_up: 120, draws, leapfrog_steps, target_acceptance: 0.9 }
}

/// Two correlated coordinates of standard deviations 3 and 0.1: moments within five of their errors by the effective samples, and mixed.
/// Three steps of a trajectory: ten go round the ellipse more than once, and back to where they came from.
#[test]
fn hamiltonian_monte_carlo_draws_a_gaussian() {
    single_thread();
    let (correlation, deviations, means) = (0.6_f64, [3.0, 0.1], [5.0, -1.0]);
    let [scale, mean] = [deviations, means].map(|values: [f64; 2]| Tensor::from_slice(&values));
    let log_density = |z: &Tensor| {
        let u = (z - &mean) / &scale;
        let (a, b) = (u.select(-1, 0), u.select(-1, 1));
        (a.square() + b.square() - &a * &b * (2.0 * correlation)) / (-2.0 * (1.0 - correlation * correlation))
    };
    let random = noise(6);
    let start = random.normal(&[32, 2], Kind::Double);
    let chains = sample(&log_density, &start, &short(300, 3), &random, &mut |_, _| Ok(())).expect("chains");
    for (d, diagnosis) in chains.diagnoses().into_iter().enumerate() {
        assert!(diagnosis.r_hat < 1.01, "{diagnosis:?}");
        let values = chains.draws.select(2, d as i64).reshape(-1);
        let error = deviations[d] / diagnosis.effective_samples.sqrt();
        assert!((values.mean(None).double_value(&[]) - means[d]).abs() < 5.0 * error, "{d}: {diagnosis:?}");
        // Of squares: trajectories that overshoot make means better known than independent draws would, and not variances.
        let squares = (chains.draws.select(2, d as i64) - means[d]).square();
        let worth = Diagnosis::of(&squares).effective_samples;
        let (variance, error) = (deviations[d].powi(2), squares.std(true).double_value(&[]) / worth.sqrt());
        assert!(
            (squares.mean(None).double_value(&[]) - variance).abs() < 5.0 * error,
            "{d}: {variance}, worth {worth}"
        );
    }
    assert!((0.8..0.99).contains(&chains.acceptance), "{}", chains.acceptance);
}

/// E μ and E τ² against the grid's, within five errors; chains on both sides of τ = 0.
#[test]
fn hamiltonian_monte_carlo_draws_the_posterior() {
    single_thread();
    let chains = posterior(&short(200, 10), &noise(7), Device::Cpu, &mut |_, _| Ok(())).expect("chains");
    let grid = Grid::new(7.0, 0.05);
    let expectation = |marginal: &[f64], of: fn(f64) -> f64| {
        grid.points.iter().zip(marginal).map(|(x, density)| of(*x) * density).sum::<f64>() * grid.spacing()
    };
    let scale = chains.draws.select(2, 1);
    let cases = [
        (chains.draws.select(2, 0), expectation(&grid.mean_marginal(), |x| x)),
        (scale.square(), expectation(&grid.scale_marginal(), |x| x * x)),
    ];
    for (series, exact) in cases {
        let worth = Diagnosis::of(&series).effective_samples;
        let error = series.std(true).double_value(&[]) / worth.sqrt();
        assert!((series.mean(None).double_value(&[]) - exact).abs() < 5.0 * error, "{exact}, worth {worth}");
    }
    let positive = scale.gt(0.0).to_kind(Kind::Double).mean(None).double_value(&[]);
    assert!((0.2..0.8).contains(&positive), "{positive}");
    assert_eq!(chains.thinned(320).size(), [320, DIMENSIONS]);
}

fn copies(parameters: &[(String, Tensor)]) -> Vec<Tensor> {
    parameters.iter().map(|(_, parameter)| parameter.detach().copy()).collect()
}

/// A player whose rate is 1e-30 moves by no more than that, whatever the other does: its parameters get no update of the other's cost.
/// The other moves by its rate.
#[test]
fn each_player_moves_by_its_own_optimiser_alone() {
    single_thread();
    for field in ["optimizer", "critic_optimizer"] {
        for method in ["avb", "avb_adaptive_contrast"] {
            let change = |text: String| text.parse().expect("a change");
            let still = change(format!("{method}.{field}.learning_rate=1e-30"));
            let small = change(format!("{method}.batch_size=32"));
            let settings = Settings::read("quick", &[still, small]).expect("settings");
            let settings = if method == "avb" { settings.avb } else { settings.avb_adaptive_contrast };
            let mut avb = Avb::new(&settings, &noise(8), Device::Cpu).expect("a game");
            let before = [copies(avb.encoder_parameters()), copies(avb.critic_parameters())];
            let random = noise(9);
            (0..2).for_each(|_| drop(avb.iterate(&random).expect("an iteration")));
            let after = [copies(avb.encoder_parameters()), copies(avb.critic_parameters())];
            let moved = [0, 1].map(|player| {
                let pairs = before[player].iter().zip(&after[player]);
                pairs.map(|(old, new)| (new - old).abs().max().double_value(&[])).fold(0.0, f64::max) > 1e-20
            });
            assert_eq!(moved, if field == "optimizer" { [false, true] } else { [true, false] }, "{method}, {field}");
        }
    }
}

/// A short training at a high rate: the cost, which is −ELBO if the critic were right, falls from far above to near −log p(y) = 12.7, and
/// samples move to where the joint density is.
#[test]
fn a_short_training_finds_the_posterior() {
    single_thread();
    let changes =
        ["iterations=150", "batch_size=64", "critic_width=64", "critic_blocks=1", "optimizer.learning_rate=2e-3"];
    let changes = changes.map(|change| format!("avb_adaptive_contrast.{change}").parse().expect("a change"));
    let settings = Settings::read("quick", &changes).expect("settings").avb_adaptive_contrast;
    let random = noise(10);
    let mut avb = Avb::new(&settings, &random, Device::Cpu).expect("a game");
    let log_joint = |avb: &Avb| estimate(&model().log_joint(&avb.sample(2000, &random).to_kind(Kind::Double))).value;
    let start = log_joint(&avb);
    let mut last = Vec::new();
    for _ in 0..settings.iterations {
        let found = avb.iterate(&random).expect("an iteration");
        for scalar in [&found.critic_cost, &found.critic_accuracy, &found.kl_adversarial, &found.nwj_bound] {
            assert!(scalar.double_value(&[]).is_finite());
        }
        last.push(found.loss.double_value(&[]));
    }
    let end = last[130..].iter().sum::<f64>() / 20.0;
    assert!(last[0] > 20.0 && (11.0..17.0).contains(&end), "{} to {end}", last[0]);
    assert!(log_joint(&avb) > start, "{start}");
}

const TINY: [&str; 14] = [
    "hmc.chains=16",
    "hmc.warm_up=60",
    "hmc.draws=120",
    "gaussians.starts=4",
    "gaussians.steps=300",
    "estimator.samples=384",
    "avb.iterations=4",
    "avb.batch_size=16",
    "avb.critic_width=16",
    "avb.critic_blocks=1",
    "avb_adaptive_contrast.iterations=4",
    "avb_adaptive_contrast.batch_size=16",
    "avb_adaptive_contrast.critic_width=16",
    "avb_adaptive_contrast.critic_blocks=1",
];

fn schools(bench: &Bench) -> assert_cmd::Command {
    let mut command = binary("eight-schools");
    command.args(["--device", "cpu", "--out"]).arg(bench.path("out"));
    command
}

fn tiny(bench: &Bench) -> assert_cmd::Command {
    let mut command = schools(bench);
    command.args(TINY.iter().flat_map(|change| ["--set", change])).arg("--json");
    command
}

/// The whole of it, far too short: the object has every reading, exact figures where there are any; the same seed gives the same object.
#[test]
fn the_binary_reads_every_approximation() {
    let bench = Bench::new();
    let found = || -> Value {
        let output = tiny(&bench).assert().success();
        serde_json::from_slice(&output.get_output().stdout).expect("one JSON object")
    };
    let first = found();
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!((number(&first["log_evidence"]) + 12.711).abs() < 1e-3);
    for name in ["hmc", "mean_field", "full_rank", "avb", "avb_adaptive_contrast"] {
        let reading = &first["readings"][name];
        for estimate in ["kl", "kl_of_a_quarter", "kl_to_density", "expected_log_joint"] {
            assert!(number(&reading[estimate]["standard_error"]) > 0.0, "{name}: {reading}");
        }
        assert_eq!(reading["kl_exact"].is_number(), !name.starts_with("avb"), "{name}: {reading}");
    }
    assert_eq!(first["hmc"]["coordinates"].as_array().map(Vec::len), Some(10));
    assert_eq!(first["findings"].as_array().map(Vec::len), Some(6));
    assert!(std::fs::read(bench.path("out/eight_schools.png")).expect("a picture").starts_with(b"\x89PNG"));
    assert_eq!(first, found());
}

/// Four iterations approximate nothing: --check says so, in one line, with exit code 1.
#[test]
fn a_check_that_fails_is_said() {
    let bench = Bench::new();
    let output = tiny(&bench).arg("--check").assert().code(1);
    let errors = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let last = errors.lines().last().expect("a line");
    assert!(last.starts_with("error: does not hold: ") && last.contains("KL of AVB + AC"), "{errors}");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    for (arguments, line) in [
        (["--settings", "slow"], "--settings: expected quick, published or a file, got \"slow\""),
        (["--set", "avb.iterations=0"], "quick: avb.iterations: expected an integer ≥ 1, got 0"),
        (["--set", "hmc.chains=3"], "quick: hmc.chains: expected an even number, half of them on either side, got 3"),
        (["--set", "avb.adaptive_contrast=true"], "quick: avb.adaptive_contrast: expected false"),
    ] {
        assert_eq!(refusal(schools(&bench).args(arguments), 2), line);
    }
    let unknown = refusal(schools(&bench).args(["--set", "avb.rate=1"]), 2);
    assert!(unknown.starts_with("quick: avb") && unknown.contains("unknown field `rate`"), "{unknown}");
    assert!(!bench.path("out").exists());
}

/// The settings that ship can be read: those of the paper among them.
#[test]
fn the_published_settings_are_the_papers() {
    let settings = Settings::read("published", &[]).expect("settings");
    for avb in [&settings.avb, &settings.avb_adaptive_contrast] {
        assert_eq!((avb.iterations, avb.critic_steps, avb.critic_width, avb.critic_blocks), (50_000, 2, 256, 5));
        assert_eq!(avb.encoder_hidden, [128, 128]);
    }
}
