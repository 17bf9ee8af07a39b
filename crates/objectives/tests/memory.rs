//! Memory of the estimators, in a process of its own: nothing else adds to its peak.

use elbo_core::{Gaussian, Generator};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::Densities;
use tch::{Device, Kind, Tensor};

/// Largest resident memory of this process so far, in MiB.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("VmHWM");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number");
    kib / 1024.0
}

/// Value and gradient of the total correlation of a batch.
fn total_correlation(rows: i64, latent: i64) -> Vec<Tensor> {
    let noise = Generator::new(Device::Cpu, 1).expect("a generator");
    let leaf = |t: Tensor| t.set_requires_grad(true);
    let mean = noise.normal(&[rows, latent], Kind::Float);
    let log_var = noise.normal(&[rows, latent], Kind::Float) * 0.5 - 3.0;
    let z = leaf(Gaussian::new(mean.shallow_clone(), log_var.shallow_clone()).sample(&noise, 1));
    let posterior = Gaussian::new(leaf(mean), leaf(log_var));
    let terms = Densities::estimate(Estimator::Balanced, &posterior, &z, 737_280).terms();
    let gradients =
        Tensor::run_backward(&[terms.total_correlation], &[&z, &posterior.mean, &posterior.log_var], false, false);
    assert!(gradients.iter().all(|gradient| bool::try_from(gradient.isfinite().all()).expect("a truth value")));
    gradients
}

/// One tensor `[B, B, D]` of float32 alone would take 2.7 GB, and autograd keeps several; `[B, B]` takes 268 MB. Measured: about 20 MiB. The
/// bound leaves room for what the allocator keeps.
#[test]
fn value_and_gradient_of_8192_codes_take_less_than_100_mib() {
    elbo_native::testing::single_thread();
    // What libtorch takes once.
    total_correlation(16, 10);
    let before = peak();
    total_correlation(8192, 10);
    let grown = peak() - before;
    assert!(grown < 100.0, "{grown:.0} MiB");
}
