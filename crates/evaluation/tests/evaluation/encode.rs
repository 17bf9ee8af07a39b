use crate::model::{LATENT, generator, images, implicit, number, vae};
use elbo_core::networks::{LikelihoodName, ModelConfig, NetworkName};
use elbo_core::optimizer::OptimizerName;
use elbo_core::{Algorithm, BatchContext, OptimizerConfig, Posterior, Scalars, Weight};
use elbo_evaluation::encode::{encode, evaluate};
use elbo_evaluation::statistics::{kl_per_dimension, posterior_values};
use elbo_objectives::{BetaTcVae, Elbo, Objective, SingleObjective};
use tch::{Device, Kind, Tensor};

/// Every image once and in order, whatever the batch size; z is one draw from its image's q(z|x).
#[test]
fn codes_are_those_of_every_image_in_order() {
    let (vae, images) = (vae(8), images(11, 8));
    let x = images.gather(&Tensor::arange(11, (Kind::Int64, Device::Cpu)), &generator(1));
    let expected = x.select(1, 0).select(2, 0).narrow(1, 0, LATENT) * 4.0 - 2.0;
    for batch in [1, 2, 4, 5, 10, 11, 64] {
        let codes = encode(&vae, &images, None, batch, &generator(2));
        let gaussian = codes.gaussian().expect("a Gaussian");
        assert_eq!((codes.len(), gaussian.log_var.size()), (11, vec![11, LATENT]));
        assert!(number(&(&gaussian.mean - &expected).abs().max()) < 1e-6, "batch {batch}");
        let standardised = (&codes.z - &gaussian.mean) * (&gaussian.log_var * -0.5).exp();
        assert!(number(&standardised.abs().max()) < 6.0 && number(&standardised.abs().min()) > 0.0);
        assert!(!codes.z.requires_grad());
    }
}

#[test]
fn rows_choose_the_images() {
    let (vae, images) = (vae(8), images(11, 8));
    let all = encode(&vae, &images, None, 4, &generator(2));
    let rows = Tensor::from_slice(&[7_i64, 3, 3]);
    let some = encode(&vae, &images, Some(&rows), 2, &generator(2));
    assert_eq!(some.gaussian().expect("a Gaussian").mean, all.representatives().index_select(0, &rows));
}

/// The same seed gives the same codes.
#[test]
fn codes_repeat_with_their_seed() {
    let (vae, images) = (vae(8), images(11, 8));
    let z = |seed| encode(&vae, &images, None, 4, &generator(seed)).z;
    assert_eq!(z(5), z(5));
    assert_ne!(z(5), z(6));
}

/// An implicit posterior has samples, perhaps moments, and no density to draw from.
#[test]
fn implicit_posteriors_are_joined_too() {
    for moments in [true, false] {
        let codes = encode(&implicit(8, moments), &images(11, 8), None, 4, &generator(2));
        assert!(codes.gaussian().is_none() && codes.draw(3, &generator(1)).is_none());
        assert!(kl_per_dimension(&codes).is_none());
        assert_eq!(codes.moments().is_some(), moments);
        assert_eq!(posterior_values(&codes).is_some(), moments);
        assert_eq!(codes.representatives().size(), [11, LATENT]);
        assert_eq!(codes.representatives() == &codes.z, !moments);
        assert!(matches!(codes.posterior, Posterior::Implicit { .. }));
    }
}

/// Samples come from different images while there are enough; z is new, from its own image's q(z|x).
#[test]
fn drawn_samples_visit_every_image_before_one_comes_again() {
    let codes = encode(&vae(8), &images(11, 8), None, 4, &generator(2));
    for (count, most) in [(1, 1), (11, 1), (12, 2), (22, 2), (30, 3)] {
        let samples = codes.draw(count, &generator(3)).expect("a Gaussian");
        let own: Vec<i64> = Vec::try_from(&samples.own).expect("indices");
        assert_eq!((samples.z.size()[0], own.len() as i64), (count, count));
        let visits = |image| own.iter().filter(|&&own| own == image).count();
        assert!((0..11).all(|image| (most - 1..=most).contains(&visits(image)) || count < 11), "{own:?}");
        let gaussian = codes.gaussian().expect("a Gaussian");
        let mean = gaussian.mean.index_select(0, &samples.own);
        let scale = (gaussian.log_var.index_select(0, &samples.own) * 0.5).exp();
        assert!(number(&((&samples.z - mean) / scale).abs().max()) < 6.0);
    }
}

