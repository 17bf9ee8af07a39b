use crate::model::{DOUBLE, generator, number, values};
use elbo_core::likelihood::{Likelihood, Scale};
use elbo_evaluation::likelihood::simulation::simulate;
use tch::{Kind, Tensor};

const COUNT: i64 = 200_000;

/// Draws at one decoded value, standardised by `centre` and `scale`.
fn draws(likelihood: &Likelihood, decoded: f64, kind: Kind) -> Tensor {
    let decoded = Tensor::full([COUNT, 1, 1, 1], decoded, (kind, tch::Device::Cpu));
    let x = simulate(likelihood, &decoded, &generator(1));
    assert_eq!((x.size(), x.kind()), (decoded.size(), kind));
    x.to_kind(Kind::Double).reshape(-1)
}

/// The share of draws up to `quantile` is `expected`, within four standard errors of a share.
fn assert_share(draws: &Tensor, quantile: f64, expected: f64) {
    let share = number(&draws.le(quantile).to_kind(Kind::Double).mean(None));
    let error = (expected * (1.0 - expected) / COUNT as f64).sqrt();
    assert!(
        (share - expected).abs() <= 4.0 * error,
        "{share} of the draws are up to {quantile}, not {expected} ± {error}"
    );
}

/// 0 and 1, the latter σ(logit) of the time; never the unlikely one where the logit is far out.
#[test]
fn bernoulli_pixels_are_one_as_often_as_the_logit_says() {
    for (logit, probability) in [(0.0, 0.5), (-1.5, 0.182_425_523_806_356_1), (100.0, 1.0), (-100.0, 0.0)] {
        for kind in [Kind::Float, Kind::Double] {
            let x = draws(&Likelihood::Bernoulli, logit, kind);
            assert!(x.eq(0.0).logical_or(&x.eq(1.0)).all().int64_value(&[]) == 1);
            assert_share(&x, 0.5, 1.0 - probability);
        }
    }
}

/// Quantiles of the normal distribution (0.841 at one σ, 0.977 at two), with σ fixed or learnt.
#[test]
fn gaussian_pixels_have_the_quantiles_of_their_density() {
    let learnt = Scale::Learnt { log_scale: Tensor::full([], 0.3_f64.ln(), DOUBLE).set_requires_grad(true) };
    for scale in [Scale::Fixed(0.3), learnt] {
        let x = draws(&Likelihood::Gaussian(scale), 0.8, Kind::Double);
        assert!(!x.requires_grad());
        for (deviations, share) in [(-2.0, 0.022_750_131_948), (0.0, 0.5), (1.0, 0.841_344_746_069)] {
            assert_share(&x, 0.8 + 0.3 * deviations, share);
        }
    }
}

/// The distribution function of Laplace(m, b): `½ exp((x − m)/b)` below m, `1 − ½ exp(−(x − m)/b)` above; all draws
/// finite.
#[test]
fn laplace_pixels_have_the_quantiles_of_their_density() {
    let learnt = Scale::Learnt { log_scale: Tensor::full([], 0.3_f64.ln(), DOUBLE).set_requires_grad(true) };
    for (scale, kind) in [(Scale::Fixed(0.3), Kind::Float), (learnt, Kind::Double)] {
        let x = draws(&Likelihood::Laplace(scale), -0.2, kind);
        assert!(values(&x).iter().all(|x| x.is_finite()));
        for distance in [-5.0_f64, -1.0, -0.1, 0.5, 2.0, 6.0] {
            let share = if distance < 0.0 { 0.5 * distance.exp() } else { 1.0 - 0.5 * (-distance).exp() };
            assert_share(&x, -0.2 + 0.3 * distance, share);
        }
    }
}

/// Density and sampler are of one distribution: the mean of −log p(x|z) over draws is the entropy, in closed form.
#[test]
fn the_sampler_belongs_to_the_density() {
    let (logit, scale) = (0.7_f64, 0.3_f64);
    let one = 1.0 / (1.0 + (-logit).exp());
    let cases = [
        (Likelihood::Bernoulli, -(one * one.ln() + (1.0 - one) * (1.0 - one).ln())),
        (Likelihood::Gaussian(Scale::Fixed(scale)), 0.5 + 0.5 * (2.0 * std::f64::consts::PI).ln() + scale.ln()),
        (Likelihood::Laplace(Scale::Fixed(scale)), 1.0 + (2.0 * scale).ln()),
    ];
    for (likelihood, entropy) in cases {
        let decoded = Tensor::full([COUNT, 1, 1, 1], logit, DOUBLE);
        let x = simulate(&likelihood, &decoded, &generator(2));
        let surprise = -likelihood.log_likelihood(&x, &decoded);
        let error = number(&surprise.std(true)) / (COUNT as f64).sqrt();
        let mean = number(&surprise.mean(None));
        assert!((mean - entropy).abs() < 4.0 * error, "{likelihood:?}: {mean}, not {entropy} ± {error}");
    }
}
