//! HSIC: golden values, enumeration over every sample of a small distribution, and what holds for any codes.

use crate::kernels::kernels;
use crate::setting::{assert_number, divergence_oracle, generator, number, tensor};
use elbo_objectives::divergence::hsic::{biased, gram, joint, unbiased};
use elbo_objectives::divergence::{Kernel, mmd};
use proptest::prelude::*;
use tch::{Kind, Tensor};

fn rbf(bandwidth: f64) -> Kernel {
    Kernel::Rbf { bandwidth }
}

/// Columns of a matrix, each as `[B, 1]`.
fn columns(t: &Tensor) -> Vec<Tensor> {
    (0..t.size()[1]).map(|column| t.narrow(1, column, 1)).collect()
}

#[test]
fn hsic_agrees_with_the_oracle() {
    for case in divergence_oracle("hsic") {
        let golden = |key: &str| case[key].as_f64().expect(key);
        let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
        let kernel = rbf(golden("sigma"));
        let (k, l) = (gram(&x, &kernel), gram(&y, &kernel));
        let batch = golden("n");
        assert_number(&biased(&k, &l), golden("hsic_biased_1_over_n2"), 1e-14);
        assert_number(&(biased(&k, &l) * (batch / (batch - 1.0)).powi(2)), golden("hsic_1_over_nm1_2"), 1e-14);
        assert_number(&unbiased(&k, &l), golden("hsic_unbiased"), 1e-14);
        let grams: Vec<Tensor> = [&x, &y].into_iter().flat_map(columns).map(|column| gram(&column, &kernel)).collect();
        assert_number(&joint(&grams), golden("dhsic_all_columns"), 1e-14);
    }
}

/// Three outcomes (a, b) with their probabilities, a and b dependent.
const OUTCOMES: [([f64; 2], f64); 3] = [([0.0, 0.3], 0.5), ([1.0, -0.8], 0.2), ([2.5, 1.1], 0.3)];

/// HSIC of the distribution itself: E k l + E k E l − 2 E_i[E_j k E_j l], over the outcomes.
fn population(k: &dyn Fn(f64, f64) -> f64) -> f64 {
    let pairs = || OUTCOMES.iter().flat_map(|a| OUTCOMES.iter().map(move |b| (a, b, a.1 * b.1)));
    let mean_of = |coordinate: usize| pairs().map(|(a, b, p)| p * k(a.0[coordinate], b.0[coordinate])).sum::<f64>();
    let row = |a: f64, coordinate: usize| OUTCOMES.iter().map(|b| b.1 * k(a, b.0[coordinate])).sum::<f64>();
    let together: f64 = pairs().map(|(a, b, p)| p * k(a.0[0], b.0[0]) * k(a.0[1], b.0[1])).sum();
    let across: f64 = OUTCOMES.iter().map(|(a, p)| p * row(a[0], 0) * row(a[1], 1)).sum();
    together + mean_of(0) * mean_of(1) - 2.0 * across
}

/// The mean over every sample of `rows` draws that there is, weighed by its probability.
fn mean_over_samples(rows: u32, statistic: &dyn Fn(&Tensor, &Tensor) -> Tensor) -> f64 {
    let choices = OUTCOMES.len();
    (0..choices.pow(rows))
        .map(|code| {
            let drawn: Vec<_> = (0..rows).map(|row| OUTCOMES[code / choices.pow(row) % choices]).collect();
            let column = |index: usize| {
                let values: Vec<f64> = drawn.iter().map(|(outcome, _)| outcome[index]).collect();
                gram(&Tensor::from_slice(&values).unsqueeze(1), &rbf(1.0))
            };
            let probability: f64 = drawn.iter().map(|(_, probability)| probability).product();
            probability * number(&statistic(&column(0), &column(1)))
        })
        .sum()
}

/// Enumeration: the mean of the unbiased form over all samples is the HSIC of the distribution, at 4 and at 5 rows. That of the biased form
/// is not, and neither is it when 1/(B − 1)² replaces 1/B².
#[test]
fn the_unbiased_form_has_the_mean_of_the_distribution() {
    let truth = population(&|a, b| (-(a - b).powi(2) / 2.0).exp());
    for rows in [4, 5] {
        let mean = mean_over_samples(rows, &unbiased);
        assert!((mean - truth).abs() < 1e-14, "B = {rows}: {mean}, by enumeration {truth}");
        let mean = mean_over_samples(rows, &biased);
        assert!((mean - truth).abs() > 1e-3, "B = {rows}: the biased form is not biased");
        let corrected = mean * (f64::from(rows) / f64::from(rows - 1)).powi(2);
        assert!((corrected - truth).abs() > 5e-3, "B = {rows}: 1/(B − 1)² is not biased");
    }
}

