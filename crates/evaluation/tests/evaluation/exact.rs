use crate::model::{generator, number};
use elbo_core::Gaussian;
use elbo_core::posterior::standard_normal_log_density;
use elbo_evaluation::exact::{Decomposition, Densities, Estimate, MemoryBudget, Samples, decompose};
use elbo_objectives::estimator::{self, Estimator};
use serde_json::Value;
use std::f64::consts::{LN_2, PI};
use tch::{Device, Kind, Tensor};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);
const BUDGET: MemoryBudget = MemoryBudget(1 << 18);

fn tensor(value: &Value) -> Tensor {
    let rows = value.as_array().expect("a list");
    match rows.first() {
        Some(Value::Array(_)) => Tensor::stack(&rows.iter().map(tensor).collect::<Vec<_>>(), 0),
        _ => Tensor::from_slice(&rows.iter().map(|v| v.as_f64().expect("a number")).collect::<Vec<_>>()),
    }
}

/// Encodings and samples with `own` drawn with replacement, in float64.
fn random(examples: i64, samples: i64, latent: i64, seed: u64) -> (Gaussian, Samples) {
    let noise = generator(seed);
    let mean = noise.normal(&[examples, latent], Kind::Double);
    let log_var = noise.normal(&[examples, latent], Kind::Double) * 0.5 - 1.5;
    let encodings = Gaussian::new(mean, log_var);
    let own = noise.integers(examples, &[samples]);
    let samples = sampled(&encodings, own, seed + 1);
    (encodings, samples)
}

fn sampled(encodings: &Gaussian, own: Tensor, seed: u64) -> Samples {
    let rows = |t: &Tensor| t.index_select(0, &own);
    let z = Gaussian::new(rows(&encodings.mean), rows(&encodings.log_var)).sample(&generator(seed), 1);
    Samples { z, own }
}

fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.reshape(-1)).expect("float64")
}

/// log-sum-exp and Gaussian densities written out in plain arithmetic, one number at a time.
fn enumerated(encodings: &Gaussian, samples: &Samples) -> (Vec<f64>, Vec<f64>) {
    let [n, d] = [0, 1].map(|axis| encodings.mean.size()[axis] as usize);
    let (mean, log_var, z) = (values(&encodings.mean), values(&encodings.log_var), values(&samples.z));
    let log_mean_exp = |terms: &[f64]| {
        let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        largest + (terms.iter().map(|term| (term - largest).exp()).sum::<f64>() / n as f64).ln()
    };
    let (mut joint, mut marginals) = (Vec::new(), Vec::new());
    for z in z.chunks(d) {
        let density = |n: usize, k: usize| {
            let (m, v) = (mean[n * d + k], log_var[n * d + k]);
            -0.5 * ((z[k] - m).powi(2) / v.exp() + v + (2.0 * PI).ln())
        };
        let sums: Vec<f64> = (0..n).map(|n| (0..d).map(|k| density(n, k)).sum()).collect();
        joint.push(log_mean_exp(&sums));
        for k in 0..d {
            marginals.push(log_mean_exp(&(0..n).map(|n| density(n, k)).collect::<Vec<_>>()));
        }
    }
    (joint, marginals)
}

fn assert_close(values: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() <= tolerance, "{value} should be {expected}");
    }
}

fn terms(decomposition: &Decomposition) -> [Estimate; 4] {
    let Decomposition { mutual_information, total_correlation, dimension_wise_kl, kl_sampled, .. } = decomposition;
    [*mutual_information, *total_correlation, *dimension_wise_kl, *kl_sampled]
}

/// Against the definition, number by number, with blocks from one element to everything at once, samples fewer and more than examples.
#[test]
fn densities_are_those_of_the_definition_for_every_block_size() {
    for (examples, count, latent) in [(7, 5, 3), (40, 90, 2), (130, 1, 1), (1, 6, 4), (1100, 3, 2)] {
        let (encodings, samples) = random(examples, count, latent, 3);
        let (joint, marginals) = enumerated(&encodings, &samples);
        for bytes in [1, 24 * 7, 24 * 100, 24 * 1000, 1 << 18, 1 << 26] {
            let densities = Densities::of(&encodings, &samples, MemoryBudget(bytes));
            assert_close(&values(&densities.joint), &joint, 1e-10);
            assert_close(&values(&densities.marginals), &marginals, 1e-10);
        }
    }
}

