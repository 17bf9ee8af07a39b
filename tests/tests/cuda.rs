//! What only a GPU can show. Without one these tests say so and end; `make check-cuda` runs them where there is one.

use elbo_core::{Gaussian, Generator};
use elbo_evaluation::exact::{MemoryBudget, Samples, decompose};
use elbo_evaluation::likelihood::{Settings, annealed, importance_weighted, mean_over_images};
use elbo_native::recorder::{Operator, record};
use elbo_native::testing::single_thread;
use elbo_objectives::estimator::{Densities, Estimator};
use elbo_runner::{Diverged, Event};
use elbo_tests::{finish, open, shipped, shrunk, state};
use serde_json::{Value, json};
use tch::{Cuda, Device, Kind, Tensor};

/// Whether there is a device; says so where there is none.
fn gpu() -> bool {
    single_thread();
    let status = elbo_native::initialise();
    if Cuda::device_count() > 0 {
        return true;
    }
    println!("skipped: {status}");
    false
}

fn config(device: &str) -> Value {
    let mut config = shrunk(json!({
        "name": "gpu", "seed": 1, "precision": "float32", "data": {},
        "model": { "network": "burgess", "latent": 10, "likelihood": "bernoulli" },
        "method": { "name": "beta-tcvae", "mi_weight": 1.0, "tc_weight": 6.0, "dw_kl_weight": 1.0, "estimator": "balanced" },
        "optimizer": { "name": "adam", "learning_rate": 1e-3 }
    }));
    config["device"] = json!(device);
    config
}

#[test]
fn one_seed_is_one_model_and_one_picture_on_both_devices_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let [cpu, cuda] = ["cpu", "cuda"].map(|device| open(&config(device), &folder.path().join(device)));
    assert!(state(&cpu) == state(&cuda), "initial parameters and optimiser state, bit for bit");
    let noise = Generator::new(Device::Cpu, 5).expect("a generator");
    let z = noise.normal(&[32, 10], Kind::Float);
    let picture = |run: &elbo_runner::Run<elbo_experiments::BuiltIn>| {
        tch::no_grad(|| run.algorithm().vae().decode_mean(&z.to_device(run.device())).to_device(Device::Cpu))
    };
    let difference = (picture(&cpu) - picture(&cuda)).abs().max().double_value(&[]);
    assert!(difference < 1e-4, "decoded pictures differ by {difference}");
}

#[test]
fn estimators_agree_with_the_cpu_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let noise = Generator::new(Device::Cpu, 5).expect("a generator");
    let [mean, log_var, z] = [0; 3].map(|_| noise.normal(&[64, 10], Kind::Float));
    let terms = |estimator: Estimator, device: Device| {
        let gaussian = Gaussian::new(mean.to_device(device), log_var.to_device(device));
        let terms = Densities::estimate(estimator, &gaussian, &z.to_device(device), 737_280).terms();
        [terms.mutual_information, terms.total_correlation, terms.dimension_wise_kl].map(|term| term.double_value(&[]))
    };
    for estimator in Estimator::MINIBATCH {
        for (cpu, cuda) in terms(estimator, Device::Cpu).into_iter().zip(terms(estimator, Device::Cuda(0))) {
            assert!((cpu - cuda).abs() < 1e-3 * (1.0 + cpu.abs()), "{estimator}: {cpu} on the CPU, {cuda} on CUDA");
        }
    }
}

/// On CUDA the recorder sees every copy to the host, the reading of a whole tensor included.
#[test]
fn the_step_contract_holds_on_cuda_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = open(&config("cuda"), &folder.path().join("run"));
    let mut step = || record(|| run.advance().expect("a step")).expect("recorded");
    step();
    let ((_, second), (_, third), (fourth, logged)) = (step(), step(), step());
    assert_eq!(second, third);
    let waits: Vec<_> = second.iter().filter(|operator| operator.synchronises()).collect();
    assert!(waits.is_empty(), "the host waits in {waits:?}");
    assert!(matches!(fourth, Event::Logged { .. }) && logged.iter().any(Operator::synchronises));
}

