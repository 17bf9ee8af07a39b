use crate::linear::{Distortion, Linear, NONE, WRONG};
use crate::model::{Known, distance, generator, number, values};
use elbo_evaluation::likelihood::importance_weighted;
use tch::{Kind, Tensor};

/// Where q(z|x) is the posterior, every weight is p(x): one sample gives log p(x) exactly, and so does any number.
#[test]
fn the_exact_posterior_gives_the_evidence_with_every_sample() {
    let model = Linear::orthogonal(6, 3, 1);
    let x = model.pictures(20, &generator(2));
    let vae = model.vae(Known::Density, NONE, Kind::Double);
    let truth = model.log_evidence(&x);
    for (samples, seed) in [(1, 3), (1, 4), (7, 5)] {
        let bound = importance_weighted(&vae, &x, samples, &generator(seed)).expect("a density");
        assert_eq!((bound.kind(), bound.size()), (Kind::Double, vec![20]));
        assert!(distance(&bound, &truth) < 1e-10);
    }
}

/// Burda et al. 2016: from the ELBO, log p(x) minus the KL to the posterior (closed form here), up towards log p(x),
/// never past it but for noise.
#[test]
fn the_bound_rises_from_the_elbo_to_the_evidence() {
    let model = Linear::orthogonal(6, 3, 1);
    let x = model.pictures(1, &generator(2)).expand([400, 1, 1, 6], false);
    // Too wide, so that the weights are bounded and 1000 samples are many.
    let (shift, stretch) = (1.0, 1.5_f64);
    let vae = model.vae(Known::Density, Distortion { shift, stretch }, Kind::Float);
    let truth = number(&model.log_evidence(&x).mean(None));
    let gap = |samples: i64| {
        let bound = importance_weighted(&vae, &x.to_kind(Kind::Float), samples, &generator(3)).expect("a density");
        let below: Tensor = truth - bound;
        (number(&below.mean(None)), number(&below.std(true)) / 20.0)
    };
    // Σ_d ½ (shift² + stretch² − 1 − log stretch²), three dimensions.
    let kl = 1.5 * (shift * shift + stretch.powi(2) - 1.0 - 2.0 * stretch.ln());
    let gaps = [1, 4, 32, 1000].map(gap);
    let (elbo, error) = gaps[0];
    assert!((elbo - kl).abs() < 4.0 * error, "{elbo} ± {error}, not {kl}");
    assert!(gaps.is_sorted_by(|(before, _), (after, _)| before > after), "{gaps:?}");
    let (last, error) = gaps[3];
    assert!(last > -4.0 * error && last < 0.02, "{gaps:?}");
}

/// The definition, from the noise that a call draws: after the encoder's own sample, K draws for each picture.
#[test]
fn the_bound_is_the_log_mean_weight() {
    let model = Linear::correlated(6, 2, 1);
    let x = model.pictures(3, &generator(2));
    let vae = model.vae(Known::Density, WRONG, Kind::Double);
    let bound = importance_weighted(&vae, &x, 5, &generator(4)).expect("a density");
    let noise = generator(4);
    let posterior = vae.encode(&x, &noise).0;
    let gaussian = posterior.gaussian().expect("a Gaussian");
    let z = gaussian.sample(&noise, 5);
    let log_likelihood = vae.likelihood().log_likelihood(&x, &vae.decode(&z));
    let prior = (z.square() + (2.0 * std::f64::consts::PI).ln()).sum_dim_intlist(-1, false, None) * -0.5;
    let weights = (log_likelihood + prior - gaussian.log_density(&z)).exp();
    assert!(distance(&bound, &weights.mean_dim(0, false, None).log()) < 1e-12);
}

/// The posterior is implicit: there is no density to weigh by, with or without moments.
#[test]
fn an_implicit_posterior_has_no_importance_weights() {
    let model = Linear::correlated(6, 2, 1);
    let x = model.pictures(3, &generator(2));
    for known in [Known::Moments, Known::Samples] {
        assert!(importance_weighted(&model.vae(known, NONE, Kind::Double), &x, 5, &generator(4)).is_none());
    }
}

/// Weights far below what float64 can hold as such: a picture of huge pixels has log p(x) near −1e6, and the bound says
/// so.
#[test]
fn log_weights_never_leave_the_logarithm() {
    let model = Linear::orthogonal(6, 3, 1);
    let x = model.pictures(2, &generator(2)) * 1e3;
    let vae = model.vae(Known::Density, NONE, Kind::Double);
    let (bound, truth) = (importance_weighted(&vae, &x, 50, &generator(3)).expect("a density"), model.log_evidence(&x));
    assert!(values(&truth).iter().all(|&value| value < -1e5));
    assert!(number(&((bound - &truth) / truth).abs().max()) < 1e-10);
}
