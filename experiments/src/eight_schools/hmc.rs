//! The reference: a long run of Hamiltonian Monte Carlo, many chains side by side.
//!
//! Step and mass are adapted in a warm-up that is thrown away, and then frozen. Half of the chains start on either side of τ = 0; each
//! mode's weight is the share of draws on its side, which by the symmetry of the posterior is a half: how far the share is from it says how
//! well chains cross.

use super::diagnostics::Diagnosis;
use super::model::{DIMENSIONS, EightSchools};
use anyhow::Result;
use elbo_core::Generator;
use elbo_core::config::count;
use elbo_evaluation::likelihood::hamiltonian::{Kernel, Point, Target};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

/// Change of log ε per unit of acceptance above the target, while the step is looked for.
const FIRST_GAIN: f64 = 1.0;
/// The same while its logarithm is averaged.
const GAIN: f64 = 0.2;
/// The first step that is adapted, in units of a coordinate's scale.
const FIRST_STEP: f64 = 0.1;
/// The step of the first quarter of the warm-up: one that every chain can take from where it starts. A step that suits most leaves behind
/// the chain that began in a narrow place, and it never moves again.
const BURN_IN_STEP: f64 = 0.02;

/// How long, how many, how far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HmcSettings {
    /// Chains; an even number has as many on either side.
    #[serde(deserialize_with = "count")]
    pub chains: i64,
    /// Transitions before anything is kept.
    #[serde(deserialize_with = "count")]
    pub warm_up: i64,
    /// Draws kept of every chain.
    #[serde(deserialize_with = "count")]
    pub draws: i64,
    /// Leapfrog steps of a trajectory.
    #[serde(deserialize_with = "count")]
    pub leapfrog_steps: usize,
    /// Mean probability of acceptance that the step is adapted to.
    pub target_acceptance: f64,
}

/// What was drawn.
#[derive(Debug)]
pub struct Chains {
    /// `[draws, chains, D]`, float64.
    pub draws: Tensor,
    /// Mean probability of acceptance after the warm-up.
    pub acceptance: f64,
    /// The frozen step, in units of [`Chains::scale`].
    pub step: f64,
    /// Standard deviations that coordinates were measured in, `[D]`.
    pub scale: Tensor,
}

/// A log-density of `[.., D]`, unnormalised, in float64.
pub type LogDensity<'a> = dyn Fn(&Tensor) -> Tensor + 'a;

/// The density of u = z / scale, without its constant.
struct Scaled<'a> {
    log_density: &'a LogDensity<'a>,
    scale: Tensor,
}

impl Target for Scaled<'_> {
    fn size(&self) -> [i64; 2] {
        [1, self.scale.size()[0]]
    }

    fn evaluate(&self, position: &Tensor) -> Result<(Tensor, Tensor)> {
        let position = position.detach().set_requires_grad(true);
        let log_density = (self.log_density)(&(&position * &self.scale));
        let total = log_density.sum(None);
        let gradient = elbo_native::gradients(&total, &[("position".to_owned(), position)])?.remove(0);
        Ok((log_density.detach(), gradient))
    }
}

/// Draws from `log_density` with chains that begin at `start` `[chains, D]`; `progress` is told the transitions done and their number.
///
/// # Errors
/// The error of `progress`, which ends the work; libtorch's.
pub fn sample(
    log_density: &LogDensity<'_>,
    start: &Tensor,
    settings: &HmcSettings,
    noise: &Generator,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Chains> {
    let total = (settings.warm_up + settings.draws) as usize;
    let mut done = 0;
    let mut tick = || {
        done += 1;
        progress(done, total)
    };
    let mut target = Scaled { log_density, scale: start.get(0).ones_like() };
    // Kernels are for K chains of each of B images; here is one.
    let mut point = Point::new(&target, start.unsqueeze(1))?;
    let mut log_step = FIRST_STEP.ln();
    let kernel = |log_step: f64| Kernel {
        beta: 1.0,
        step: Tensor::full([1], log_step.exp(), (Kind::Double, noise.device())),
        leapfrog_steps: settings.leapfrog_steps,
    };
    let burn_in = settings.warm_up / 4;
    for _ in 0..burn_in {
        point = kernel(BURN_IN_STEP.ln()).transition(&target, &point, noise)?.0;
        tick()?;
    }
    for half in 0..2 {
        let rounds = (settings.warm_up - burn_in) / 2;
        let mut kept = Vec::new();
        let mut log_steps = 0.0;
        for round in 0..rounds {
            let (next, probability) = kernel(log_step).transition(&target, &point, noise)?;
            point = next;
            let gain = if round < rounds / 2 { FIRST_GAIN } else { GAIN };
            log_step += gain * (probability.mean(None).double_value(&[]) - settings.target_acceptance);
            if round >= rounds / 2 {
                kept.push(point.position.shallow_clone());
                log_steps += log_step;
            }
            tick()?;
        }
        if kept.is_empty() {
            continue;
        }
        log_step = log_steps / kept.len() as f64;
        if half == 0 {
            // Measured in their own standard deviations, coordinates move by like amounts.
            let seen = Tensor::cat(&kept, 0).squeeze_dim(1) * &target.scale;
            let position = &point.position * &target.scale;
            target.scale = seen.std_dim(0, true, false);
            point = Point::new(&target, position / &target.scale)?;
            log_step = FIRST_STEP.ln();
        }
    }
    let kernel = kernel(log_step);
    let mut draws = Vec::with_capacity(settings.draws as usize);
    let mut acceptance = Tensor::zeros([], (Kind::Double, noise.device()));
    for _ in 0..settings.draws {
        let (next, probability) = kernel.transition(&target, &point, noise)?;
        point = next;
        acceptance += probability.mean(None);
        draws.push(&point.position.squeeze_dim(1) * &target.scale);
        tick()?;
    }
    Ok(Chains {
        draws: Tensor::stack(&draws, 0),
        acceptance: acceptance.double_value(&[]) / settings.draws as f64,
        step: log_step.exp(),
        scale: target.scale,
    })
}

/// [`sample`] of the posterior of eight schools, chains starting wider than the prior, half of them at positive τ.
///
/// # Errors
/// As [`sample`].
pub fn posterior(
    settings: &HmcSettings,
    noise: &Generator,
    device: Device,
    progress: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<Chains> {
    let model = EightSchools::new(device, Kind::Double);
    let start = noise.normal(&[settings.chains, DIMENSIONS], Kind::Double) * 1.5;
    let sides = Tensor::arange(settings.chains, (Kind::Double, device)).remainder(2.0) * 2.0 - 1.0;
    let mut scales = start.select(1, 1);
    scales.copy_(&(scales.abs() * sides));
    sample(&|z| model.log_joint(z), &start, settings, noise, progress)
}

impl Chains {
    /// Of each coordinate.
    pub fn diagnoses(&self) -> Vec<Diagnosis> {
        (0..self.draws.size()[2]).map(|d| Diagnosis::of(&self.draws.select(2, d))).collect()
    }

    /// `count` draws, evenly spaced along the chains, one chain after the other: `[count, D]`.
    pub fn thinned(&self, count: i64) -> Tensor {
        let size = self.draws.size();
        let total = size[0] * size[1];
        assert!(count <= total, "{count} of {total} draws");
        let rows = Tensor::arange(count, (Kind::Int64, self.draws.device())) * total;
        let rows = rows.divide_scalar_mode(count, "floor");
        self.draws.transpose(0, 1).reshape([total, size[2]]).index_select(0, &rows)
    }
}
