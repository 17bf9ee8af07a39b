//! Blocks spread over threads, in a process of its own: the number of libtorch's threads is the process's.

use elbo_core::{Gaussian, Generator};
use elbo_objectives::Estimator;
use elbo_objectives::estimator::Densities;
use tch::{Device, Kind, Tensor};

/// Joint, marginals, and the gradients of z, mean and log-variance of a function of both.
fn everything(estimator: Estimator) -> Vec<Tensor> {
    let noise = Generator::new(Device::Cpu, 7).expect("a generator");
    let leaf = |t: Tensor| t.set_requires_grad(true);
    let mean = noise.normal(&[700, 6], Kind::Double);
    let log_var = noise.normal(&[700, 6], Kind::Double) * 0.5 - 2.0;
    let z = leaf(Gaussian::new(mean.shallow_clone(), log_var.shallow_clone()).sample(&noise, 1));
    let posterior = Gaussian::new(leaf(mean), leaf(log_var));
    let found = Densities::estimate(estimator, &posterior, &z, 700);
    let loss = found.joint.sin().sum(None::<Kind>) + found.marginals.square().mean(None::<Kind>);
    let mut all = Tensor::run_backward(&[loss], &[&z, &posterior.mean, &posterior.log_var], false, false);
    all.extend([found.joint.detach(), found.marginals.detach()]);
    all
}

/// Three threads add up in another order than one, and otherwise do the same; two runs on three threads agree to the bit.
#[test]
fn threads_change_rounding_alone() {
    for &estimator in Estimator::ALL {
        tch::set_num_threads(1);
        let one = everything(estimator);
        tch::set_num_threads(3);
        let (three, again) = (everything(estimator), everything(estimator));
        for ((one, three), again) in one.iter().zip(&three).zip(&again) {
            let largest = |values: Tensor| f64::try_from(values.abs().max()).expect("a number");
            let (distance, size) = (largest(one - three), largest(one.shallow_clone()));
            assert!(distance < 1e-11 * (1.0 + size), "{estimator}: {distance:e} of {size}");
            assert!(three.equal(again), "{estimator}: two runs differ");
        }
    }
}
