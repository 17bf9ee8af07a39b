//! One critic, trained and measured on the way.

use super::critics::{Capacity, CriticName, batches, evaluations};
use super::measure::{Measurement, Problem, Values};
use anyhow::Result;
use serde::Serialize;
use std::time::Instant;
use tch::{Device, Tensor};

/// How long, and on what.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Settings {
    /// Updates.
    pub steps: u64,
    /// Pairs of either side at every update.
    pub batch_size: i64,
    /// Fresh samples of either side behind the final figures.
    pub samples: i64,
    /// Fresh samples behind the points of the curves.
    pub curve_samples: i64,
    /// The networks.
    pub capacity: Capacity,
    /// Of everything that is drawn.
    pub seed: u64,
}

/// A point of a curve.
#[derive(Debug, Clone, Serialize)]
pub struct Point {
    /// The critic.
    pub critic: String,
    /// Updates so far.
    pub step: u64,
    /// Pairs of either side that it has learnt from.
    pub pairs: u64,
    /// How near it is.
    #[serde(flatten)]
    pub measurement: Measurement,
}

/// What became of one critic.
#[derive(Debug)]
pub struct Outcome {
    /// Its name, with `+adaptive` in adaptive contrast.
    pub name: String,
    /// While it learnt.
    pub history: Vec<Point>,
    /// At the end, from [`Settings::samples`] fresh samples.
    pub last: Measurement,
    /// The first of those samples under q and under p, for pictures.
    pub shown: [Values; 2],
    /// Time, in seconds.
    pub seconds: f64,
}

/// Points of [`Outcome::shown`].
const SHOWN: i64 = 1500;

/// Updates after which a point of the curves is taken: the last, and √2 times fewer each time, above 8.
fn measured_after(steps: u64) -> Vec<u64> {
    let fewer = |k: u32| (steps as f64 / 2_f64.powf(f64::from(k) / 2.0)).round() as u64;
    let mut all: Vec<u64> = (0..128).map(fewer).take_while(|&updates| updates > 8 || updates == steps).collect();
    all.reverse();
    all.dedup();
    all
}

/// Trains one critic on fresh pairs, the same for every critic of a seed. With `curves`, it is measured on the way.
///
/// `progress` hears how many of all updates are done.
///
/// # Errors
/// `progress`'s own, and when libtorch does.
pub fn train(
    critic: CriticName,
    problem: &Problem<'_>,
    settings: &Settings,
    device: Device,
    curves: bool,
    progress: &mut dyn FnMut(u64, u64) -> Result<()>,
) -> Result<Outcome> {
    let started = Instant::now();
    let name = format!("{critic}{}", problem.contrast.suffix());
    let Settings { steps, batch_size, seed, .. } = *settings;
    let sizes = problem.encoder.sizes();
    let mut learner = critic.learner(sizes, problem.contrast, &settings.capacity, (steps, seed), device)?;
    let noise = batches(device, seed)?;
    let watched = problem.samples(settings.curve_samples, &evaluations(device, seed, 0)?);
    let points = if curves { measured_after(steps) } else { Vec::new() };
    let mut history = Vec::new();
    for done in 1..=steps {
        let step = Tensor::from(done as i64 - 1).to_device(device);
        learner.see(problem.draw(batch_size, &noise), &step)?;
        if done % 16 == 0 {
            progress(done, steps)?;
        }
        if points.contains(&done) {
            let measurement = problem.measure(learner.critic(&mut || progress(done, steps))?, &watched, batch_size);
            history.push(Point { critic: name.clone(), step: done, pairs: done * batch_size as u64, measurement });
        }
    }
    let critic = learner.critic(&mut || progress(steps, steps))?;
    let fresh = problem.samples(settings.samples, &evaluations(device, seed, 1)?);
    let values = fresh.values(critic);
    let last = Measurement::of(&values, problem, batch_size);
    let [under_q, under_p, _] = values.map(|values| values.first(SHOWN).copied());
    Ok(Outcome { name, history, last, shown: [under_q, under_p], seconds: started.elapsed().as_secs_f64() })
}
