//! Squared distances and the kernels on them.

use crate::setting::{DOUBLE, assert_near, assert_number, generator, number};
use elbo_objectives::divergence::Kernel;
use elbo_objectives::divergence::kernel::{squared_distances, squared_distances_of_rows, squared_distances_within};
use proptest::prelude::*;
use tch::{Kind, Tensor};

/// Every kernel, of a width that reaches over a few units.
pub(crate) fn kernels() -> [Kernel; 3] {
    [
        Kernel::Rbf { bandwidth: 1.3 },
        Kernel::InverseMultiquadratic { bandwidth: 4.0 },
        Kernel::MultiScale { bandwidth: 4.0, scales: vec![0.1, 0.5, 1.0, 5.0] },
    ]
}

/// By hand: d² = 2, σ = 2 and C = 4.
#[test]
fn kernels_are_their_formulas() {
    let squared = Tensor::from_slice(&[2.0_f64]);
    let at = |kernel: Kernel| number(&kernel.at(&squared));
    assert!((at(Kernel::Rbf { bandwidth: 2.0 }) - (-0.25_f64).exp()).abs() < 1e-15);
    assert!((at(Kernel::InverseMultiquadratic { bandwidth: 4.0 }) - 4.0 / 6.0).abs() < 1e-15);
    let multi = Kernel::MultiScale { bandwidth: 4.0, scales: vec![0.5, 2.0] };
    assert!((at(multi) - (2.0 / 4.0 + 8.0 / 10.0)).abs() < 1e-15);
}

#[test]
fn a_kernel_is_largest_at_zero_and_falls() {
    let squared = Tensor::arange(50, DOUBLE);
    for kernel in kernels() {
        let values = kernel.at(&squared);
        assert_number(&values.narrow(0, 0, 1), kernel.at_zero(), 1e-15);
        assert!(number(&values.diff::<Tensor>(1, -1, None, None).max()) < 0.0, "{kernel:?}");
    }
}

/// The three forms against a loop over pairs.
#[test]
fn squared_distances_are_sums_of_squares() {
    let noise = generator(1);
    let (x, y) = (noise.normal(&[5, 3], Kind::Double), noise.normal(&[4, 3], Kind::Double));
    let by_hand = (x.unsqueeze(1) - y.unsqueeze(0)).square().sum_dim_intlist(-1, false, None);
    assert_near(&squared_distances(&x, &y), &by_hand, 1e-13);
    let rows = by_hand.diagonal(0, 0, 1).contiguous();
    assert_near(&squared_distances_of_rows(&x.narrow(0, 0, 4), &y), &rows, 1e-13);
    let own = squared_distances(&x, &x);
    let pairs: Vec<Tensor> =
        (0..5).flat_map(|i| (i + 1..5).map(move |j| (i, j))).map(|(i, j)| own.get(i).get(j)).collect();
    assert_near(&squared_distances_within(&x), &Tensor::stack(&pairs, 0), 1e-13);
}

/// Codes at 1e4 that lie a unit apart, in float32: the distance keeps six digits. The expanded square has none left at this place
/// (1e8 · 2⁻²⁴ ≈ 6), at any batch size, and neither of several far clusters can be helped by centring.
#[test]
fn distances_far_from_the_origin_keep_their_digits_in_float32() {
    let noise = generator(2);
    // Multiples of 1/512 are exact in float32 at 1e4, so that only the arithmetic can err.
    let steps = (noise.normal(&[64, 8], Kind::Double) * 512.0).round() / 512.0;
    let sign = (Tensor::arange(64, DOUBLE).remainder(2) * 2.0 - 1.0).unsqueeze(1);
    let double = steps + sign * 1e4;
    let single = double.to_kind(Kind::Float);
    let exact = squared_distances(&double, &double);
    let error = |computed: &Tensor| {
        let computed = computed.to_kind(Kind::Double);
        number(&((computed - &exact).abs() / (&exact + 1e-3)).max())
    };
    assert!(error(&squared_distances(&single, &single)) < 1e-6);
    let norms = single.square().sum_dim_intlist(&[-1_i64][..], true, None);
    let expanded = &norms + norms.transpose(0, 1) - single.matmul(&single.transpose(0, 1)) * 2.0;
    assert!(error(&expanded) > 1.0, "the expanded square would do");
    assert!(number(&squared_distances_within(&single).min()) > 0.0);
}

/// Where points coincide the square root under way has an infinite slope; the gradient of the square is 0, and finite everywhere.
#[test]
fn gradients_are_finite_where_points_coincide() {
    for kernel in kernels() {
        let x = Tensor::ones([4, 2], DOUBLE).set_requires_grad(true);
        let sum = kernel.at(&squared_distances(&x, &x)).sum(None)
            + kernel.at(&squared_distances_within(&x)).sum(None)
            + kernel.at(&squared_distances_of_rows(&x, &x)).sum(None);
        let gradient = &Tensor::run_backward(&[sum], &[&x], false, false)[0];
        assert_near(gradient, &x.zeros_like(), 0.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Never negative, zero for a point and itself, symmetric; in float32, wherever the points are.
    #[test]
    fn distances_are_symmetric_and_never_negative(
        rows in 1_i64..12,
        latent in 1_i64..6,
        log_spread in -6.0_f64..6.0,
        offset in -1e5_f64..1e5,
        seed in 0_u64..1_000_000,
    ) {
        let x = generator(seed).normal(&[rows, latent], Kind::Float) * 10_f64.powf(log_spread) + offset;
        let distances = squared_distances(&x, &x);
        prop_assert!(number(&distances.min()) >= 0.0);
        prop_assert_eq!(number(&distances.diagonal(0, 0, 1).max()), 0.0);
        prop_assert_eq!(number(&(&distances - distances.transpose(0, 1)).abs().max()), 0.0);
    }
}