#[test]
fn a_run_on_cuda_learns_and_a_bad_step_is_skipped_there_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut run = open(&config("cuda"), &folder.path().join("good"));
    finish(&mut run);
    let elbo = run.latest().iter().find(|(tag, _)| tag == "train/elbo").expect("an ELBO").1;
    assert!(elbo.is_finite() && elbo > -2839.0, "20 steps from ln 2 a pixel left the ELBO at {elbo}");

    let mut bad = config("cuda");
    bad["optimizer"]["learning_rate"] = json!(1e30);
    let mut run = open(&bad, &folder.path().join("bad"));
    let error = (0..20).find_map(|_| run.advance().err()).expect("a run that diverges");
    assert_eq!(error.downcast_ref::<Diverged>().map(|diverged| diverged.step), Some(2));
    for (name, parameter) in run.algorithm().vae().parameters() {
        let finite = Tensor::isfinite(&parameter).all().to_kind(Kind::Int64).int64_value(&[]);
        assert_eq!(finite, 1, "{name}");
    }
}

/// The exact terms of 737 280 posteriors from 10 000 samples: as on the CPU from fewer samples, and in the time that is printed.
#[test]
fn the_exact_decomposition_agrees_with_the_cpu_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let noise = Generator::new(Device::Cpu, 6).expect("a generator");
    let mean = noise.normal(&[737_280, 10], Kind::Float);
    let encodings = Gaussian::new(mean.shallow_clone(), mean.full_like(-3.0));
    let own = noise.permutation(737_280).narrow(0, 0, 10_000);
    let rows = |t: &Tensor| t.index_select(0, &own);
    let z = Gaussian::new(rows(&encodings.mean), rows(&encodings.log_var)).sample(&noise, 1);
    let terms = |device: Device, count: i64| {
        let part = |t: &Tensor| t.narrow(0, 0, count).to_device(device);
        let encodings = Gaussian::new(encodings.mean.to_device(device), encodings.log_var.to_device(device));
        decompose(&encodings, &Samples { z: part(&z), own: part(&own) }, MemoryBudget::of(device))
    };
    let (cpu, cuda) = (terms(Device::Cpu, 100), terms(Device::Cuda(0), 100));
    for (cpu, cuda) in [
        (cpu.mutual_information, cuda.mutual_information),
        (cpu.total_correlation, cuda.total_correlation),
        (cpu.dimension_wise_kl, cuda.dimension_wise_kl),
    ] {
        assert!((cpu.value - cuda.value).abs() < 1e-3, "{cpu:?} on the CPU, {cuda:?} on CUDA");
    }
    let started = std::time::Instant::now();
    let whole = terms(Device::Cuda(0), 10_000);
    println!("10 000 samples, 737 280 posteriors, 10 dimensions: {:.1} s", started.elapsed().as_secs_f64());
    let error =
        4.0 * (whole.mutual_information.standard_error.powi(2) + cpu.mutual_information.standard_error.powi(2)).sqrt();
    assert!((whole.mutual_information.value - cpu.mutual_information.value).abs() < error);
}

/// Chains move on the device as on the CPU, with other noise: both estimates are of one log p(x).
#[test]
fn likelihoods_agree_with_the_cpu_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let values = ["cpu", "cuda"].map(|device| {
        let run = open(&config(device), &folder.path().join(device));
        let noise = Generator::new(run.device(), 7).expect("a generator");
        let rows = Tensor::arange(16, (Kind::Int64, run.device()));
        let x = run.data().train.images.gather(&rows, &noise);
        let vae = run.algorithm().vae();
        let ais = annealed(vae, &x, &Settings::new(50, 8), &noise, &mut |_, _| Ok(())).expect("annealed");
        let bound = importance_weighted(vae, &x, 500, &noise).expect("a bound");
        [mean_over_images(&ais.log_likelihood).value, mean_over_images(&bound).value]
    });
    for (cpu, cuda) in values[0].iter().zip(&values[1]) {
        assert!((cpu - cuda).abs() < 1.0, "{cpu} on the CPU, {cuda} on CUDA, nats of some 2800");
    }
}

/// Of every method one shipped configuration, players and critics included: 20 steps, evaluations and checkpoints on the device.
#[test]
fn every_method_trains_where_a_gpu_is_present() {
    if !gpu() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut seen = Vec::new();
    for (name, config) in shipped() {
        let kind = (config["method"]["name"].clone(), config["model"]["posterior"].clone());
        if seen.contains(&kind) {
            continue;
        }
        seen.push(kind);
        let mut config = shrunk(config);
        config["device"] = json!("cuda");
        let mut run = open(&config, &folder.path().join(&name));
        finish(&mut run);
        for (tensor, value) in run.algorithm().state() {
            assert!(value.device().is_cuda(), "{name}: {tensor} is on {:?}", value.device());
            assert!(value.isfinite().all().int64_value(&[]) == 1, "{name}: {tensor} is not finite");
        }
    }
}
