//! The two models, trained on the four points.

use super::Settings;
use super::grid::{GaussianTerms, Grid};
use anyhow::{Context, Result, ensure};
use elbo_adversarial::Parts;
use elbo_core::{Algorithm, BatchContext, Generator, ModelConfig, Vae};
use elbo_objectives::{Elbo, SingleObjective};
use elbo_runner::watch::Stage;
use tch::{Device, Kind, Tensor};

/// A point as a picture: four channels of one pixel.
pub const IMAGE: [i64; 3] = [4, 1, 1];
const POINTS: i64 = 4;

/// The four points, `[4, 4, 1, 1]`.
pub fn points(device: Device) -> Tensor {
    Tensor::eye(POINTS, (Kind::Float, device)).reshape([POINTS, POINTS, 1, 1])
}

/// `count` points drawn uniformly, `[count, 4, 1, 1]`.
fn batch(noise: &Generator, count: i64) -> Tensor {
    let index = (noise.uniform(&[count], Kind::Float) * POINTS as f64).to_kind(Kind::Int64).clamp_max(POINTS - 1);
    points(noise.device()).index_select(0, &index)
}

/// A trained model, with the seed it was trained from.
#[derive(Debug)]
pub struct Trained<A> {
    /// The method with its model.
    pub algorithm: A,
    /// Its seed.
    pub seed: u64,
}

/// Trains the VAE from every seed, and keeps the one of highest ELBO.
///
/// # Errors
/// When it is interrupted, or a loss is not finite.
pub fn vae(settings: &Settings, grid: &Grid, stage: &mut Stage<'_>) -> Result<Trained<SingleObjective<Elbo>>> {
    let total = settings.vae.starts * settings.vae.steps;
    let mut best: Option<(f64, Trained<SingleObjective<Elbo>>)> = None;
    for start in 0..settings.vae.starts {
        let seed = settings.seed + start;
        let (model, optimizer) = (&settings.vae.model, &settings.vae.optimizer);
        let mut algorithm = SingleObjective::new(start_of(model, seed, grid.device())?, Elbo, optimizer)
            .map_err(|error| error.under("vae.optimizer"))?;
        let done = start * settings.vae.steps;
        train(&mut algorithm, (settings.vae.steps, settings.vae.batch_size), seed, &mut |step| {
            stage.progress((done + step) as usize, total as usize)
        })?;
        let elbo = GaussianTerms::of(algorithm.vae(), grid)?.elbo();
        if best.as_ref().is_none_or(|(highest, _)| elbo > *highest) {
            best = Some((elbo, Trained { algorithm, seed }));
        }
    }
    Ok(best.context("no start was made")?.1)
}

/// Trains the implicit posterior.
///
/// # Errors
/// As [`vae`].
pub fn avb(settings: &Settings, device: Device, stage: &mut Stage<'_>) -> Result<Trained<impl Algorithm + use<>>> {
    let (seed, avb) = (settings.seed, &settings.avb);
    let initialisation = Generator::new(Device::Cpu, seed)?;
    let vae = avb.model.build(IMAGE, &initialisation, device).map_err(|error| error.under("avb.model"))?;
    let parts = Parts { vae, optimizer: &avb.optimizer, initialisation: &initialisation, device };
    let mut algorithm = avb.method.clone().build(parts).map_err(|error| error.under("avb"))?;
    let total = avb.steps as usize;
    train(&mut algorithm, (avb.steps, avb.batch_size), seed, &mut |step| stage.progress(step as usize, total))?;
    Ok(Trained { algorithm, seed })
}

fn start_of(model: &ModelConfig, seed: u64, device: Device) -> Result<Vae> {
    let noise = Generator::new(Device::Cpu, seed)?;
    Ok(model.build(IMAGE, &noise, device)?)
}

fn train(
    algorithm: &mut dyn Algorithm,
    (steps, batch_size): (u64, i64),
    seed: u64,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let device = algorithm.vae().parameters()[0].1.device();
    let noise = Generator::new(device, seed ^ TRAINING)?;
    let mut step = Tensor::zeros([], (Kind::Int64, device));
    let mut bad = Tensor::zeros([], (Kind::Float, device));
    for done in 0..steps {
        let x = batch(&noise, batch_size);
        let scalars = algorithm.train_step(&x, &BatchContext { step: &step, dataset_len: POINTS, noise: &noise })?;
        if let Some(flag) = scalars.non_finite() {
            bad += flag;
        }
        let _ = step.g_add_scalar_(1);
        if done % 50 == 0 {
            progress(done)?;
        }
    }
    let bad = bad.double_value(&[]);
    ensure!(bad == 0.0, "{bad} of {steps} steps had a loss or gradient that was not finite; seed {seed}");
    Ok(())
}

/// Tells the stream of data and noise from that of the parameters.
const TRAINING: u64 = 0x0761_7661_6221;
