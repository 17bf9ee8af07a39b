//! `avb-toy`: its integrals against closed forms, and the program on settings of a few seconds.

mod common;

use common::{Bench, binary, refusal};
use elbo_core::posterior::kl_to_standard_normal;
use elbo_core::{Generator, Vae};
use elbo_experiments::avb_toy::grid::{GaussianTerms, Grid};
use elbo_experiments::avb_toy::histogram::Counts;
use elbo_experiments::avb_toy::report::{Figures, failures};
use elbo_experiments::avb_toy::samples::neighbours;
use elbo_experiments::avb_toy::training::{IMAGE, points};
use elbo_experiments::avb_toy::{Measured, Settings};
use elbo_native::testing::single_thread;
use serde_json::{Value, json};
use std::fs;
use tch::{Device, Kind, Tensor};

fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a generator")
}

fn untrained() -> Vae {
    let settings = Settings::read("quick").expect("the shipped settings");
    settings.vae.model.build(IMAGE, &generator(3), Device::Cpu).expect("a model")
}

/// I(x; z) + KL(q(z) ‖ p(z)) is the mean KL(q(z|x) ‖ p(z)), which a Gaussian has in closed form; the ELBO is below log p(x), which sums
/// over the same grid do not force; and the reconstruction is what samples say.
#[test]
fn sums_over_the_grid_agree_with_the_closed_form_and_with_samples() {
    single_thread();
    let (vae, grid) = (untrained(), Grid::new(7.0, 0.05, Device::Cpu));
    let terms = GaussianTerms::of(&vae, &grid).expect("terms");
    let (posterior, _) = tch::no_grad(|| vae.encode(&points(Device::Cpu), &generator(1)));
    let gaussian = posterior.gaussian().expect("a Gaussian");
    let kl = kl_to_standard_normal(&gaussian.mean, &gaussian.log_var).mean(None).double_value(&[]);
    // The parameters are float32 numbers.
    assert!((terms.mutual_information + terms.kl_aggregate_prior - kl).abs() < 1e-5, "{terms:?} for {kl}");
    let figures = Figures::of_gaussian(&vae, &grid, &terms);
    assert!(figures.elbo.value < figures.log_likelihood.value, "{figures:?}");
    let pass = tch::no_grad(|| vae.forward(&points(Device::Cpu).repeat([5000, 1, 1, 1]), &generator(2), 1));
    let drawn = -pass.log_likelihood().to_kind(Kind::Double);
    let error = (drawn.var(true) / drawn.size()[0] as f64).sqrt().double_value(&[]);
    let difference = drawn.mean(None).double_value(&[]) - terms.reconstruction;
    assert!(difference.abs() < 5.0 * error, "{difference} ± {error}");
    // A finer grid changes nothing: the sum of a smooth density is exact long before.
    let finer = GaussianTerms::of(&vae, &Grid::new(7.0, 0.04, Device::Cpu)).expect("terms");
    assert!((finer.reconstruction - terms.reconstruction).abs() < 1e-8);
    assert!((grid.log_evidence(&vae) - Grid::new(7.0, 0.04, Device::Cpu).log_evidence(&vae)).abs() < 1e-8);
}

#[test]
fn a_grid_that_misses_a_posterior_is_refused() {
    single_thread();
    let error = GaussianTerms::of(&untrained(), &Grid::new(1.0, 0.05, Device::Cpu)).expect_err("a refusal");
    assert!(error.to_string().starts_with("the grid does not hold the posteriors: a mass of 1 is off by "), "{error}");
}

/// Samples `[4, n, 2]` of N(centre, deviation²) for each of four centres.
fn clusters(centres: [[f64; 2]; 4], deviation: f64, count: i64) -> Tensor {
    let noise = generator(7).normal(&[4, count, 2], Kind::Double) * deviation;
    noise + Tensor::from_slice(centres.as_flattened()).reshape([4, 1, 2])
}

fn counted(z: &Tensor, width: f64) -> Counts {
    let mut counts = Counts::new(8.0, width);
    (0..4).for_each(|point| counts.add(point, &z.select(0, point)));
    counts
}

