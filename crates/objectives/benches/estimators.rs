//! Value and gradient of the terms of one batch: in blocks, against the plain form that keeps `[B, B, D]` for autograd.
//!
//! `cargo bench -p elbo-objectives --bench estimators` measures time, both forms by turns in one process, and then the peak memory of each,
//! every measurement in a process of its own. `OMP_NUM_THREADS` sets the number of threads.

use criterion::{BenchmarkId, Criterion};
use elbo_core::{Gaussian, Generator};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::{Densities, log_mixture};
use std::process::Command;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

const LATENT: i64 = 10;
const DATASET_LEN: i64 = 737_280;
/// The plain form at a batch of 8192 would take more than 20 GB.
const LARGEST_PLAIN: i64 = 4096;
const BATCHES: [i64; 6] = [64, 256, 1024, 2048, 4096, 8192];

struct Batch {
    mean: Tensor,
    log_var: Tensor,
    z: Tensor,
}

fn batch(rows: i64) -> Batch {
    let noise = Generator::new(Device::Cpu, 1).expect("a generator");
    let leaf = |t: Tensor| t.set_requires_grad(true);
    let mean = noise.normal(&[rows, LATENT], Kind::Float);
    let log_var = noise.normal(&[rows, LATENT], Kind::Float) * 0.5 - 3.0;
    let z = Gaussian::new(mean.shallow_clone(), log_var.shallow_clone()).sample(&noise, 1);
    Batch { mean: leaf(mean), log_var: leaf(log_var), z: leaf(z) }
}

impl Batch {
    fn posterior(&self) -> Gaussian {
        Gaussian::new(self.mean.shallow_clone(), self.log_var.shallow_clone())
    }

    fn blocks(&self, estimator: Estimator) -> Vec<Tensor> {
        let densities = Densities::estimate(estimator, &self.posterior(), &self.z, DATASET_LEN);
        self.gradients(&densities.joint, &densities.marginals)
    }

    fn plain(&self, estimator: Estimator) -> Vec<Tensor> {
        let rows = self.z.size()[0];
        let weights = estimator.log_weights(0..rows, rows, DATASET_LEN, (Kind::Float, Device::Cpu));
        let mixture = log_mixture(&self.z, &self.mean, &self.log_var, &weights);
        self.gradients(&mixture.joint, &mixture.marginals)
    }

    /// Of the total correlation, to which joint and marginals come with cotangents of their own.
    fn gradients(&self, joint: &Tensor, marginals: &Tensor) -> Vec<Tensor> {
        let total_correlation = (joint - marginals.sum_dim_intlist(-1, false, None)).mean(None);
        Tensor::run_backward(&[total_correlation], &[&self.z, &self.mean, &self.log_var], false, false)
    }
}

fn time() {
    let mut criterion = Criterion::default().warm_up_time(Duration::from_secs(1)).configure_from_args();
    for estimator in [Estimator::Mws, Estimator::Balanced] {
        let mut group = criterion.benchmark_group(format!("value and gradient, {estimator}"));
        group.sample_size(10).measurement_time(Duration::from_secs(4));
        for rows in BATCHES {
            let batch = batch(rows);
            group.bench_function(BenchmarkId::new("blocks", rows), |bencher| bencher.iter(|| batch.blocks(estimator)));
            if rows <= LARGEST_PLAIN {
                group
                    .bench_function(BenchmarkId::new("plain", rows), |bencher| bencher.iter(|| batch.plain(estimator)));
            }
        }
    }
    criterion.final_summary();
}

/// What a child process is asked to measure: form and rows.
const CHILD: &str = "ELBO_BENCH_MEMORY";

/// Largest resident memory of this process so far, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib / 1024.0
}

fn child(task: &str) {
    let (form, rows) = task.split_once(' ').expect("form and rows");
    // Once with few rows, so that what libtorch takes once is not counted.
    let run = |batch: &Batch| if form == "plain" { batch.plain(Estimator::Mws) } else { batch.blocks(Estimator::Mws) };
    run(&batch(16));
    let before = peak();
    run(&batch(rows.parse().expect("a number")));
    println!("{:.0}", peak() - before);
}

fn memory() {
    let measure = |form: &str, rows: i64| {
        let program = std::env::current_exe().expect("this program");
        let output = Command::new(program).env(CHILD, format!("{form} {rows}")).output().expect("a child");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    println!("\npeak memory of value and gradient, MiB, mws, D = {LATENT}\n{:>6} {:>8} {:>8}", "B", "blocks", "plain");
    for rows in BATCHES {
        let plain = if rows <= LARGEST_PLAIN { measure("plain", rows) } else { "·".to_owned() };
        println!("{rows:>6} {:>8} {plain:>8}", measure("blocks", rows));
    }
}

fn main() {
    elbo_native::initialise();
    if let Ok(task) = std::env::var(CHILD) {
        return child(&task);
    }
    time();
    // `cargo test` runs benchmarks once, to see that they work.
    if std::env::args().any(|argument| argument == "--bench") {
        memory();
    }
}
