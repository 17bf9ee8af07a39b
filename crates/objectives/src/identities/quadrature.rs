//! Integrals, derivatives and maxima to nearly the last digit.
//!
//! The integrands are Gaussian densities times logarithms of mixtures: analytic near the real line and gone at ±20. For those the
//! trapezoidal rule converges exponentially in 1/step (Trefethen & Weideman 2014), on the one grid that all components share; a
//! Gauss–Hermite rule is exact for polynomials about one centre and converges slowly for the logarithm of a mixture. So the rules are
//! a few lines here, and no crate with a linear-algebra stack behind it.

/// Half the length of the grid.
const REACH: f64 = 20.0;
/// Step on the line: the logarithm of the mixtures used here is analytic in a strip of half-width 0.3, so the error is about exp(−2π·0.3·32).
const STEP: f64 = 1.0 / 32.0;

/// The points of the grid on the line; each has the weight [`weight`].
pub fn nodes() -> Vec<f64> {
    let half = (REACH / STEP) as i32;
    (-half..=half).map(|k| f64::from(k) * STEP).collect()
}

/// Weight of each of the [`nodes`].
pub const fn weight() -> f64 {
    STEP
}

/// `∫ f(x) dx` over the line, for an analytic f that is gone at ±20.
pub fn line(f: impl Fn(f64) -> f64) -> f64 {
    nodes().into_iter().map(f).sum::<f64>() * STEP
}

/// `∫∫ f(x, y) dx dy` over [−reach, reach]², for an analytic f that is gone at its edge.
pub fn plane(reach: f64, step: f64, mut f: impl FnMut(f64, f64) -> f64) -> f64 {
    let half = (reach / step) as i32;
    let mut sum = 0.0;
    for i in -half..=half {
        for j in -half..=half {
            sum += f(f64::from(i) * step, f64::from(j) * step);
        }
    }
    sum * step * step
}

/// `∫_0^∞ f(x) dx` for an f that is analytic on it and decays at least exponentially: x = exp(t − e^−t), then the trapezoidal rule.
pub fn half_line(f: impl Fn(f64) -> f64) -> f64 {
    let step = 1.0 / 64.0;
    let term = |t: f64| {
        let x = (t - (-t).exp()).exp();
        f(x) * x * (1.0 + (-t).exp())
    };
    (-300..=280).map(|k| term(f64::from(k) * step)).sum::<f64>() * step
}

/// `∫_low^high f(x) dx` for an f that is analytic inside: x = tanh(π/2 sinh t), then the trapezoidal rule.
pub fn interval(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (step, half) = (1.0 / 64.0, 0.5 * (high - low));
    let term = |t: f64| {
        let inner = std::f64::consts::FRAC_PI_2 * t.sinh();
        let slope = std::f64::consts::FRAC_PI_2 * t.cosh() / inner.cosh().powi(2);
        f(low + half * (1.0 + inner.tanh())) * half * slope
    };
    (-220..=220).map(|k| term(f64::from(k) * step)).sum::<f64>() * step
}

/// `∫ f(x) dx` over the line, for an f that is analytic between the `kinks` (ascending).
pub fn line_with_kinks(kinks: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let (Some(&first), Some(&last)) = (kinks.first(), kinks.last()) else { return line(f) };
    let middle: f64 = kinks.windows(2).map(|pair| interval(pair[0], pair[1], &f)).sum();
    half_line(|x| f(first - x)) + middle + half_line(|x| f(last + x))
}

/// f′(x) by the central difference of order 8.
///
/// Its error is about (step / distance to the nearest singularity)⁸, which is below rounding / step from a distance of 0.2 on: that of the
/// χ² of two Gaussians.
pub fn derivative(x: f64, f: impl Fn(f64) -> f64) -> f64 {
    let step = 0.005;
    let pair = |k: f64| f(x + k * step) - f(x - k * step);
    (pair(1.0) * 4.0 / 5.0 - pair(2.0) / 5.0 + pair(3.0) * 4.0 / 105.0 - pair(4.0) / 280.0) / step
}

/// Where a concave f has its maximum in `low..high`: the zero of its numerical derivative, which is far sharper than comparing values.
pub fn argmax(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if derivative(middle, &f) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The largest value of a concave f on `[low, high]`, which may have a kink: golden-section search.
pub fn supremum(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let golden = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut a, mut b) = (low, high);
    for _ in 0..90 {
        let (left, right) = (b - golden * (b - a), a + golden * (b - a));
        if f(left) > f(right) {
            b = right;
        } else {
            a = left;
        }
    }
    [low, high, 0.5 * (a + b)].into_iter().map(f).fold(f64::NEG_INFINITY, f64::max)
}

/// `log N(x; mean, deviation²)`.
pub fn log_normal(x: f64, mean: f64, deviation: f64) -> f64 {
    let standard = (x - mean) / deviation;
    -0.5 * standard * standard - deviation.ln() - 0.5 * std::f64::consts::TAU.ln()
}

/// `log(1 + e^x)`.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `log(e^x + e^y)`.
pub fn log_add(x: f64, y: f64) -> f64 {
    x + softplus(y - x)
}
