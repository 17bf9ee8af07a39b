//! How far annealing is from log p(x), on data that the model itself made.

use super::annealing::{Settings, log_mean_exp};
use super::simulation::simulate_pairs;
use super::whitened::Whitened;
use super::{mean_over_images, pilot, runs};
use crate::exact::Estimate;
use elbo_core::{Generator, Vae};

/// log p(x) of simulated pictures from below and from above, in nats, averaged over the pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bidirectional {
    /// Mean of the forward estimate: at most the mean of log p(x), in expectation.
    pub forward: Estimate,
    /// Mean of the backward one: at least that.
    pub backward: Estimate,
    /// `backward` − `forward`: the error bar, in expectation, and for the model's own data.
    pub gap: f64,
    /// Standard error of the gap. Pictures differ far more than the two estimates for one, so it is much smaller than
    /// the others.
    pub gap_standard_error: f64,
}

/// Bidirectional Monte Carlo on `count` simulated pictures.
///
/// ```text
/// z ~ p(z),  x ~ p(x|z):   E[forward log p̂(x)] ≤ log p(x) ≤ E[−log mean_k 1/w_k]
///                                                    docs/mathematics.md §10; Grosse et al. 2015
/// ```
///
/// The backward run starts at the z that made the picture, an exact draw from p(z|x), and goes over the same frozen
/// kernels in reverse. The model's parameters are to be on the device of `noise`. `progress` is told the transitions
/// done and their number.
///
/// # Errors
/// The error of `progress`, which ends the work; libtorch's, where log p(x|z) has no gradient along z.
pub fn bidirectional(
    vae: &Vae,
    count: i64,
    settings: &Settings,
    noise: &Generator,
    progress: &mut dyn FnMut(usize, usize) -> anyhow::Result<()>,
) -> anyhow::Result<Bidirectional> {
    settings.check();
    let total = pilot::transitions(settings) + 2 * settings.temperatures;
    let mut done = 0;
    let mut tick = || {
        done += 1;
        progress(done, total)
    };
    let (z, x) = simulate_pairs(vae, count, noise);
    let target = Whitened::new(vae, &x, noise);
    let steps = pilot::pilot(&target, settings, noise, &mut tick)?;
    let forward = runs::forward(&target, &steps, settings, noise, &mut tick)?;
    let backward = runs::backward(&target, &target.whiten(&z), &steps, settings, noise, &mut tick)?;
    let below = log_mean_exp(&forward.log_weights);
    let above = -log_mean_exp(&-backward.log_weights);
    let gap = mean_over_images(&(&above - &below));
    Ok(Bidirectional {
        forward: mean_over_images(&below),
        backward: mean_over_images(&above),
        gap: gap.value,
        gap_standard_error: gap.standard_error,
    })
}