/// KL by dimension is the mean over the images; histograms get every mean and every standard deviation under its dimension.
#[test]
fn statistics_are_those_of_the_codes() {
    let codes = encode(&vae(8), &images(11, 8), None, 4, &generator(2));
    let gaussian = codes.gaussian().expect("a Gaussian");
    let kl = kl_per_dimension(&codes).expect("a Gaussian");
    let total = number(&gaussian.kl_to_prior().mean(None).to_kind(Kind::Double));
    assert!((kl.iter().sum::<f64>() - total).abs() < 1e-5);
    let values = posterior_values(&codes).expect("moments");
    assert_eq!((values.means.len(), values.scales.len()), (LATENT as usize, LATENT as usize));
    for d in 0..LATENT {
        let means: Vec<f32> = Vec::try_from(gaussian.mean.select(1, d)).expect("floats");
        assert_eq!(values.means[d as usize], means);
        let scale = ((d as f32 * -0.5 - 1.0) * 0.5).exp();
        assert!(values.scales[d as usize].iter().all(|value| (value - scale).abs() < 1e-6));
    }
}

fn algorithm<O: Objective>(objective: O) -> SingleObjective<O> {
    let model = ModelConfig::new(NetworkName::Burgess, 3, LikelihoodName::Bernoulli)
        .build([1, 32, 32], &generator(4), Device::Cpu)
        .expect("a model");
    let adam = OptimizerConfig::new(OptimizerName::Adam, Weight::constant(1e-3).expect("positive"));
    SingleObjective::new(model, objective, &adam).expect("an algorithm")
}

fn evaluated(algorithm: &dyn Algorithm, count: i64, batch: i64) -> anyhow::Result<Scalars> {
    let (noise, step) = (generator(5), Tensor::from(0_i64));
    evaluate(algorithm, &images(count, 32), None, batch, &BatchContext { step: &step, dataset_len: 1, noise: &noise })
}

/// Each image counts once: the KL, which needs no noise, is the mean over the images for any batch size, the last short batch
/// included. (YannDubs/disentangling-vae divides the first batch by the number of batches.)
#[test]
fn evaluation_is_the_mean_over_all_images() {
    let algorithm = algorithm(Elbo);
    let codes = encode(algorithm.vae(), &images(10, 32), None, 3, &generator(6));
    let by_hand = kl_per_dimension(&codes).expect("a Gaussian");
    for batch in [1, 3, 4, 5, 9, 10, 100] {
        let scalars = evaluated(&algorithm, 10, batch).expect("an evaluation");
        let names: Vec<&str> = scalars.entries().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["loss", "reconstruction", "kl", "kl_per_dimension", "elbo"]);
        let kl: Vec<f64> = Vec::try_from(scalars.get("kl_per_dimension").expect("reported")).expect("float64");
        for (kl, by_hand) in kl.iter().zip(&by_hand) {
            assert!((kl - by_hand).abs() < 1e-6, "batch {batch}: {kl}, by hand {by_hand}");
        }
        assert!(scalars.get("loss").expect("reported").kind() == Kind::Double);
    }
}

/// The reconstruction term weighs batches by their images: 7 + 3 of 10, against the sums of the two batches taken apart with the same noise.
#[test]
fn a_short_batch_weighs_as_many_images_as_it_has() {
    let algorithm = algorithm(Elbo);
    let images = images(10, 32);
    let (noise, step) = (generator(5), Tensor::from(0_i64));
    let context = BatchContext { step: &step, dataset_len: 10, noise: &noise };
    let mut by_hand = 0.0;
    for (start, length) in [(0, 7), (7, 3)] {
        let rows = Tensor::arange_start(start, start + length, (Kind::Int64, Device::Cpu));
        let scalars = algorithm.evaluate(&images.gather(&rows, &noise), &context).expect("an evaluation");
        by_hand += number(scalars.get("reconstruction").expect("reported")) * length as f64 / 10.0;
    }
    let whole = evaluated(&algorithm, 10, 7).expect("an evaluation");
    assert!((number(whole.get("reconstruction").expect("reported")) - by_hand).abs() < 1e-9);
}

fn beta_tcvae() -> BetaTcVae {
    serde_json::from_str(r#"{"mi_weight":1,"tc_weight":6,"dw_kl_weight":1,"estimator":"balanced"}"#).expect("weights")
}

/// q(z) cannot be estimated from a last batch of one image: it goes with the batch before; one image alone is refused in words.
#[test]
fn a_single_image_left_over_joins_the_batch_before() {
    let algorithm = algorithm(beta_tcvae());
    for (count, batch) in [(9, 4), (5, 4), (3, 2), (4, 4)] {
        let scalars = evaluated(&algorithm, count, batch).expect("an evaluation");
        assert!(number(scalars.get("estimate/total_correlation_balanced").expect("reported")).is_finite());
    }
    let refusal = evaluated(&algorithm, 1, 4).expect_err("one image").to_string();
    assert!(refusal.starts_with("expected a batch of at least 2"), "{refusal}");
}
