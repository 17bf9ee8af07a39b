//! MMD²: golden values, closed forms for Gaussians, enumeration, and what holds for any samples.

use crate::kernels::kernels;
use crate::setting::{
    DOUBLE, assert_number, divergence_oracle, generator, mean_and_error, number, permutations, tensor,
};
use elbo_objectives::divergence::{Kernel, mmd};
use proptest::prelude::*;
use serde_json::Value;
use tch::{Kind, Tensor};

/// The kernels of a golden case, with the key of their values.
fn golden_kernels(case: &Value) -> Vec<(Kernel, String)> {
    let latent = case["D"].as_f64().expect("D");
    let keys: Vec<&String> = case.as_object().expect("a case").keys().collect();
    let of = |prefix: &str, make: fn(f64) -> Kernel| -> Vec<(Kernel, String)> {
        let matching = keys.iter().filter_map(|key| Some((key.strip_prefix(prefix)?, (*key).clone())));
        matching.map(|(width, key)| (make(width.parse().expect("a width")), key)).collect()
    };
    let mut all = of("rbf_sigma_", |bandwidth| Kernel::Rbf { bandwidth });
    all.extend(of("imq_C_", |bandwidth| Kernel::InverseMultiquadratic { bandwidth }));
    let scales: Vec<f64> =
        case["imq_multiscale_scales"].as_array().expect("scales").iter().filter_map(Value::as_f64).collect();
    all.push((Kernel::MultiScale { bandwidth: 2.0 * latent, scales }, "imq_multiscale_wae".to_owned()));
    assert_eq!(all.len(), 6);
    all
}

/// RBF, inverse multiquadratic and the seven scales of Tolstikhin's code, biased and unbiased.
#[test]
fn mmd_agrees_with_the_oracle() {
    for case in divergence_oracle("mmd") {
        let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
        for (kernel, key) in golden_kernels(&case) {
            let golden = |form: &str| case[&key][form].as_f64().expect(form);
            assert_number(&mmd::biased(&x, &y, &kernel), golden("biased_v"), 1e-12);
            assert_number(&mmd::unbiased(&x, &y, &kernel), golden("unbiased_u"), 1e-12);
        }
    }
}

/// E k(a, b) of an RBF kernel for a ~ N(m, v), b ~ N(n, w), each coordinate on its own:
/// `Π_d √(σ²/(σ² + v_d + w_d)) exp(−(m_d − n_d)²/(2 (σ² + v_d + w_d)))`.
fn expected_rbf(sigma: f64, [m, v]: [[f64; 2]; 2], [n, w]: [[f64; 2]; 2]) -> f64 {
    (0..2)
        .map(|d| {
            let width = sigma.powi(2) + v[d] + w[d];
            (sigma.powi(2) / width).sqrt() * (-(m[d] - n[d]).powi(2) / (2.0 * width)).exp()
        })
        .product()
}

/// Two Gaussians whose population MMD² is known: the mean over many batches of the unbiased and of the linear-time estimate lies within
/// three standard errors of it, and that of the biased one above it by (1 − E k(x, x'))/R + (1 − E k(y, y'))/S.
#[test]
fn estimates_of_gaussians_have_the_mean_of_the_closed_form() {
    let sigma = 1.2;
    let kernel = Kernel::Rbf { bandwidth: sigma };
    let (p, q) = ([[0.4, -0.3], [0.25, 1.5]], [[0.0, 0.0], [1.0, 1.0]]);
    let (within_p, within_q) = (expected_rbf(sigma, p, p), expected_rbf(sigma, q, q));
    let population = within_p + within_q - 2.0 * expected_rbf(sigma, p, q);
    let (rows, columns) = (7, 7);
    let bias = (1.0 - within_p) / rows as f64 + (1.0 - within_q) / columns as f64;
    let noise = generator(31);
    let sample = |[mean, variance]: [[f64; 2]; 2], rows: i64| {
        noise.normal(&[rows, 2], Kind::Double) * Tensor::from_slice(&variance).sqrt() + Tensor::from_slice(&mean)
    };
    let batches: Vec<[f64; 3]> = (0..4000)
        .map(|_| {
            let (x, y) = (sample(p, rows), sample(q, columns));
            [mmd::unbiased(&x, &y, &kernel), mmd::linear_time(&x, &y, &kernel), mmd::biased(&x, &y, &kernel)]
                .map(|t| number(&t))
        })
        .collect();
    for (index, (name, expected)) in
        [("unbiased", population), ("linear-time", population), ("biased", population + bias)].into_iter().enumerate()
    {
        let (mean, error) = mean_and_error(batches.iter().map(|batch| batch[index]));
        assert!((mean - expected).abs() < 3.0 * error, "{name}: {mean} ± {error}, in closed form {expected}");
        assert!(error < 0.1 * population, "{name}: too few batches to say anything");
    }
}

