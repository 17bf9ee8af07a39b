//! The Bernoulli log-likelihood of a batch of pictures, value and gradient: summed with a gradient of its own, beside libtorch's operator per
//! pixel and its formula, by turns in one process.
//!
//! `cargo bench -p elbo-core --bench likelihood`; `OMP_NUM_THREADS` sets the number of threads.

use criterion::{BenchmarkId, Criterion};
use elbo_core::likelihood::bernoulli_log_density;
use elbo_core::{Generator, Likelihood};
use elbo_native::recorder::record;
use std::time::Duration;
use tch::{Device, Kind, Tensor};

/// Batches of 64×64 pixels.
const BATCHES: [i64; 3] = [16, 64, 256];

struct Batch {
    x: Tensor,
    logits: Tensor,
}

impl Batch {
    fn new(rows: i64) -> Self {
        let noise = Generator::new(Device::Cpu, 1).expect("a generator");
        let normal = || noise.normal(&[rows, 1, 64, 64], Kind::Float) * 3.0;
        Self { x: normal().sigmoid().round(), logits: normal().set_requires_grad(true) }
    }

    fn together(&self) -> Tensor {
        self.gradient(&Likelihood::Bernoulli.log_likelihood(&self.x, &self.logits))
    }

    fn per_pixel(&self) -> Tensor {
        self.gradient(&bernoulli_log_density(&self.x, &self.logits).flatten(-3, -1).sum_dim_intlist(-1, false, None))
    }

    fn gradient(&self, log_likelihood: &Tensor) -> Tensor {
        Tensor::run_backward(&[-log_likelihood.mean(None)], &[&self.logits], false, false).remove(0)
    }
}

/// Operators that work through all pixels: on CUDA a kernel each. Those that only make a view, or call another one, are left out.
fn passes(batch: &Batch, f: fn(&Batch) -> Tensor) -> usize {
    const VIEWS_AND_WRAPPERS: [&str; 13] = [
        "as_strided",
        "binary_cross_entropy_with_logits",
        "detach",
        "empty_like",
        "expand",
        "expand_as",
        "flatten",
        "log_sigmoid",
        "reshape",
        "_reshape_alias",
        "rsub",
        "unsqueeze",
        "view",
    ];
    let (_, operators) = record(|| f(batch)).expect("a recording");
    let whole = batch.logits.numel() as i64;
    let works = |operator: &&elbo_native::recorder::Operator| {
        operator.shapes.iter().any(|shape| shape.iter().product::<i64>() == whole)
            && !VIEWS_AND_WRAPPERS.contains(&operator.name.trim_start_matches("aten::"))
    };
    operators.iter().filter(works).count()
}

fn main() {
    elbo_native::initialise();
    let mut criterion = Criterion::default().warm_up_time(Duration::from_secs(1)).configure_from_args();
    let mut group = criterion.benchmark_group("Bernoulli log-likelihood, value and gradient");
    group.sample_size(20).measurement_time(Duration::from_secs(4));
    for rows in BATCHES {
        let batch = Batch::new(rows);
        group.bench_function(BenchmarkId::new("together", rows), |bencher| bencher.iter(|| batch.together()));
        group.bench_function(BenchmarkId::new("per-pixel", rows), |bencher| bencher.iter(|| batch.per_pixel()));
    }
    group.finish();
    criterion.final_summary();
    let batch = Batch::new(1);
    let (together, per_pixel) = (passes(&batch, Batch::together), passes(&batch, Batch::per_pixel));
    println!("passes over all pixels: {together} together, {per_pixel} per pixel");
}
