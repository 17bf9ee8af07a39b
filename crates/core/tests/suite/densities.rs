//! q(z|x), p(z) and the divergences between them.

use crate::support::{assert_close, generator, number, numbers, oracle, tensor_of, vector};
use approx::assert_abs_diff_eq;
use elbo_core::posterior::{
    kl_between_normals, kl_to_standard_normal, kl_to_standard_normal_per_dimension, normal_log_density,
    standard_normal_log_density,
};
use elbo_core::{Gaussian, Posterior};
use elbo_native::testing::single_thread;
use tch::{Device, Kind, Tensor};

/// scipy's figures, in float64.
#[test]
fn kl_divergences_are_those_of_the_oracle() {
    single_thread();
    for case in oracle("kl_diag_gaussian")["cases"].as_array().expect("cases") {
        let [mean, log_var, other_mean, other_log_var] =
            ["mu_q", "logvar_q", "mu_p", "logvar_p"].map(|key| tensor_of(&case[key]));
        let per_dimension = kl_to_standard_normal_per_dimension(&mean, &log_var);
        assert_close(&per_dimension, &tensor_of(&case["kl_std_normal_per_dim"]), 1e-13);
        if case["kl"].is_null() {
            continue;
        }
        assert_close(&kl_to_standard_normal(&mean, &log_var), &tensor_of(&case["kl_std_normal"]), 1e-13);
        let between = kl_between_normals(&mean, &log_var, &other_mean, &other_log_var);
        assert_close(&between, &tensor_of(&case["kl"]), 1e-13);
    }
}

/// Both forms are one divergence where the second normal is the standard one.
#[test]
fn kl_to_the_standard_normal_is_kl_between_normals_with_zeros() {
    single_thread();
    let noise = generator(1);
    let (mean, log_var) = (noise.normal(&[5, 3], Kind::Double), noise.normal(&[5, 3], Kind::Double));
    let zeros = mean.zeros_like();
    assert_close(&kl_between_normals(&mean, &log_var, &zeros, &zeros), &kl_to_standard_normal(&mean, &log_var), 1e-14);
}

/// 1/2 (v − log v − 1) = (log v)²/4 + … near 1: at log v = 1e-4 that is 2.5e-9, which `v − log v − 1` loses in float32.
#[test]
fn kl_keeps_its_digits_and_sign_near_the_prior_in_float32() {
    single_thread();
    let log_var = vector(&[0.0, 1e-4, -1e-4, 1e-3]).to_kind(Kind::Float).unsqueeze(0);
    let kl = numbers(&kl_to_standard_normal_per_dimension(&log_var.zeros_like(), &log_var));
    assert_eq!(kl[0].to_bits(), 0, "exactly 0 at the prior");
    assert!(kl.iter().all(|&kl| kl >= 0.0), "{kl:?}");
    // float32 resolves log v itself to 1e-11 there, so that the difference of two such numbers is good to about that.
    assert_abs_diff_eq!(kl[1], 2.5e-9, epsilon = 1e-11);
    assert_abs_diff_eq!(kl[3], 2.5e-7, epsilon = 1e-9);
}

/// The trapezoid rule is exact to rounding for a function as smooth, and as small at the ends, as a normal density.
#[test]
fn normal_densities_integrate_to_one_and_their_log_ratio_to_the_kl() {
    single_thread();
    for (mean, log_var) in [(0.0, 0.0), (-1.3, -2.0), (2.5, 1.2)] {
        let width = 12.0 * f64::exp(log_var / 2.0);
        let spacing = 2.0 * width / 4000.0;
        let z = Tensor::arange(4001, (Kind::Double, Device::Cpu)) * spacing + (mean - width);
        let (mean, log_var) = (vector(&[mean]), vector(&[log_var]));
        let log_q = normal_log_density(&z, &mean, &log_var);
        let integral = |values: &Tensor| number(&values.sum(None::<Kind>)) * spacing;
        assert_abs_diff_eq!(integral(&log_q.exp()), 1.0, epsilon = 1e-12);
        // standard_normal_log_density takes [.., D]: here D = 1.
        let log_p = standard_normal_log_density(&z.unsqueeze(-1));
        let kl = numbers(&kl_to_standard_normal(&mean.unsqueeze(0), &log_var.unsqueeze(0)))[0];
        assert_abs_diff_eq!(integral(&(log_q.exp() * (&log_q - &log_p))), kl, epsilon = 1e-10);
    }
    let z = Tensor::arange(4001, (Kind::Double, Device::Cpu)) * 0.005 - 10.0;
    let mass = number(&standard_normal_log_density(&z.unsqueeze(-1)).exp().sum(None::<Kind>)) * 0.005;
    assert_abs_diff_eq!(mass, 1.0, epsilon = 1e-12);
}

