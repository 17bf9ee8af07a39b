//! Steps captured in a CUDA graph against steps taken one operator after the other. Without a GPU these tests say so and end, but for the
//! last two; `make check-cuda` runs them where there is one.

use elbo_experiments::BuiltIn;
use elbo_native::flags::{self, Flag};
use elbo_native::testing::single_thread;
use elbo_runner::run::Note;
use elbo_runner::{Diverged, Run, RunConfig, RunOptions};
use elbo_tests::{finish, kinds, open, refusal, shipped, shrunk};
use serde_json::{Value, json};
use std::path::Path;
use tch::{Cuda, Device, Kind, Tensor};

/// Steps of a comparison: with 288 images in batches of 8, five epochs and a part of the sixth.
const STEPS: u64 = 200;

/// Whether there is a device, whose kernels then give the same bits every time where they can; says so where there is none.
fn gpu() -> bool {
    single_thread();
    let status = elbo_native::initialise();
    if Cuda::device_count() > 0 {
        flags::set(Flag::CudnnDeterministic, true).expect("a flag");
        return true;
    }
    println!("skipped: {status}");
    false
}

/// One shipped configuration of each kind, made small, on the GPU.
fn kinds_on_cuda() -> Vec<(String, Value)> {
    let mut kinds = kinds();
    for (_, config) in &mut kinds {
        config["device"] = json!("cuda");
        config["train"]["steps"] = json!(STEPS);
        config["train"]["log_every"] = json!(50);
        config["train"]["evaluate_every"] = json!(0);
        config["train"]["checkpoint_every"] = json!(STEPS / 2);
    }
    kinds
}

/// Trains with `train.capture` as given; returns what the last checkpoint holds, generator included, and what was said of the capture.
fn train(config: &Value, capture: &str, directory: &Path) -> (Vec<(String, Tensor)>, Vec<String>) {
    let mut config = config.clone();
    config["train"]["capture"] = json!(capture);
    let mut run = open(&config, directory);
    finish(&mut run);
    let said = run.take_notes().into_iter().map(|note| match note {
        Note::Information(text) | Note::Warning(text) => text,
    });
    (last_checkpoint(directory), said.collect())
}

fn last_checkpoint(directory: &Path) -> Vec<(String, Tensor)> {
    let file = directory.join(format!("checkpoints/step-{STEPS}.safetensors"));
    let mut all = Tensor::read_safetensors(file).expect("a checkpoint");
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// The largest difference of two checkpoints, in units of 1 + the largest number of the tensor; 0 where they are the same bits.
fn difference(one: &[(String, Tensor)], other: &[(String, Tensor)]) -> (f64, String) {
    let mut worst = (0.0, String::new());
    assert_eq!(one.len(), other.len());
    for ((name, a), (other_name, b)) in one.iter().zip(other) {
        assert_eq!((name, a.size()), (other_name, b.size()));
        if a.numel() == 0 {
            continue;
        }
        let (a, b) = (a.to_kind(Kind::Double), b.to_kind(Kind::Double));
        let apart = ((&a - &b).abs().max() / (a.abs().max() + 1.0)).double_value(&[]);
        assert!(apart.is_finite(), "{name}");
        if apart > worst.0 {
            worst = (apart, name.clone());
        }
    }
    worst
}

/// Every algorithm: parameters, optimisers, order, window and the generator's state after 200 steps. Where two runs without a graph give the same
/// bits, so does the one with it; elsewhere it is no farther from them than they are from each other, three times that for chance.
#[test]
fn captured_steps_equal_single_ones_for_every_method_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    for (name, config) in kinds_on_cuda() {
        let folder = tempfile::tempdir().expect("a folder");
        let (captured, said) = train(&config, "on", &folder.path().join("captured"));
        assert!(said.iter().any(|text| text.contains("one CUDA graph of")), "{name}: {said:?}");
        let [one, other] = ["one", "other"].map(|run| train(&config, "off", &folder.path().join(run)).0);
        let (spread, _) = difference(&one, &other);
        let (apart, place) = difference(&one, &captured);
        println!("{name}: {apart:e} apart with the graph ({place}), {spread:e} without; {}", said.join("; "));
        assert!(apart <= 3.0 * spread, "{name}: {place} is {apart:e} apart, and {spread:e} without a graph");
        let generator = |state: &[(String, Tensor)]| {
            let found = state.iter().find(|(name, _)| name == "run.generator").map(|(_, tensor)| tensor.copy());
            Vec::<u8>::try_from(found.expect("a generator")).expect("bytes")
        };
        assert_eq!(generator(&captured), generator(&one), "{name}: as many random numbers were drawn");
    }
}

