use crate::model::{Known, formula, generator, number, vae};
use elbo_core::posterior::kl_to_standard_normal_per_dimension;
use elbo_core::{Likelihood, Vae};
use elbo_data::Images;
use elbo_evaluation::likelihood::{Code, Elbo, elbo};
use tch::{Device, Kind, Tensor};

const PIXELS: i64 = 12;
const LATENT: i64 = 3;

fn model(known: Known) -> Vae {
    let noise = generator(41);
    let slope = noise.normal(&[PIXELS, 2 * LATENT], Kind::Float) * 0.3;
    let weight = noise.normal(&[LATENT, PIXELS], Kind::Float);
    let encoder = formula(&slope.copy(), move |x| x.view([-1, PIXELS]).matmul(&slope));
    let decoder = formula(&weight.copy(), move |z| z.matmul(&weight));
    vae(known, encoder, decoder, Likelihood::Bernoulli, LATENT, PIXELS)
}

/// Grey pictures that get darker: batches differ, so that weighing them wrongly shows.
fn images(count: i64) -> Images {
    let shade = Tensor::linspace(250.0, 20.0, count, (Kind::Float, Device::Cpu)).view([count, 1, 1, 1]);
    let pixels = generator(42).uniform(&[count, 1, 1, PIXELS], Kind::Float) * shade;
    Images::from_bytes(&pixels.to_kind(Kind::Uint8)).expect("pictures")
}

fn measured(vae: &Vae, images: &Images, rows: Option<&Tensor>, batch: i64, code: Code) -> Elbo {
    elbo(vae, images, rows, batch, code, &generator(43), &mut |_| Ok(())).expect("no interruption").expect("a density")
}

/// Reconstruction and KL by dimension of one picture, its code the mean.
fn of_one(vae: &Vae, images: &Images, row: i64) -> (f64, Vec<f64>) {
    let x = images.gather(&Tensor::from_slice(&[row]), &generator(1));
    let posterior = vae.encode(&x, &generator(1)).0;
    let gaussian = posterior.gaussian().expect("a Gaussian");
    let log_likelihood = vae.likelihood().log_likelihood(&x, &vae.decode(&gaussian.mean));
    let kl = kl_to_standard_normal_per_dimension(&gaussian.mean, &gaussian.log_var).squeeze_dim(0);
    (-number(&log_likelihood), crate::model::values(&kl))
}

/// The sum over all rows one by one, divided by their number, for every batch size: the short last batch counts by its
/// images.
#[test]
fn the_elbo_is_the_mean_over_all_rows_whatever_the_batch() {
    let (vae, images) = (model(Known::Density), images(10));
    let by_hand: Vec<_> = (0..10).map(|row| of_one(&vae, &images, row)).collect();
    let reconstruction = by_hand.iter().map(|(reconstruction, _)| reconstruction).sum::<f64>() / 10.0;
    for batch in [1, 3, 4, 7, 9, 10, 64] {
        let found = measured(&vae, &images, None, batch, Code::Mean);
        // Float32 log-likelihoods, about 10 nats each.
        assert!((found.reconstruction - reconstruction).abs() < 1e-5, "batch {batch}: {found:?}");
        for (d, found) in found.kl_per_dimension.iter().enumerate() {
            let expected = by_hand.iter().map(|(_, kl)| kl[d]).sum::<f64>() / 10.0;
            assert!((found - expected).abs() < 1e-6, "batch {batch}, dimension {d}: {found}, not {expected}");
        }
        assert_eq!((found.images, found.kl_per_dimension.len()), (10, LATENT as usize));
        assert!((found.kl - found.kl_per_dimension.iter().sum::<f64>()).abs() < 1e-12);
        assert!((found.elbo + found.reconstruction + found.kl).abs() < 1e-12);
    }
}

/// YannDubs/disentangling-vae reports its first batch divided by the number of batches; the mean of batch means weighs
/// the short batch as a whole one. Both are other numbers on these pictures.
#[test]
fn wrong_averages_are_other_numbers() {
    let (vae, images) = (model(Known::Density), images(10));
    let by_hand: Vec<f64> = (0..10).map(|row| of_one(&vae, &images, row).0).collect();
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len() as f64;
    let found = measured(&vae, &images, None, 4, Code::Mean).reconstruction;
    let batches: Vec<f64> = by_hand.chunks(4).map(mean).collect();
    assert!((found - batches[0] / 3.0).abs() > 1.0, "the first batch over the number of batches");
    assert!((found - mean(&batches)).abs() > 0.01, "the mean of the batches' means");
    assert!((found - mean(&by_hand)).abs() < 1e-5);
}