/// Two routes to one number: Balanced and Uniform, where the batch is the data set, are the exact densities row by row.
#[test]
fn a_batch_that_is_the_data_set_gives_the_exact_densities() {
    let (encodings, _) = random(90, 1, 4, 19);
    let samples = sampled(&encodings, Tensor::arange(90, (Kind::Int64, Device::Cpu)), 20);
    let exact = Densities::of(&encodings, &samples, MemoryBudget(24 * 500));
    for estimator in [Estimator::Balanced, Estimator::Uniform] {
        let estimate = estimator::Densities::estimate(estimator, &encodings, &samples.z, 90);
        assert_close(&values(&exact.conditional), &values(&estimate.conditional), 1e-10);
        assert_close(&values(&exact.joint), &values(&estimate.joint), 1e-10);
        assert_close(&values(&exact.marginals), &values(&estimate.marginals), 1e-10);
    }
}

/// The other two densities are the closed forms, and every mean is the mean of what it says.
#[test]
fn terms_are_means_of_the_densities_with_their_standard_errors() {
    let (encodings, samples) = random(30, 50, 3, 4);
    let densities = Densities::of(&encodings, &samples, BUDGET);
    let own = |t: &Tensor| t.index_select(0, &samples.own);
    let conditional = Gaussian::new(own(&encodings.mean), own(&encodings.log_var)).log_density(&samples.z);
    assert_close(&values(&densities.conditional), &values(&conditional), 1e-12);
    let prior = standard_normal_log_density(&samples.z);
    assert_close(&values(&densities.prior.sum_dim_intlist(-1, false, None)), &values(&prior), 1e-12);

    let result = decompose(&encodings, &samples, BUDGET);
    let product = densities.marginals.sum_dim_intlist(-1, false, None);
    let differences =
        [&conditional - &densities.joint, &densities.joint - &product, &product - &prior, &conditional - &prior];
    for (estimate, difference) in terms(&result).iter().zip(differences) {
        assert!((estimate.value - number(&difference.mean(None))).abs() < 1e-12);
        let standard_error = number(&difference.std(true)) / 50_f64.sqrt();
        assert!((estimate.standard_error - standard_error).abs() < 1e-12);
    }
    let marginal = (&densities.marginals - &densities.prior).mean_dim(0, false, None);
    assert_close(&result.marginal_kl.iter().map(|kl| kl.value).collect::<Vec<_>>(), &values(&marginal), 1e-12);
    assert!((result.kl_analytic - number(&encodings.kl_to_prior().mean(None))).abs() < 1e-12);
}

/// The three terms telescope, and so do the marginals.
#[test]
fn the_terms_add_up_to_the_sampled_kl() {
    let (encodings, samples) = random(60, 40, 5, 5);
    let result = decompose(&encodings, &samples, BUDGET);
    let [mi, tc, dw_kl, kl] = terms(&result).map(|estimate| estimate.value);
    assert!((mi + tc + dw_kl - kl).abs() < 1e-10);
    assert!((result.marginal_kl.iter().map(|kl| kl.value).sum::<f64>() - dw_kl).abs() < 1e-10);
}

/// The oracle's mixtures of 64 Gaussians: each term within three standard errors of the quadrature, and the errors small.
#[test]
fn each_term_agrees_with_quadrature() {
    let oracle: Value = serde_json::from_str(include_str!("../oracle.json")).expect("oracle.json is JSON");
    for (seed, case) in oracle["exact_aggregate_decomposition"]["cases"].as_array().expect("cases").iter().enumerate() {
        let encodings = Gaussian::new(tensor(&case["mu"]), tensor(&case["logvar"]));
        let own = generator(6).integers(64, &[40_000]);
        let result = decompose(&encodings, &sampled(&encodings, own, seed as u64), BUDGET);
        let expected = ["mi", "tc", "dwkl", "mean_kl"].map(|key| case[key].as_f64().expect(key));
        for (estimate, expected) in terms(&result).iter().zip(expected) {
            let distance = (estimate.value - expected).abs();
            assert!(distance < 3.0 * estimate.standard_error, "{estimate:?} is {distance} away from {expected}");
            assert!(estimate.standard_error < 0.02);
        }
        for (estimate, expected) in result.marginal_kl.iter().zip(values(&tensor(&case["dwkl_per_dim"]))) {
            assert!((estimate.value - expected).abs() < 3.0 * estimate.standard_error, "{estimate:?}, {expected}");
        }
        assert!((result.kl_analytic - expected[3]).abs() < 1e-12);
    }
}

