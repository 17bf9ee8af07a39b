//! What minibatch estimators make of codes whose terms are known.

use crate::model::generator;
use elbo_core::Gaussian;
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::exact::minibatch::minibatch_terms;
use tch::{Device, Kind, Tensor};

/// 512 encodings far from each other in two dimensions: every sample tells its example, and its coordinates each do too.
///
/// Exact: MI = ln 512, TC = ln 512 (a sample's two coordinates share all they know). From a batch of 16 rows, uniform weights read ln 16
/// for both, MWS adds ln 512 to each through its constants, and MSS and Balanced, which give the own row 1/N, read ln 512.
#[test]
fn far_apart_encodings_read_what_the_weights_say() {
    let noise = generator(1);
    let place = Tensor::arange(512, (Kind::Float, Device::Cpu)) * 10.0;
    let mean = Tensor::stack(&[&place, &place], 1);
    let encodings = Gaussian::new(mean.shallow_clone(), mean.zeros_like());
    let found = minibatch_terms(&encodings, 16, 5, &noise);
    let (n, b) = (512_f64.ln(), 16_f64.ln());
    let expected = [("mws", b + n, b + n), ("uniform", b, b), ("mss", n, n), ("balanced", n, n)];
    assert_eq!(found.len(), expected.len());
    for (terms, (name, information, correlation)) in found.iter().zip(expected) {
        assert_eq!(terms.estimator, name);
        for (term, expected) in [(terms.mutual_information, information), (terms.total_correlation, correlation)] {
            assert!(
                (term.value - expected).abs() < 1e-6 && term.standard_error < 1e-6,
                "{name}: {term:?}, not {expected}"
            );
        }
    }
    // A batch of one row has no estimate, nor has one that the data set cannot fill.
    assert!(minibatch_terms(&encodings, 1, 2, &noise).is_empty());
    assert!(minibatch_terms(&encodings, 513, 2, &noise).is_empty());
}

/// 1, 2, 3, 4: mean 2½, variance 5/3, standard error √(5/12).
#[test]
fn an_estimate_is_a_mean_with_its_standard_error() {
    let found = Estimate::of(&[1.0, 2.0, 3.0, 4.0]);
    assert!((found.value - 2.5).abs() < 1e-12 && (found.standard_error - (5.0_f64 / 12.0).sqrt()).abs() < 1e-12);
}