/// Over all orders of the rows of x and of y, the linear-time statistic sees every pair equally often: its mean is the U-statistic.
#[test]
fn the_linear_time_statistic_has_the_mean_of_the_unbiased_one() {
    let noise = generator(32);
    let (x, y) = (noise.normal(&[4, 2], Kind::Double), noise.normal(&[4, 2], Kind::Double) * 0.5 + 1.0);
    let orders: Vec<Tensor> = permutations(4).iter().map(|order| Tensor::from_slice(order)).collect();
    for kernel in kernels() {
        let values: Vec<f64> = orders
            .iter()
            .flat_map(|of_x| orders.iter().map(move |of_y| (of_x, of_y)))
            .map(|(of_x, of_y)| number(&mmd::linear_time(&x.index_select(0, of_x), &y.index_select(0, of_y), &kernel)))
            .collect();
        let (mean, error) = mean_and_error(values.iter().copied());
        assert_number(&mmd::unbiased(&x, &y, &kernel), mean, 1e-12);
        assert!(error > 1e-3, "the orders make no difference");
    }
}

/// The unbiased estimate of a part of the rows has, over all parts, the mean of the whole: what makes it a U-statistic. The biased one has not.
#[test]
fn the_unbiased_estimate_does_not_depend_on_the_batch_size_in_the_mean() {
    let noise = generator(33);
    let (x, y) = (noise.normal(&[5, 2], Kind::Double), noise.normal(&[5, 2], Kind::Double) * 0.5 + 1.0);
    let parts: Vec<Tensor> = (0..5)
        .flat_map(|i| (i + 1..5).flat_map(move |j| (j + 1..5).map(move |k| [i, j, k])))
        .map(|part| Tensor::from_slice(&part))
        .collect();
    for kernel in kernels() {
        let mean_over_parts =
            |statistic: fn(&Tensor, &Tensor, &Kernel) -> Tensor| {
                let values = parts.iter().flat_map(|of_x| parts.iter().map(move |of_y| (of_x, of_y)));
                mean_and_error(values.map(|(of_x, of_y)| {
                    number(&statistic(&x.index_select(0, of_x), &y.index_select(0, of_y), &kernel))
                }))
                .0
            };
        assert_number(&mmd::unbiased(&x, &y, &kernel), mean_over_parts(mmd::unbiased), 1e-12);
        assert!((number(&mmd::biased(&x, &y, &kernel)) - mean_over_parts(mmd::biased)).abs() > 0.05);
    }
}

/// Four points on a line, x = 0, 1 and y = 3, 6: the points of a pair with each other, and each with the other's partner across.
#[test]
fn the_linear_time_statistic_of_one_pair_by_hand() {
    let kernel = Kernel::InverseMultiquadratic { bandwidth: 1.0 };
    let points = |values: &[f64]| Tensor::from_slice(values).unsqueeze(1);
    let of_distance = |distance: f64| 1.0 / (1.0 + distance.powi(2));
    let expected = of_distance(1.0) + of_distance(3.0) - of_distance(6.0) - of_distance(2.0);
    assert_number(&mmd::linear_time(&points(&[0.0, 1.0]), &points(&[3.0, 6.0]), &kernel), expected, 1e-15);
}

/// Of five rows the linear-time statistic uses four.
#[test]
fn an_odd_last_row_is_left_out() {
    let noise = generator(34);
    let (x, y) = (noise.normal(&[5, 3], Kind::Double), noise.normal(&[5, 3], Kind::Double));
    for kernel in kernels() {
        let four = mmd::linear_time(&x.narrow(0, 0, 4), &y.narrow(0, 0, 4), &kernel);
        assert_number(&mmd::linear_time(&x, &y, &kernel), number(&four), 0.0);
    }
}