/// Two encodings on the diagonal, far apart: each coordinate alone is a fair coin, and the pair is one coin. So MI = TC = ln 2 at every
/// sample, without error.
#[test]
fn two_far_clusters_carry_one_bit() {
    let mean = Tensor::from_slice2(&[[60.0, 60.0], [-60.0, -60.0]]);
    let encodings = Gaussian::new(mean.shallow_clone(), mean.zeros_like());
    let samples = sampled(&encodings, Tensor::from_slice(&[0_i64, 1, 1, 0, 1]), 7);
    let [mi, tc, ..] = terms(&decompose(&encodings, &samples, BUDGET));
    for estimate in [mi, tc] {
        assert!((estimate.value - LN_2).abs() < 1e-12 && estimate.standard_error < 1e-12, "{estimate:?}");
    }
}

/// One encoding for all: q(z) is a Gaussian. MI = TC = 0 at every sample, and DWKL is its KL to the prior.
#[test]
fn one_encoding_for_all_has_only_a_dimension_wise_kl() {
    let mean = Tensor::from_slice(&[0.7, -0.2, 0.0]).expand([50, 3], false);
    let log_var = Tensor::from_slice(&[-0.5, 0.3, 0.0]).expand([50, 3], false);
    let encodings = Gaussian::new(mean, log_var);
    let samples = sampled(&encodings, generator(8).integers(50, &[20_000]), 9);
    let result = decompose(&encodings, &samples, BUDGET);
    let [mi, tc, dw_kl, kl] = terms(&result);
    assert!(mi.value.abs() < 1e-12 && tc.value.abs() < 1e-12);
    assert!((dw_kl.value - result.kl_analytic).abs() < 3.0 * dw_kl.standard_error);
    assert!((dw_kl.value - kl.value).abs() < 1e-12);
    assert!(result.marginal_kl[2].value.abs() < 1e-12, "the third coordinate is the prior");
}

/// A large N of encodings spread as N(0, 1 − s²) around which z has variance s²: q(z) is close to N(0, 1), so that per coordinate
/// MI → ½ ln(1/s²), TC → 0 and DWKL → 0, up to the noise of the means, which falls with N.
#[test]
fn a_dense_gaussian_code_has_the_information_of_its_channel() {
    let (noise, variance) = (generator(10), 0.25_f64);
    let mean = noise.normal(&[20_000, 2], Kind::Float) * (1.0 - variance).sqrt();
    let encodings = Gaussian::new(mean.shallow_clone(), Tensor::full_like(&mean, variance.ln()));
    let samples = sampled(&encodings, noise.permutation(20_000).narrow(0, 0, 2000), 11);
    let [mi, tc, dw_kl, _] = terms(&decompose(&encodings, &samples, MemoryBudget::of(Device::Cpu)));
    assert!((mi.value - (1.0 / variance).ln()).abs() < 3.0 * mi.standard_error + 0.01, "{mi:?}");
    assert!(tc.value.abs() < 3.0 * tc.standard_error + 0.01, "{tc:?}");
    assert!(dw_kl.value.abs() < 3.0 * dw_kl.standard_error + 0.01, "{dw_kl:?}");
}

/// Disjoint encodings: I(x; z) = ln N exactly, its largest value.
#[test]
fn disjoint_encodings_reach_ln_n() {
    let mean = Tensor::arange(300, DOUBLE).unsqueeze(1).expand([300, 2], false) * 1e3;
    let encodings = Gaussian::new(mean.shallow_clone(), mean.zeros_like());
    let samples = sampled(&encodings, generator(12).integers(300, &[64]), 13);
    let result = decompose(&encodings, &samples, MemoryBudget(24 * 64));
    assert!((result.mutual_information.value - 300_f64.ln()).abs() < 1e-10);
}

/// Float32 codes at σ = 1e-3 in 32 dimensions, against float64 on the same numbers: within 1e-5 of the magnitude of the densities.
#[test]
fn float32_keeps_its_digits_at_small_widths() {
    let noise = generator(14);
    let mean = noise.normal(&[3000, 32], Kind::Float) * 3.0;
    let encodings = Gaussian::new(mean.shallow_clone(), mean.zeros_like() + 2.0 * 1e-3_f64.ln());
    let samples = sampled(&encodings, noise.permutation(3000).narrow(0, 0, 200), 15);
    let wide = Gaussian::new(encodings.mean.to_kind(Kind::Double), encodings.log_var.to_kind(Kind::Double));
    let wide_samples = Samples { z: samples.z.to_kind(Kind::Double), own: samples.own.shallow_clone() };
    let budget = MemoryBudget::of(Device::Cpu);
    let (narrow, wide) = (Densities::of(&encodings, &samples, budget), Densities::of(&wide, &wide_samples, budget));
    for (narrow, wide) in [(&narrow.joint, &wide.joint), (&narrow.marginals, &wide.marginals)] {
        assert_eq!(narrow.kind(), Kind::Double);
        let relative = number(&((narrow - wide).abs() / (wide.abs() + 1.0)).max());
        assert!(relative < 1e-6, "{relative:e}");
    }
}