#[test]
fn rows_choose_the_images_and_may_repeat_them() {
    let (vae, images) = (model(Known::Density), images(10));
    let rows = Tensor::from_slice(&[7_i64, 2, 2]);
    let found = measured(&vae, &images, Some(&rows), 2, Code::Mean);
    let expected = [7, 2, 2].map(|row| of_one(&vae, &images, row).0).iter().sum::<f64>() / 3.0;
    assert!((found.reconstruction - expected).abs() < 1e-5);
    assert_eq!(found.images, 3);
}

/// One sample per image: the mean over many looks at one image is the expectation over q(z|x), which here (12 logits,
/// linear in z) is taken by a second route: draws of z in float64. It lies above the reconstruction from the mean, for
/// −log p(x|z) is convex in z.
#[test]
fn a_sample_is_drawn_for_every_image() {
    let (vae, images) = (model(Known::Density), images(3));
    let count = 20_000;
    let rows = Tensor::full([count], 1, (Kind::Int64, Device::Cpu));
    let found = measured(&vae, &images, Some(&rows), 3000, Code::Sample);
    let (from_mean, kl) = of_one(&vae, &images, 1);
    assert!(found.reconstruction > from_mean + 0.1, "{found:?}, {from_mean} from the mean");
    assert!((found.kl - kl.iter().sum::<f64>()).abs() < 1e-5, "the KL has no noise");

    let x = images.gather(&Tensor::from_slice(&[1_i64]), &generator(1));
    let posterior = vae.encode(&x, &generator(1)).0;
    let gaussian = posterior.gaussian().expect("a Gaussian");
    let epsilon = generator(44).normal(&[count, LATENT], Kind::Double);
    let z = &gaussian.mean + (&gaussian.log_var * 0.5).exp() * epsilon;
    let logits = vae.decode(&z.to_kind(Kind::Float)).to_kind(Kind::Double);
    let terms = -(&x * &logits - logits.softplus()).flatten(1, -1).sum_dim_intlist(-1, false, None);
    // Two means over 20 000 draws each.
    let error = number(&terms.std(true)) / (count as f64).sqrt() * 2.0_f64.sqrt();
    let expected = number(&terms.mean(None));
    assert!((found.reconstruction - expected).abs() < 4.0 * error, "{found:?}, not {expected} ± {error}");
}

/// The same seed gives the same number; the mean code needs no noise at all.
#[test]
fn the_elbo_repeats_with_its_seed() {
    let (vae, images) = (model(Known::Density), images(10));
    let run = |code, seed| {
        elbo(&vae, &images, None, 4, code, &generator(seed), &mut |_| Ok(()))
            .expect("no interruption")
            .expect("a density")
    };
    assert_eq!(run(Code::Sample, 1), run(Code::Sample, 1));
    assert_ne!(run(Code::Sample, 1).reconstruction.to_bits(), run(Code::Sample, 2).reconstruction.to_bits());
    assert_eq!(run(Code::Mean, 1), run(Code::Mean, 2));
}

#[test]
fn an_implicit_posterior_has_no_elbo() {
    for known in [Known::Moments, Known::Samples] {
        let found = elbo(&model(known), &images(10), None, 4, Code::Sample, &generator(1), &mut |_| Ok(()));
        assert!(found.expect("no interruption").is_none());
    }
}

/// Progress counts images; its error ends the work and comes back.
#[test]
fn progress_counts_images_and_may_interrupt() {
    let (vae, images) = (model(Known::Density), images(10));
    let mut seen = Vec::new();
    let mut listen = |done: i64| {
        seen.push(done);
        anyhow::ensure!(done < 8, "interrupted");
        Ok(())
    };
    let error = elbo(&vae, &images, None, 4, Code::Mean, &generator(1), &mut listen).expect_err("an interruption");
    assert_eq!((error.to_string().as_str(), seen.as_slice()), ("interrupted", &[4, 8][..]));
}
