//! Adaptive contrast: what is whitened, and by what.

use crate::support::{generator, number, numbers};
use elbo_adversarial::ContrastName;
use elbo_adversarial::avb::{Reference, VARIANCE_FLOOR};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Gaussian, Posterior};
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

fn gaussian(rows: i64, seed: u64, spread: f64) -> Gaussian {
    let noise = generator(seed);
    let size = [rows, 3];
    Gaussian::new(noise.normal(&size, Kind::Double), noise.normal(&size, Kind::Double) * spread - 3.0)
}

/// The density of z̃ under q, from nothing but `whiten`: q's own density divided by how much an interval of z grows.
fn whitened_density(reference: &Reference, q: &Gaussian, z: &Tensor) -> Tensor {
    let growth = reference.whiten(&(z + 1.0)) - reference.whiten(z);
    q.log_density(z) - growth.log().sum_dim_intlist(-1, false, None)
}

/// `T*(x, z̃) = log q̃(z̃|x) − log N(z̃; 0, I)`, and `T* + log r = log q`: so only if the σ of z̃ is that of log r. Variances of e^−3 e^±2
/// and far below the floor: the published code, with `sqrt(var + 1e-4)` in z̃ and `log(var)` in log r, is off by up to 4 nats here.
#[test]
fn the_optimal_critic_and_the_contrast_add_up_to_the_posterior() {
    single_thread();
    for (spread, shift) in [(1.0, 0.0), (1.0, -9.0)] {
        let q = gaussian(50, 1, spread);
        let q = Gaussian::new(q.mean, q.log_var + shift);
        // Any moments will do, not only the right ones.
        let off = Gaussian::new(&q.mean + 0.3, &q.log_var + 0.2);
        let z = q.sample(&generator(2), 1);
        for moments in [&q, &off] {
            let reference = Reference::of(moments);
            let whitened = reference.whiten(&z);
            let optimal = whitened_density(&reference, &q, &z) - standard_normal_log_density(&whitened);
            let distance = (optimal + reference.log_density(&z) - q.log_density(&z)).abs().max();
            assert!(number(&distance) < 1e-6, "{distance:?}");
        }
    }
    // What the bug would have given, by the same measure.
    let q = gaussian(50, 1, 1.0);
    let low = Gaussian::new(q.mean, q.log_var - 9.0);
    let z = low.sample(&generator(2), 1);
    let reference = Reference::of(&low);
    let whitened = reference.whiten(&z);
    let optimal = whitened_density(&reference, &low, &z) - standard_normal_log_density(&whitened);
    let published = standard_normal_log_density(&whitened) - (&low.log_var * 0.5).sum_dim_intlist(-1, false, None);
    let error = (optimal + published - low.log_density(&z)).abs().max();
    assert!(number(&error) > 1.0, "the test sees the bug: {error:?}");
}

#[test]
fn whitened_samples_of_the_reference_are_standard_normal() {
    single_thread();
    let rows = 40_000;
    let q = Gaussian::new(
        Tensor::full([rows, 3], 1.5, (Kind::Double, Device::Cpu)),
        Tensor::full([rows, 3], 0.04_f64.ln(), (Kind::Double, Device::Cpu)),
    );
    let posterior =
        Posterior::Implicit { moments: Some(Gaussian::new(q.mean.shallow_clone(), q.log_var.shallow_clone())) };
    let z = q.sample(&generator(3), 1);
    for name in [ContrastName::Moments, ContrastName::BatchMoments] {
        let whitened = Reference::new(name, &posterior, &z).whiten(&z);
        // Five standard errors of a mean and of a variance over 120 000 numbers; the floor is 1e-4 of a variance of 0.04.
        assert!(number(&whitened.mean(None)).abs() < 5.0 / 120_000_f64.sqrt());
        let variance = number(&whitened.var(true));
        assert!((variance - 0.04 / (0.04 + VARIANCE_FLOOR)).abs() < 5.0 * (2.0 / 120_000_f64).sqrt(), "{variance}");
    }
    let prior = Reference::new(ContrastName::Prior, &posterior, &z);
    assert!(prior.whiten(&z).equal(&z));
    assert!(prior.log_ratio_to_prior(&z).is_none());
}

/// A model could lower the bound through moments that follow it: no gradient may.
#[test]
fn moments_are_constants_for_every_gradient() {
    single_thread();
    let q = gaussian(8, 4, 1.0);
    let (mean, log_var) = (q.mean.set_requires_grad(true), q.log_var.set_requires_grad(true));
    let z = generator(5).normal(&[8, 3], Kind::Double).set_requires_grad(true);
    let live = Posterior::Gaussian(Gaussian::new(mean.shallow_clone(), log_var.shallow_clone()));
    for name in [ContrastName::Moments, ContrastName::BatchMoments] {
        let reference = Reference::new(name, &live, &z);
        let value = reference.whiten(&z).square().sum(None) + reference.log_density(&z).sum(None) * 0.5;
        let gradients = Tensor::run_backward(&[value], &[&z], false, false);
        assert!(!reference.whiten(&z.detach()).requires_grad() && !reference.log_density(&z.detach()).requires_grad());
        // d/dz of Σ z̃² − Σ z̃²/4, with μ and σ held fixed: 3/2 z̃/σ.
        let scale = (reference.whiten(&(z.detach() + 1.0)) - reference.whiten(&z.detach())).reciprocal();
        let expected = reference.whiten(&z.detach()) * 1.5 / scale;
        for (got, expected) in numbers(&gradients[0]).into_iter().zip(numbers(&expected)) {
            assert!((got - expected).abs() < 1e-9 * expected.abs().max(1.0), "{name}: {got} for {expected}");
        }
    }
}
