//! Step sizes for the chains, found in a run of their own.
//!
//! Steps that follow the chain they move make a weight depend on its own future, and the bound is gone. So a pilot run
//! with noise of its own finds them, and the runs that are reported take them as constants.

use super::annealing::Settings;
use super::hamiltonian::{Point, Target};
use elbo_native::Generator;
use std::f64::consts::PI;
use tch::{Kind, Tensor};

/// Transitions at the first temperature before anything is kept: from a step of 0.01 to one of 1 takes about 14 of
/// them.
const WARM_UP: usize = 30;
/// Change of log ε per unit of acceptance above the target, in the warm-up.
const WARM_UP_GAIN: f64 = 1.0;
/// The same afterwards, when steps only follow the path.
const GAIN: f64 = 0.3;

/// Frozen steps: one for each temperature between the ends and each image, shared by the chains of the image.
#[derive(Debug)]
pub struct Steps {
    /// Logarithms of the steps, float64 `[T − 1, B]`: row t − 1 belongs to `β = t/T`.
    pub log_steps: Tensor,
}

impl Steps {
    /// The steps at the temperature `t`, 1 ≤ t < T: `[B]`.
    pub fn at(&self, temperature: usize) -> Tensor {
        self.log_steps.get(temperature as i64 - 1).exp()
    }
}

/// Adapts the steps to `settings.target_acceptance` with K chains that walk the path once, by themselves.
///
/// ```text
/// log ε ← log ε + γ (mean acceptance probability of the image's chains − target)          Robbins & Monro 1951
/// ```
///
/// They stop at no more than `settings.pilot_temperatures` temperatures, densest at the ends of the path, where a start
/// that is too wide or too narrow makes the scales change fastest, and make `settings.pilot_transitions` transitions at
/// each; the step kept there is the geometric mean of those of the second half. Temperatures in between get steps by
/// interpolating log ε. `tick` is called after each transition.
///
/// # Errors
/// The target's, or an interruption.
pub fn pilot(
    target: &dyn Target,
    settings: &Settings,
    noise: &Generator,
    tick: &mut dyn FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Steps> {
    tch::no_grad(|| {
        let [images, latent] = target.size();
        let options = (Kind::Double, noise.device());
        let knots = knots(settings);
        if knots.is_empty() {
            return Ok(Steps { log_steps: Tensor::zeros([0, images], options) });
        }
        let mut chain = Chain {
            target,
            settings,
            point: Point::new(target, noise.normal(&[settings.chains, images, latent], Kind::Double))?,
            log_step: Tensor::full([images], settings.initial_step.ln(), options),
        };
        for _ in 0..WARM_UP {
            chain.adapt(knots[0], WARM_UP_GAIN, noise)?;
            tick()?;
        }
        let kept_from = settings.pilot_transitions / 2;
        let mut found = Vec::with_capacity(knots.len());
        for &knot in &knots {
            let mut kept = chain.log_step.zeros_like();
            for round in 0..settings.pilot_transitions {
                chain.adapt(knot, GAIN, noise)?;
                if round >= kept_from {
                    kept += &chain.log_step;
                }
                tick()?;
            }
            found.push(kept / (settings.pilot_transitions - kept_from) as f64);
        }
        let weights = Tensor::from_slice(&interpolation(settings.temperatures, &knots))
            .view([-1, knots.len() as i64])
            .to_device(noise.device());
        Ok(Steps { log_steps: weights.matmul(&Tensor::stack(&found, 0)) })
    })
}

/// Transitions that [`pilot()`] makes.
pub(super) fn transitions(settings: &Settings) -> usize {
    match knots(settings).len() {
        0 => 0,
        knots => WARM_UP + knots * settings.pilot_transitions,
    }
}

/// The chains of the pilot and the step that they have reached.
struct Chain<'a> {
    target: &'a dyn Target,
    settings: &'a Settings,
    point: Point,
    log_step: Tensor,
}

impl Chain<'_> {
    fn adapt(&mut self, temperature: usize, gain: f64, noise: &Generator) -> anyhow::Result<()> {
        let kernel = self.settings.kernel(temperature, self.log_step.exp());
        let (point, probability) = kernel.transition(self.target, &self.point, noise)?;
        self.point = point;
        self.log_step += (probability.mean_dim(0, false, None) - self.settings.target_acceptance) * gain;
        Ok(())
    }
}

/// Temperatures at which the pilot stops, among 1 … T − 1, ascending.
fn knots(settings: &Settings) -> Vec<usize> {
    let inner = settings.temperatures - 1;
    let count = settings.pilot_temperatures.min(inner);
    let place = |knot: usize| match count {
        1 => 0.5,
        _ => (1.0 - (PI * knot as f64 / (count - 1) as f64).cos()) / 2.0,
    };
    let mut knots: Vec<usize> =
        (0..count).map(|knot| 1 + (place(knot) * (inner - 1) as f64).round() as usize).collect();
    knots.dedup();
    knots
}

/// Weights of the knots for each of the temperatures 1 … T − 1, row by row: linear between two knots, constant outside.
fn interpolation(temperatures: usize, knots: &[usize]) -> Vec<f64> {
    (1..temperatures)
        .flat_map(|temperature| {
            let above = knots.partition_point(|&knot| knot < temperature);
            let mut weights = vec![0.0; knots.len()];
            match above {
                0 => weights[0] = 1.0,
                above if above == knots.len() => weights[above - 1] = 1.0,
                above => {
                    let (low, high) = (knots[above - 1] as f64, knots[above] as f64);
                    weights[above] = (temperature as f64 - low) / (high - low);
                    weights[above - 1] = 1.0 - weights[above];
                }
            }
            weights
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(temperatures: usize, pilot_temperatures: usize) -> Settings {
        Settings { pilot_temperatures, ..Settings::new(temperatures, 2) }
    }

    /// Ascending, from the first temperature to the last, no more than asked for; all of them where there are few.
    #[test]
    fn knots_span_the_path() {
        assert_eq!(knots(&settings(2000, 5)), [1, 294, 1000, 1706, 1999]);
        assert_eq!(knots(&settings(4, 1)), [2]);
        for (temperatures, most) in [(2, 40), (5, 40), (41, 40), (500, 40), (2000, 2)] {
            let knots = knots(&settings(temperatures, most));
            assert_eq!((knots[0], knots[knots.len() - 1]), (1, temperatures - 1));
            assert!(knots.len() <= most && knots.is_sorted_by(|a, b| a < b));
        }
        assert!(knots(&settings(1, 40)).is_empty(), "one temperature is importance sampling: no kernel");
    }

    /// Interpolating the temperature itself gives the temperature, between the knots; constants outside; every row adds
    /// up to 1.
    #[test]
    fn interpolation_is_linear_between_knots() {
        let knots = [3, 5, 9];
        let rows = interpolation(12, &knots);
        for (row, temperature) in rows.chunks(3).zip(1..12_usize) {
            let value: f64 = row.iter().zip(knots).map(|(weight, knot)| weight * knot as f64).sum();
            assert!((value - temperature.clamp(3, 9) as f64).abs() < 1e-12);
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
