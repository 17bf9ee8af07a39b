//! Bernoulli decoders with one or two latent dimensions, of which log p(x) is known by quadrature.

use crate::model::{DOUBLE, Known, formula, generator, number, quiet, vae, values};
use elbo_core::posterior::standard_normal_log_density;
use elbo_core::{Likelihood, Vae};
use elbo_evaluation::likelihood::{Settings, annealed, importance_weighted};
use tch::{Kind, Tensor};

const PIXELS: i64 = 24;

/// tanh of a random layer, then logits; the encoder says much the same of every picture.
fn model(latent: i64) -> Vae {
    let noise = generator(21);
    let (first, second) = (noise.normal(&[latent, 8], Kind::Float) * 1.5, noise.normal(&[8, PIXELS], Kind::Float));
    let weight = second.copy().set_requires_grad(true);
    let slope = noise.normal(&[PIXELS, latent], Kind::Float) * 0.2;
    let log_var = Tensor::full([latent], 0.0, (Kind::Float, tch::Device::Cpu));
    let encoder = formula(&slope.copy(), move |x| {
        let mean = (x.view([-1, PIXELS]) - 0.5).matmul(&slope);
        Tensor::cat(&[&mean, &log_var.expand_as(&mean)], 1)
    });
    let decoder = formula(&weight.shallow_clone(), move |z| z.matmul(&first).tanh().matmul(&weight));
    vae(Known::Density, encoder, decoder, Likelihood::Bernoulli, latent, PIXELS)
}

/// `log ∫ p(x|z) p(z) dz` by the rectangle rule on `[−8, 8]^D`, which is exact to rounding for functions as smooth as
/// these.
fn by_quadrature(vae: &Vae, x: &Tensor) -> Tensor {
    let points = 321;
    let axis = Tensor::linspace(-8.0, 8.0, points, DOUBLE);
    let grid = match vae.latent() {
        1 => axis.view([-1, 1]),
        _ => Tensor::cartesian_prod(&[&axis, &axis]),
    };
    let spacing = 16.0 / (points - 1) as f64;
    let decoded = tch::no_grad(|| vae.decode(&grid.to_kind(Kind::Float))).unsqueeze(1);
    let rows: Vec<Tensor> = (0..x.size()[0])
        .map(|image| vae.likelihood().log_likelihood(&x.narrow(0, image, 1), &decoded).to_kind(Kind::Double))
        .collect();
    let joint = Tensor::cat(&rows, 1) + standard_normal_log_density(&grid).unsqueeze(1);
    joint.logsumexp(0, false) + vae.latent() as f64 * spacing.ln()
}

/// Three routes to one number, for pictures of coin tosses: the grid; annealing, within 0.05 nats in the mean and four
/// of its standard errors for each picture; and 5000 importance samples, likewise.
#[test]
fn annealing_and_importance_sampling_agree_with_quadrature() {
    for latent in [1, 2] {
        let vae = model(latent);
        let x = generator(22).bernoulli(&Tensor::full([10, 1, 1, PIXELS], 0.5, (Kind::Float, tch::Device::Cpu)));
        let truth = by_quadrature(&vae, &x);
        let settings = Settings { pilot_temperatures: 12, ..Settings::new(150, 64) };
        let result = annealed(&vae, &x, &settings, &generator(23), &mut quiet()).expect("no interruption");
        let error = &result.log_likelihood - &truth;
        assert!(number(&error.mean(None)).abs() < 0.05, "{error}");
        for (error, samples) in values(&error).iter().zip(values(&result.effective_sample_size)) {
            let standard_error = (1.0 / samples - 1.0 / 64.0).sqrt();
            assert!(error.abs() < 4.0 * standard_error, "{error} ± {standard_error}");
        }
        let weighted = importance_weighted(&vae, &x, 5000, &generator(24)).expect("a density");
        let error = weighted - &truth;
        assert!(number(&error.mean(None)).abs() < 0.05 && number(&error.abs().max()) < 0.2, "{error}");
    }
}