/// A sample is `mean + exp(log_var / 2) ε` with the generator's next ε, for one draw and for K.
#[test]
fn samples_are_reparameterised_noise_of_the_given_generator() {
    single_thread();
    let gaussian =
        Gaussian::new(vector(&[1.0, -2.0, 0.5, 3.0]).reshape([2, 2]), vector(&[0.0, 1.0, -1.0, 2.0]).reshape([2, 2]));
    let scale = (&gaussian.log_var * 0.5).exp();
    for (samples, size) in [(1, vec![2, 2]), (5, vec![5, 2, 2])] {
        let z = gaussian.sample(&generator(3), samples);
        let epsilon = generator(3).normal(&size, Kind::Double);
        assert_close(&z, &(&gaussian.mean + &scale * epsilon), 1e-15);
        let mut expected = size.clone();
        expected.pop();
        assert_eq!(gaussian.log_density(&z).size(), expected);
    }
}

/// 10⁵ draws: the mean is within 5 standard errors (5 σ/√n), the variance within 5 σ² √(2/n).
#[test]
fn samples_have_the_mean_and_variance_they_are_asked_for() {
    single_thread();
    let gaussian = Gaussian::new(vector(&[1.0, -2.0]).unsqueeze(0), vector(&[0.0, 1.5]).unsqueeze(0));
    let n = 100_000;
    let z = gaussian.sample(&generator(4), n).squeeze_dim(1);
    let mean = numbers(&z.mean_dim(0, false, None));
    let variance = numbers(&z.var_dim(0, true, false));
    for (d, (true_mean, true_variance)) in [(1.0, 1.0), (-2.0, f64::exp(1.5))].into_iter().enumerate() {
        assert_abs_diff_eq!(mean[d], true_mean, epsilon = 5.0 * (true_variance / n as f64).sqrt());
        assert_abs_diff_eq!(variance[d], true_variance, epsilon = 5.0 * true_variance * (2.0 / n as f64).sqrt());
    }
}

/// `E_q[log q(z|x)] = −(D/2)(1 + log 2π) − Σ log σ`: for 4·10⁵ draws of D = 2 within 5 standard errors (the summand's variance is D/2).
#[test]
fn the_mean_log_density_of_samples_is_minus_the_entropy() {
    single_thread();
    let gaussian = Gaussian::new(vector(&[1.0, -2.0]).unsqueeze(0), vector(&[0.4, -1.0]).unsqueeze(0));
    let n = 400_000;
    let z = gaussian.sample(&generator(5), n);
    let mean = number(&gaussian.log_density(&z).mean(None::<Kind>));
    let expected = -(1.0 + (2.0 * std::f64::consts::PI).ln()) - 0.5 * (0.4 - 1.0);
    assert_abs_diff_eq!(mean, expected, epsilon = 5.0 / (n as f64).sqrt());
}

/// The sum over dimensions is the whole; the Gaussian's own answers are the posterior's.
#[test]
fn a_gaussian_posterior_answers_everything() {
    single_thread();
    let noise = generator(6);
    let (mean, log_var) = (noise.normal(&[4, 3], Kind::Double), noise.normal(&[4, 3], Kind::Double));
    let gaussian = Gaussian::new(mean.shallow_clone(), log_var.shallow_clone());
    let z = gaussian.sample(&noise, 1);
    let posterior = Posterior::Gaussian(gaussian);
    assert_eq!(posterior.kl_to_prior_per_dimension().size(), [4, 3]);
    assert_close(&posterior.kl_to_prior(), &kl_to_standard_normal(&mean, &log_var), 1e-14);
    let density = posterior.log_density(&z).expect("a Gaussian has a density");
    assert_close(&density, &normal_log_density(&z, &mean, &log_var).sum_dim_intlist(-1, false, None), 1e-14);
}

#[test]
fn an_implicit_posterior_has_no_density() {
    single_thread();
    let posterior = Posterior::Implicit { moments: None };
    assert!(posterior.gaussian().is_none());
    assert!(posterior.log_density(&vector(&[0.0]).unsqueeze(0)).is_none());
}

#[test]
#[should_panic(expected = "the KL of an implicit posterior has no closed form")]
fn an_implicit_posterior_has_no_closed_kl() {
    single_thread();
    let _ = Posterior::Implicit { moments: None }.kl_to_prior();
}