fn near(found: Measured, expected: f64, bias: f64) {
    let error = found.standard_error.expect("an error");
    assert!((found.value - expected).abs() < 5.0 * error + bias, "{found:?} for {expected}");
}

/// Four codes that never meet carry ln 4; four that are one carry 0; and one Gaussian has the divergence of the closed form.
#[test]
fn histograms_and_neighbours_read_what_is_known() {
    single_thread();
    let apart = clusters([[3.0, 3.0], [-3.0, 3.0], [3.0, -3.0], [-3.0, -3.0]], 0.3, 100_000);
    let one = clusters([[0.5, 0.0]; 4], 0.8, 100_000);
    let gaussian = |numbers: [f64; 2]| Tensor::from_slice(&numbers).reshape([1, 2]);
    let kl = kl_to_standard_normal(&gaussian([0.5, 0.0]), &gaussian([0.64_f64.ln(); 2])).double_value(&[0]);
    for (z, information, divergence) in [(&apart, 4_f64.ln(), None), (&one, 0.0, Some(kl))] {
        let counts = counted(z, 0.1);
        let coarse = counts.coarser();
        // What is taken off is about 0.016 here; in the tails, where a bin expects less than a sample, it is too little by a fifth of that.
        // A bin of 0.2 hides 0.2²/12 of a variance of 0.64.
        near(counts.mutual_information(), information, 4e-3);
        near(coarse.mutual_information(), information, 4e-3);
        if let Some(divergence) = divergence {
            near(counts.kl_to_prior(), divergence, 3e-3);
            near(coarse.kl_to_prior(), divergence, 1e-2);
            assert!(coarse.kl_to_prior().value < counts.kl_to_prior().value);
        }
        assert_eq!(counts.outside(), 0);
        let [by_neighbours, kl_by_neighbours] = neighbours(&z.narrow(1, 0, 5000)).expect("an estimate");
        near(by_neighbours, information, 0.01);
        if let Some(divergence) = divergence {
            near(kl_by_neighbours, divergence, 0.01);
        }
    }
}

/// Samples beyond the bins are one bin more: nothing is lost, and the information they carry stays.
#[test]
fn samples_beyond_the_bins_are_counted() {
    single_thread();
    let z = clusters([[0.0, 0.0], [0.0, 0.0], [20.0, 0.0], [20.0, 0.0]], 0.3, 10_000);
    let counts = counted(&z, 0.1);
    assert_eq!(counts.outside(), 20_000);
    near(counts.mutual_information(), 2_f64.ln(), 5e-3);
}

#[test]
fn the_gate_names_what_does_not_hold() {
    let at = |log_likelihood, elbo, kl: f64| Figures {
        log_likelihood: Measured::exact(log_likelihood),
        reconstruction: Measured::exact(0.3),
        elbo: Measured::exact(elbo),
        mutual_information: Measured::exact(1.2),
        kl_aggregate_prior: Measured::exact(kl),
    };
    assert_eq!(failures(&at(-1.568, -1.696, 0.147), &at(-1.403, -1.42, 0.026)), Vec::<String>::new());
    let found = failures(&at(-1.568, -1.75, 0.147), &at(-1.403, -1.42, 0.04));
    assert_eq!(
        found,
        ["the VAE's -ELBO is 1.7500, not in [1.69, 1.74]", "AVB's KL(q(z) || p(z)) is 0.0400, not in [-0.01, 0.03]"]
    );
}

/// A few hundred updates of small nets.
fn small() -> Value {
    let text = include_str!("../configs/avb_toy/quick.json");
    let mut settings: Value = serde_json::from_str(text).expect("JSON");
    for (path, value) in [
        ("/vae/steps", json!(300)),
        ("/vae/starts", json!(2)),
        ("/vae/batch_size", json!(64)),
        ("/avb/steps", json!(30)),
        ("/avb/batch_size", json!(64)),
        ("/avb/method/critic/hidden", json!([16])),
        ("/measurement/samples", json!(40_000)),
        ("/measurement/neighbour_samples", json!(2000)),
        ("/measurement/grid_step", json!(0.1)),
    ] {
        *settings.pointer_mut(path).expect(path) = value;
    }
    settings
}