/// Every pair (a, b) once: the empirical distribution is a product, and the biased form is zero, pairwise and joint. So it is for two groups of
/// a grid in three dimensions, one group of two.
#[test]
fn a_grid_of_codes_has_no_dependence() {
    let [across, down] = [
        Tensor::from_slice2(&[[0.0_f64, 0.5], [1.0, -1.0], [2.2, 0.1]]),
        Tensor::from_slice2(&[[-0.4_f64], [0.3], [0.9], [2.0]]),
    ];
    let first = across.unsqueeze(1).expand([3, 4, 2], false).reshape([12, 2]);
    let second = down.unsqueeze(0).expand([3, 4, 1], false).reshape([12, 1]);
    for kernel in kernels() {
        let grams = [gram(&first, &kernel), gram(&second, &kernel)];
        assert_number(&biased(&grams[0], &grams[1]), 0.0, 1e-14);
    }
    assert_number(&joint(&[gram(&first, &rbf(1.0)), gram(&second, &rbf(1.0))]), 0.0, 1e-14);
}

/// HSIC is MMD² between the pairs as they are and all pairs of the product, under the product kernel; for RBF kernels of one width that is the RBF
/// kernel of the joined coordinates.
#[test]
fn hsic_is_the_mmd_from_the_product_of_the_marginals() {
    let noise = generator(41);
    let (a, b) = (noise.normal(&[5, 2], Kind::Double), noise.normal(&[5, 1], Kind::Double));
    let kernel = rbf(1.4);
    let together = Tensor::cat(&[&a, &b], 1);
    let apart = Tensor::cat(
        &[
            a.unsqueeze(1).expand([5, 5, 2], false).reshape([25, 2]),
            b.unsqueeze(0).expand([5, 5, 1], false).reshape([25, 1]),
        ],
        1,
    );
    let expected = number(&mmd::biased(&together, &apart, &kernel));
    assert_number(&biased(&gram(&a, &kernel), &gram(&b, &kernel)), expected, 1e-14);
    assert_number(&joint(&[gram(&a, &kernel), gram(&b, &kernel)]), expected, 1e-14);
}

/// XOR: of three fair coins, the third the exclusive or of the others, any two are independent and all three are not. The pairwise statistic is
/// zero and the joint one is not.
#[test]
fn the_joint_form_sees_what_no_pair_shows() {
    let coins = Tensor::from_slice2(&[[0.0_f64, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]);
    let grams: Vec<Tensor> = columns(&coins).iter().map(|column| gram(column, &rbf(1.0))).collect();
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        assert_number(&biased(&grams[first], &grams[second]), 0.0, 1e-15);
    }
    // P puts 1/4 on the four even corners, the product 1/8 on all eight: MMD² = Σ over corners of the difference ±1/8, (1 − e)³/8 with
    // e = exp(−1/2) the kernel of two different sides.
    assert_number(&joint(&grams), (1.0 - (-0.5_f64).exp()).powi(3) / 8.0, 1e-15);
}

/// A coordinate that never moves depends on nothing.
#[test]
fn a_constant_group_has_no_dependence() {
    let codes = generator(42).normal(&[6, 1], Kind::Double);
    for kernel in kernels() {
        let (constant, moving) = (gram(&codes.ones_like(), &kernel), gram(&codes, &kernel));
        for statistic in [biased, unbiased] {
            assert_number(&statistic(&constant, &moving), 0.0, 1e-15);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Never negative (biased, joint), symmetric, blind to the order of the rows, and dHSIC of two groups is HSIC.
    #[test]
    fn what_holds_for_any_codes(batch in 4_i64..12, latent in 1_i64..4, seed in 0_u64..1_000_000) {
        let noise = generator(seed);
        let (a, b) = (noise.normal(&[batch, latent], Kind::Double), noise.normal(&[batch, 1], Kind::Double));
        let order = noise.permutation(batch);
        let kernel = rbf(1.0);
        let of = |a: &Tensor, b: &Tensor| (gram(a, &kernel), gram(b, &kernel));
        let (k, l) = of(&a, &b);
        let (k_shuffled, l_shuffled) = of(&a.index_select(0, &order), &b.index_select(0, &order));
        for statistic in [biased, unbiased] {
            let value = number(&statistic(&k, &l));
            prop_assert!((number(&statistic(&l, &k)) - value).abs() < 1e-14);
            prop_assert!((number(&statistic(&k_shuffled, &l_shuffled)) - value).abs() < 1e-14);
        }
        let value = number(&biased(&k, &l));
        prop_assert!(value >= -1e-15);
        prop_assert!((number(&joint(&[k, l])) - value).abs() < 1e-13);
    }
}