/// One point against one point: 2 k(0) − 2 k(x, y), the smallest batch of the biased form.
#[test]
fn a_batch_of_one_has_a_biased_mmd() {
    let (x, y) = (Tensor::zeros([1, 2], DOUBLE), Tensor::ones([1, 2], DOUBLE));
    let kernel = Kernel::InverseMultiquadratic { bandwidth: 2.0 };
    assert_number(&mmd::biased(&x, &y, &kernel), 2.0 - 2.0 * 0.5, 1e-15);
}

/// Two clusters so far apart that the kernel does not reach: MMD² is the sum of both self-terms, 2 k(0) in the biased form of points.
#[test]
fn far_clusters_have_the_largest_mmd() {
    let x = Tensor::full([6, 2], 1e4, (Kind::Float, tch::Device::Cpu));
    let kernel = Kernel::Rbf { bandwidth: 1.0 };
    for statistic in [mmd::biased, mmd::unbiased, mmd::linear_time] {
        assert_number(&statistic(&x, &-&x, &kernel), 2.0, 1e-6);
    }
}

/// Float32 at means of 1e4: the value of float64, because distances are taken from differences.
#[test]
fn float32_keeps_the_value_far_from_the_origin() {
    let noise = generator(35);
    let grid = |scale: f64| (noise.normal(&[32, 4], Kind::Double) * (512.0 * scale)).round() / 512.0 + 1e4;
    let (x, y) = (grid(1.0), grid(0.5));
    let single = |t: &Tensor| t.to_kind(Kind::Float);
    for kernel in kernels() {
        for statistic in [mmd::biased, mmd::unbiased, mmd::linear_time] {
            let exact = number(&statistic(&x, &y, &kernel));
            assert_number(&statistic(&single(&x), &single(&y), &kernel), exact, 1e-5);
        }
    }
}

/// The largest tensor that an operator is given, in the forward and the backward pass of `statistic`.
fn largest_operand(statistic: &dyn Fn(&Tensor) -> Tensor, x: &Tensor) -> i64 {
    let work = || Tensor::run_backward(&[statistic(x)], &[x], false, false);
    let operators = elbo_native::recorder::record(work).expect("a recording").1;
    let sizes = operators.iter().flat_map(|operator| &operator.shapes).map(|shape| shape.iter().product());
    sizes.max().expect("operators")
}

/// The quadratic forms hold `[B, B]` and never `[B, B, D]`, the linear-time form `[B, D]` alone.
#[test]
fn memory_grows_with_pairs_and_of_the_linear_form_with_rows() {
    let (batch, latent) = (48, 10);
    let noise = generator(36);
    let x = noise.normal(&[batch, latent], Kind::Float).set_requires_grad(true);
    let y = noise.normal(&[batch, latent], Kind::Float);
    for kernel in kernels() {
        for statistic in [mmd::biased, mmd::unbiased] {
            assert_eq!(largest_operand(&|x| statistic(x, &y, &kernel), &x), batch * batch);
        }
        assert_eq!(largest_operand(&|x| mmd::linear_time(x, &y, &kernel), &x), batch * latent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Zero for equal samples, never negative (biased), the same for x and y exchanged, and for rows in another order.
    #[test]
    fn the_biased_and_unbiased_forms_do_not_see_the_order(
        rows in 2_i64..10,
        columns in 2_i64..10,
        latent in 1_i64..5,
        seed in 0_u64..1_000_000,
    ) {
        let noise = generator(seed);
        let (x, y) = (noise.normal(&[rows, latent], Kind::Double), noise.normal(&[columns, latent], Kind::Double));
        let shuffled = x.index_select(0, &noise.permutation(rows));
        for kernel in kernels() {
            prop_assert!(number(&mmd::biased(&x, &y, &kernel)) >= -1e-12);
            prop_assert!(number(&mmd::biased(&x, &shuffled, &kernel)).abs() < 1e-12);
            for statistic in [mmd::biased, mmd::unbiased] {
                let value = number(&statistic(&x, &y, &kernel));
                prop_assert!((number(&statistic(&y, &x, &kernel)) - value).abs() < 1e-12);
                prop_assert!((number(&statistic(&shuffled, &y, &kernel)) - value).abs() < 1e-12);
            }
        }
    }
}
