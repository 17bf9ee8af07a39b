use crate::linear::{Linear, NONE, WRONG};
use crate::model::{Known, distance, generator, number, quiet, values};
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::likelihood::{Bounds, Refinement, bounds, gaps, mean_over_images};
use tch::{Kind, Tensor};

fn refinement() -> Refinement {
    Refinement { steps: 300, samples: 8, ..Refinement::default() }
}

/// KL from the wrong encoder to an independent posterior: `Σ_d ½ (shift² + stretch² − 1 − log stretch²)`.
fn encoders_kl(latent: f64) -> f64 {
    latent * 0.5 * (WRONG.shift.powi(2) + WRONG.stretch.powi(2) - 1.0 - 2.0 * WRONG.stretch.ln())
}

/// Columns of W are orthogonal: the posterior is a diagonal Gaussian, so that the best one loses nothing, and all that
/// is lost is the encoder's. At the optimum weights are constant, which makes the best ELBO exact; Adam's last steps
/// leave 1e-3.
#[test]
fn an_independent_posterior_has_an_amortization_gap_alone() {
    let model = Linear::orthogonal(6, 3, 1);
    for kind in [Kind::Double, Kind::Float] {
        let x = model.pictures(8, &generator(2));
        let vae = model.vae(Known::Density, WRONG, kind);
        let found = gaps(&vae, &x.to_kind(kind), &model.log_evidence(&x), &generator(3), &refinement()).expect("gaps");
        assert!(found.approximation.value.abs() < 2e-3, "{found:?}");
        // The encoder's ELBO is a mean over 1000 draws whose deviation is about 2 nats, and 8 pictures: 0.02.
        assert!((found.amortization.value - encoders_kl(3.0)).abs() < 0.08, "{found:?}, not {}", encoders_kl(3.0));
    }
}

/// Columns of W are not orthogonal: the best diagonal Gaussian has the posterior's mean and variances `1/Λ_dd`, and
/// loses `½ (Σ_d log Λ_dd − log det Λ)`, the same for every picture.
#[test]
fn a_correlated_posterior_has_the_mean_field_gap() {
    let model = Linear::correlated(6, 3, 1);
    let x = model.pictures(8, &generator(2));
    let precision = model.precision();
    let expected = number(&((precision.diagonal(0, 0, 1).log().sum(None) - precision.slogdet().1) * 0.5));
    assert!(expected > 0.2, "the model is correlated enough to tell: {expected}");
    let vae = model.vae(Known::Density, WRONG, Kind::Double);
    let bounds =
        bounds(&vae, &x, &generator(3), &refinement(), &mut quiet()).expect("no interruption").expect("bounds");
    let found = bounds.gaps(&model.log_evidence(&x)).approximation;
    // Log-weights deviate by about 0.8 nats: 1000 draws and 8 pictures leave 0.01.
    assert!((found.value - expected).abs() < 0.03, "{found:?}, not {expected}");
    let each: Tensor = model.log_evidence(&x) - &bounds.best;
    assert!(values(&each).iter().all(|gap| (gap - expected).abs() < 0.12), "{each}");
    assert!(values(&(&bounds.best - &bounds.encoder)).iter().all(|&gain| gain > 0.0));
}

/// An encoder that is right already: nothing to gain, and looking for it loses nothing.
#[test]
fn the_exact_encoder_has_no_gaps() {
    let model = Linear::orthogonal(6, 3, 1);
    let x = model.pictures(5, &generator(2));
    let vae = model.vae(Known::Density, NONE, Kind::Double);
    let Bounds { encoder, best } =
        bounds(&vae, &x, &generator(3), &refinement(), &mut quiet()).expect("no interruption").expect("bounds");
    let truth = model.log_evidence(&x);
    assert!(distance(&encoder, &truth) < 1e-10, "every sample is the evidence");
    // The gradient is 0 here, noise and all, but for rounding, of which Adam makes steps of about 1e-8.
    assert!(distance(&best, &truth) < 1e-5);
}

/// No update: the best Gaussian is the encoder's, draw by draw.
#[test]
fn no_steps_leave_the_encoder() {
    let model = Linear::correlated(6, 3, 1);
    let x = model.pictures(5, &generator(2));
    let vae = model.vae(Known::Density, WRONG, Kind::Double);
    let none = Refinement { steps: 0, ..refinement() };
    let Bounds { encoder, best } =
        bounds(&vae, &x, &generator(3), &none, &mut quiet()).expect("no interruption").expect("bounds");
    assert!(distance(&encoder, &best) < 1e-12);
}

/// An implicit posterior has no ELBO; the model's parameters stay as they are, without gradients; an interruption ends
/// the work.
#[test]
fn gaps_are_for_densities_and_leave_the_model_alone() {
    let model = Linear::correlated(6, 3, 1);
    let x = model.pictures(5, &generator(2));
    let truth = model.log_evidence(&x);
    for known in [Known::Moments, Known::Samples] {
        assert!(gaps(&model.vae(known, NONE, Kind::Double), &x, &truth, &generator(3), &refinement()).is_none());
    }
    let vae = model.vae(Known::Density, WRONG, Kind::Double);
    let before: Vec<Tensor> = vae.parameters().iter().map(|(_, parameter)| parameter.detach().copy()).collect();
    let mut seen = Vec::new();
    let mut interrupt = |done: usize, total: usize| {
        seen.push((done, total));
        anyhow::ensure!(done < 4, "enough");
        Ok(())
    };
    let error = bounds(&vae, &x, &generator(3), &refinement(), &mut interrupt).expect_err("an interruption");
    assert_eq!(error.to_string(), "enough");
    assert_eq!(seen, [(1, 300), (2, 300), (3, 300), (4, 300)]);
    for ((_, parameter), before) in vae.parameters().iter().zip(before) {
        assert!(!parameter.grad().defined() && parameter.detach() == before);
    }
}

/// 1, 2, 3, 6 have mean 3 and variance 14/3: the error of the mean is √(14/12). One image has no spread.
#[test]
fn a_mean_has_the_error_of_its_spread() {
    let Estimate { value, standard_error } = mean_over_images(&Tensor::from_slice(&[1.0, 2.0, 3.0, 6.0]));
    assert!((value - 3.0).abs() < 1e-12 && (standard_error - (14.0_f64 / 12.0).sqrt()).abs() < 1e-12);
    let one = mean_over_images(&Tensor::from_slice(&[2.5_f32]));
    assert!((one.value - 2.5).abs() < 1e-12 && one.standard_error.is_nan());
}