/// A sample so far out that its distance overflows float32 in most components: still the value of the components that it is near to.
#[test]
fn components_out_of_float32_range_count_as_nothing() {
    let mean = Tensor::from_slice2(&[[0.0_f32, 0.0], [1e4, 1e4], [-1e4, 0.0]]);
    let log_var = Tensor::full_like(&mean, -75.0);
    let encodings = Gaussian::new(mean, log_var);
    let samples = sampled(&encodings, Tensor::from_slice(&[0_i64, 1, 2]), 16);
    let result = decompose(&encodings, &samples, MemoryBudget(1));
    assert!((result.mutual_information.value - 3_f64.ln()).abs() < 1e-5, "{:?}", result.mutual_information);
    assert!(terms(&result).iter().all(|estimate| estimate.value.is_finite()));
}

/// Codes that carry gradients leave none behind.
#[test]
fn no_graph_is_built() {
    let (encodings, samples) = random(20, 10, 2, 17);
    let encodings = Gaussian::new(encodings.mean.set_requires_grad(true), encodings.log_var.set_requires_grad(true));
    let densities = Densities::of(&encodings, &samples, BUDGET);
    assert!(!densities.joint.requires_grad() && !densities.marginals.requires_grad());
    assert!(!densities.conditional.requires_grad());
}

/// What goes to `summary.json`: a value and its error under each name.
#[test]
fn a_decomposition_is_written_by_name() {
    let (encodings, samples) = random(20, 10, 2, 18);
    let json = serde_json::to_value(decompose(&encodings, &samples, BUDGET)).expect("JSON");
    for name in ["mutual_information", "total_correlation", "dimension_wise_kl", "kl_sampled"] {
        assert!(json[name]["value"].is_f64() && json[name]["standard_error"].is_f64(), "{json}");
    }
    assert_eq!(json["marginal_kl"].as_array().map(Vec::len), Some(2));
}

/// A coordinate whose encodings are all N(0, 1) has the entropy of the prior, ½ ln 2πe; one of two far encodings of deviation 1, ln 2 more.
#[test]
fn marginal_entropies_are_those_of_the_mixtures() {
    let noise = crate::model::generator(4);
    let far = Tensor::from_slice(&[-50.0, 0.0, 50.0, 0.0]).view([2, 2]);
    let encodings = Gaussian::new(far.shallow_clone(), far.zeros_like());
    let own = Tensor::arange(4000, (Kind::Int64, Device::Cpu)).remainder(2);
    let rows = |t: &Tensor| t.index_select(0, &own);
    let z = Gaussian::new(rows(&encodings.mean), rows(&encodings.log_var)).sample(&noise, 1);
    let found = decompose(&encodings, &Samples { z, own }, BUDGET).marginal_entropy;
    let normal = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln();
    for (entropy, expected) in found.iter().zip([normal + std::f64::consts::LN_2, normal]) {
        assert!((entropy.value - expected).abs() < 3.5 * entropy.standard_error, "{entropy:?}, not {expected}");
        // The deviation of ½ε² over √4000.
        assert!((entropy.standard_error - (0.5_f64 / 4000.0).sqrt()).abs() < 1e-3);
    }
}

/// An interruption ends the work with its own error.
#[test]
fn an_interrupted_decomposition_returns_the_interruption() {
    let noise = crate::model::generator(4);
    let mean = noise.normal(&[3000, 4], Kind::Float);
    let encodings = Gaussian::new(mean.shallow_clone(), mean.zeros_like());
    let samples = Samples { own: Tensor::arange(3000, (Kind::Int64, Device::Cpu)), z: mean };
    let mut calls = 0;
    let stopped = Densities::watched(&encodings, &samples, BUDGET, &mut |done, total| {
        assert!(done <= total && total == 3000);
        calls += 1;
        anyhow::bail!("enough")
    });
    assert_eq!((stopped.err().map(|error| error.to_string()), calls), (Some("enough".to_owned()), 1));
}