/// From the checkpoint in the middle, in a new process's stead: the same end as without the break.
#[test]
fn a_captured_run_resumes_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let (name, config) =
        kinds_on_cuda().into_iter().find(|(_, config)| config["method"]["name"] == "beta-tcvae").expect("one");
    let folder = tempfile::tempdir().expect("a folder");
    let whole = train(&config, "on", &folder.path().join("whole")).0;
    let directory = folder.path().join("broken");
    let mut half = config.clone();
    half["train"]["capture"] = json!("on");
    half["train"]["steps"] = json!(STEPS / 2);
    finish(&mut open(&half, &directory));
    half["train"]["steps"] = json!(STEPS);
    let options = RunOptions {
        config: Some(RunConfig::<BuiltIn>::from_value(half, "test").expect("a configuration")),
        origin: "test".to_owned(),
        directory: directory.clone(),
        resume: true,
    };
    finish(&mut Run::open(&options, &mut |_| {}).expect("a run"));
    let (spread, _) = difference(&whole, &train(&config, "on", &folder.path().join("again")).0);
    let (apart, place) = difference(&whole, &last_checkpoint(&directory));
    assert!(apart <= 3.0 * spread, "{name}: {place} is {apart:e} apart, and {spread:e} without a break");
}

/// A step that is not finite is skipped within the graph, and found at the next log point.
#[test]
fn a_captured_run_that_diverges_is_stopped_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let (_, mut config) =
        kinds_on_cuda().into_iter().find(|(_, config)| config["method"]["name"] == "beta-vae").expect("one");
    config["train"]["capture"] = json!("on");
    // After the recording: a learning rate that grows until a step is not finite.
    config["optimizer"] = json!({ "name": "adam",
        "learning_rate": { "schedule": "exponential", "from": 1e-4, "to": 1e30, "steps": 100 } });
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = open(&config, &folder.path().join("run"));
    let error = (0..STEPS).find_map(|_| run.advance().err()).expect("a run that diverges");
    assert!(error.downcast_ref::<Diverged>().is_some(), "{error}");
    for (name, parameter) in run.algorithm().vae().parameters() {
        assert_eq!(parameter.isfinite().all().int64_value(&[]), 1, "{name}");
    }
}

/// Four runs of one thread, each captured in a stream of its own and advanced in turn, with a log point in between now and then.
#[test]
fn runs_that_share_a_gpu_equal_those_that_do_not_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let (name, config) =
        kinds_on_cuda().into_iter().find(|(_, config)| config["method"]["name"] == "beta-tcvae").expect("one");
    let folder = tempfile::tempdir().expect("a folder");
    let seeded = |seed: u64| {
        let mut config = config.clone();
        config["seed"] = json!(seed);
        config["train"]["capture"] = json!("on");
        config
    };
    let place = |kind: &str, seed: u64| folder.path().join(format!("{kind}-{seed}"));
    let alone: Vec<_> = (0..4).map(|seed| train(&seeded(seed), "on", &place("alone", seed)).0).collect();
    let mut together: Vec<_> = (0..4).map(|seed| open(&seeded(seed), &place("shared", seed))).collect();
    for run in &together {
        run.rejoin().expect("a device");
    }
    for _ in 0..STEPS {
        for run in &mut together {
            run.advance_apart().expect("a step");
        }
    }
    for (seed, run) in together.iter().enumerate() {
        run.rejoin().expect("a device");
        let (spread, _) = difference(&alone[seed], &train(&seeded(seed as u64), "on", &place("again", seed as u64)).0);
        let (apart, at) = difference(&alone[seed], &last_checkpoint(&place("shared", seed as u64)));
        assert!(apart <= 3.0 * spread, "{name}, seed {seed}: {at} is {apart:e} apart, and {spread:e} alone");
    }
}

#[test]
fn a_capture_is_refused_on_the_cpu_in_a_line() {
    single_thread();
    let mut config = shrunk(shipped().into_iter().next().expect("a configuration").1);
    config["train"]["capture"] = json!("on");
    assert_eq!(refusal(&config), "test: train.capture: expected \"auto\" or \"off\" on the CPU, got \"on\"");
}

/// What the comparisons compare: not one method is left out, and each runs on the CPU without a word about captures.
#[test]
fn every_method_is_among_the_kinds() {
    single_thread();
    let kinds = kinds();
    let methods: std::collections::BTreeSet<_> =
        shipped().iter().map(|(_, config)| config["method"]["name"].as_str().expect("a name").to_owned()).collect();
    for method in &methods {
        assert!(kinds.iter().any(|(_, config)| config["method"]["name"] == method.as_str()), "{method}");
    }
    let (_, mut config) = kinds.into_iter().next().expect("a kind");
    config["device"] = json!("cpu");
    config["train"]["steps"] = json!(6);
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = open(&config, &folder.path().join("run"));
    finish(&mut run);
    assert_eq!(run.device(), Device::Cpu);
    assert!(run.take_notes().iter().all(|note| !format!("{note:?}").contains("captur")));
}