#[test]
fn both_rows_are_printed_and_written() {
    let bench = Bench::new();
    let (file, out) = (bench.path("small.json"), bench.path("out"));
    fs::write(&file, small().to_string()).expect("written");
    let run = |more: &[&str]| {
        let mut command = binary("avb-toy");
        command
            .arg("--settings")
            .arg(&file)
            .arg("--out")
            .arg(&out)
            .args(["--device", "cpu", "--json", "--quiet"])
            .args(more);
        command
    };
    let output = run(&[]).assert().success().get_output().stdout.clone();
    let found: Value = serde_json::from_slice(&output).expect("one JSON object");
    for row in ["vae", "avb"] {
        let value = |name: &str| found[row][name].as_f64().unwrap_or_else(|| panic!("{row}.{name}: {found}"));
        let sum = value("reconstruction") + value("mutual_information") + value("kl_aggregate_prior");
        assert!((value("elbo") + sum).abs() < 1e-9, "{found}");
        let error = found[row]["elbo_standard_error"].as_f64();
        assert_eq!(error.is_some(), row == "avb");
        assert!(value("elbo") < value("log_likelihood") + 5.0 * error.unwrap_or(0.0), "{found}");
    }
    assert!(found["estimates"]["kl_aggregate_prior"]["nearest_neighbours"]["value"].is_number(), "{found}");
    let written: Value = serde_json::from_slice(&fs::read(out.join("avb_toy.json")).expect("a file")).expect("JSON");
    assert_eq!(written, found);
    assert!(fs::read(out.join("posteriors.png")).expect("a picture").starts_with(b"\x89PNG"));
    // So short a training cannot hold, and says so where it is asked. The same seed gives the same figures.
    let checked = run(&["--check"]).assert().code(1).get_output().clone();
    let again: Value = serde_json::from_slice(&checked.stdout).expect("one JSON object");
    assert_eq!(again, found);
    let line = String::from_utf8(checked.stderr).expect("text");
    assert!(line.contains("AVB's log-likelihood is "), "{line}");
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let bench = Bench::new();
    let file = bench.path("settings.json");
    let line = |settings: &Value| {
        fs::write(&file, settings.to_string()).expect("written");
        let mut command = binary("avb-toy");
        command.arg("--settings").arg(&file).arg("--out").arg(bench.path("out"));
        refusal(&mut command, 2).replace(&file.display().to_string(), "FILE")
    };
    let mut wide = small();
    wide["avb"]["model"]["latent"] = json!(3);
    assert_eq!(line(&wide), "FILE: avb.model.latent: expected 2, for everything is measured in a plane, got 3");
    let mut gaussian = small();
    gaussian["avb"]["model"].as_object_mut().expect("an object").remove("posterior");
    assert_eq!(line(&gaussian), "FILE: avb.model.posterior: expected an implicit posterior, got none");
    let mut typed = small();
    typed["avb"]["method"]["critic_steps"] = json!(0);
    assert_eq!(line(&typed), "FILE: avb.method.critic_steps: expected an integer ≥ 1, got 0");
    assert!(!bench.path("out").exists());
    let mut command = binary("avb-toy");
    let unknown = refusal(command.args(["--settings", "slow"]), 2);
    assert_eq!(unknown, "--settings: expected quick, published, or a JSON file that exists, got slow");
}

/// The settings of the paper's code, as they were published.
#[test]
fn the_published_settings_are_the_papers() {
    let settings = Settings::read("published").expect("the shipped settings");
    assert_eq!((settings.vae.steps, settings.avb.steps), (100_000, 100_000));
    assert_eq!((settings.vae.batch_size, settings.avb.batch_size, settings.avb.method.critic_steps), (512, 512, 2));
    let rate = |optimizer: &elbo_core::OptimizerConfig| optimizer.learning_rate.schedule().constant();
    assert_eq!(rate(&settings.vae.optimizer), Some(2e-5));
    assert_eq!(rate(&settings.avb.optimizer), Some(2e-5));
    assert_eq!(rate(&settings.avb.method.critic_optimizer), Some(1e-4));
}
