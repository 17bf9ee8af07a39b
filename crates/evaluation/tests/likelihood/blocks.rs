//! What is decoded at a time has a bound, whatever the numbers of samples, chains and pictures.

use crate::model::{Known, distance, formula, generator, quiet, vae};
use elbo_core::{Gaussian, Likelihood, Vae};
use elbo_evaluation::likelihood::hamiltonian::Target;
use elbo_evaluation::likelihood::whitened::Whitened;
use elbo_evaluation::likelihood::{Refinement, Settings, annealed, bounds, importance_weighted};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tch::{Device, Kind, Tensor};

const PIXELS: i64 = 1 << 16;
/// 2²² values, as the module says.
const PICTURES_AT_ONCE: i64 = 64;

/// Large pictures, and the largest number of them that was decoded at once.
fn model() -> (Vae, Arc<AtomicI64>) {
    let largest = Arc::new(AtomicI64::new(0));
    let seen = Arc::clone(&largest);
    let weight = generator(31).normal(&[2, PIXELS], Kind::Float) * 0.01;
    let encoder = formula(&weight, |x| {
        let mean = x.narrow(-1, 0, 2).reshape([-1, 2]);
        Tensor::cat(&[&mean, &(mean.zeros_like() - 2.0)], 1)
    });
    let decoder = formula(&weight.shallow_clone(), move |z| {
        seen.fetch_max(z.size()[0], Ordering::Relaxed);
        z.matmul(&weight)
    });
    (vae(Known::Density, encoder, decoder, Likelihood::Bernoulli, 2, PIXELS), largest)
}

fn pictures(count: i64) -> Tensor {
    generator(32).bernoulli(&Tensor::full([count, 1, 1, PIXELS], 0.5, (Kind::Float, Device::Cpu)))
}

/// 5 · 30 and 1 · 70 pictures are more than 64: each estimate decodes 64 at most.
#[test]
fn no_estimate_decodes_more_than_a_block() {
    let (vae, largest) = model();
    for (images, samples) in [(30, 5), (70, 1)] {
        let x = pictures(images);
        let bound = importance_weighted(&vae, &x, samples, &generator(1)).expect("a density");
        assert_eq!(bound.size(), [images]);
        let settings = Settings { leapfrog_steps: 1, ..Settings::new(1, samples) };
        annealed(&vae, &x, &settings, &generator(1), &mut quiet()).expect("no interruption");
        let refinement = Refinement { steps: 1, samples, evaluation_samples: samples, ..Refinement::default() };
        bounds(&vae, &x, &generator(1), &refinement, &mut quiet()).expect("no interruption").expect("a density");
    }
    assert!((60..=PICTURES_AT_ONCE).contains(&largest.load(Ordering::Relaxed)));
}

/// Values and gradients of blocks are those of the whole, in their places: along samples, along images, with rests.
#[test]
fn blocks_are_put_together_in_their_places() {
    let (vae, _) = model();
    for (images, chains) in [(3, 50), (70, 2), (1, 65)] {
        let x = pictures(images);
        let position = generator(2).normal(&[chains, images, 2], Kind::Double);
        let whole = Whitened::new(&vae, &x, &generator(1));
        let (values, gradient) = whole.evaluate(&position).expect("a density");
        for image in [0, images - 1] {
            let one = x.narrow(0, image, 1);
            let target = Whitened::new(&vae, &one, &generator(1));
            for chain in [0, chains / 2, chains - 1] {
                let at = position.narrow(0, chain, 1).narrow(1, image, 1);
                let (value, slope) = target.evaluate(&at).expect("a density");
                // Sums of 65 536 float32 terms near 45 000, in two orders of addition.
                let tolerance = 0.02;
                assert!(distance(&values.narrow(0, chain, 1).narrow(1, image, 1), &value) < tolerance);
                assert!(distance(&gradient.narrow(0, chain, 1).narrow(1, image, 1), &slope) < tolerance);
            }
        }
    }
}

/// The bound of samples that come in several blocks is the log-mean-exp of all of them: 150 of one picture, in blocks
/// of 64.
#[test]
fn the_importance_weights_of_all_blocks_count() {
    let (vae, _) = model();
    let x = pictures(1);
    let bound = importance_weighted(&vae, &x, 150, &generator(4)).expect("a density");
    let noise = generator(4);
    let posterior = vae.encode(&x, &noise).0;
    let gaussian = posterior.gaussian().expect("a Gaussian");
    let gaussian = Gaussian::new(gaussian.mean.to_kind(Kind::Double), gaussian.log_var.to_kind(Kind::Double));
    let mut log_weights = Vec::new();
    for count in [64, 64, 22] {
        let z = gaussian.sample(&noise, count);
        let log_likelihood = vae.likelihood().log_likelihood(&x, &vae.decode(&z.to_kind(Kind::Float)));
        let prior = (z.square() + (2.0 * std::f64::consts::PI).ln()).sum_dim_intlist(-1, false, None) * -0.5;
        log_weights.push(log_likelihood.to_kind(Kind::Double) + prior - gaussian.log_density(&z));
    }
    let expected = Tensor::cat(&log_weights, 0).logsumexp(0, false) - 150_f64.ln();
    assert!(distance(&bound, &expected) < 1e-9);
}
