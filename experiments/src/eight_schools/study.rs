//! The whole study: the reference, four approximations of it, and every one read by the same estimators.

use super::avb::{Avb, AvbSettings};
use super::diagnostics::Diagnosis;
use super::gaussians::{self, Family};
use super::hmc::{self, Chains};
use super::model::{EightSchools, Grid};
use super::modes::{modes, smoothed};
use super::settings::Settings;
use anyhow::{Context, Result, bail};
use elbo_core::Generator;
use elbo_evaluation::exact::Estimate;
use elbo_evaluation::nearest_neighbours::{kl, kl_to_density};
use elbo_runner::watch::Watch;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// Half of the grid's extent: the density there is below e⁻²⁵ of its peak.
const LIMIT: f64 = 7.0;
const SPACING: f64 = 0.05;
/// Of the Gaussian that densities of samples are smoothed with.
pub const BANDWIDTH: f64 = 0.1;
/// Readings of a training.
const READINGS: i64 = 100;

/// One distribution against the posterior. Divergences in nats.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    /// `hmc`, `mean_field`, `full_rank`, `avb`, `avb_adaptive_contrast`.
    pub name: &'static str,
    /// KL(q ‖ posterior) where it is known.
    pub kl_exact: Option<f64>,
    /// The same by **the** estimator: nearest neighbours among samples of q and of the long run.
    pub kl: Estimate,
    /// The same from a quarter of the samples: how far the estimate still moves.
    pub kl_of_a_quarter: Estimate,
    /// A second estimate that needs no run: `−H(q) − E_q log p(z, y) + log p(y)`, H by nearest neighbours. Far too low; what it says of
    /// the long run, whose answer is 0, is its bias.
    pub kl_to_density: Estimate,
    /// `E_q log p(z, y)`.
    pub expected_log_joint: Estimate,
    /// Modes of (μ, τ).
    pub modes: usize,
    /// The share of samples with τ > 0; one half in the posterior.
    pub positive_share: f64,
}

/// What a training said of itself, now and then.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Moment {
    /// Iterations done.
    pub iteration: i64,
    /// The encoder's cost + log p(y): KL(q ‖ posterior) if the critic were optimal, and no bound.
    pub kl_adversarial: f64,
    /// The critic's cost in nats.
    pub critic_cost: f64,
    /// The share that the critic tells apart.
    pub critic_accuracy: f64,
}

/// The long run.
#[derive(Debug, Clone, Serialize)]
pub struct Reference {
    /// Chains, and draws kept of each.
    pub chains: i64,
    /// See [`Reference::chains`].
    pub draws: i64,
    /// Mean probability of acceptance.
    pub acceptance: f64,
    /// The frozen step, in standard deviations.
    pub step: f64,
    /// Every coordinate.
    pub coordinates: Vec<Coordinate>,
    /// R̂ of the coordinate that is mixed worst, and the fewest effective samples.
    pub worst: Diagnosis,
}

/// One coordinate of the long run.
#[derive(Debug, Clone, Serialize)]
pub struct Coordinate {
    /// `mu`, `tau`, `eta_1` ….
    pub name: String,
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation.
    pub standard_deviation: f64,
    /// Its mixing.
    #[serde(flatten)]
    pub diagnosis: Diagnosis,
}

/// All that was found.
#[derive(Debug)]
pub struct Study {
    /// The posterior of (μ, τ), exact.
    pub grid: Grid,
    /// The long run.
    pub reference: Reference,
    /// Of the long run itself (its first chains against the others), then of every approximation.
    pub readings: Vec<Reading>,
    /// μ and τ of the samples of each reading.
    pub pairs: Vec<Vec<(f64, f64)>>,
    /// Of the two adversarial trainings.
    pub histories: [Vec<Moment>; 2],
}

/// Runs it all.
///
/// # Errors
/// An interruption; samples that no estimate can be made of; libtorch's.
pub fn study(settings: &Settings, seed: u64, device: Device, watch: &Watch) -> Result<Study> {
    // A stream for each part, so that a change of one leaves the others' draws alone.
    let stream = |part: u64| Generator::new(device, seed.wrapping_mul(8).wrapping_add(part));
    let grid = Grid::new(LIMIT, SPACING);
    let chains = {
        let mut stage = watch.stage("HMC");
        hmc::posterior(&settings.hmc, &stream(0)?, device, &mut |done, total| stage.progress(done, total))?
    };
    let count = settings.estimator.samples;
    watch.say("Gaussians");
    let fit = |family: Family| gaussians::fit(family, &settings.gaussians, &stream(1)?, device);
    let (mean_field, full_rank) = (fit(Family::MeanField)?, fit(Family::FullRank)?);
    let (avb, first) = train(&settings.avb, "AVB", (seed, device), &stream(2)?, &grid, watch)?;
    let adaptive = &settings.avb_adaptive_contrast;
    let (avb_adaptive, second) = train(adaptive, "AVB, adaptive contrast", (seed, device), &stream(3)?, &grid, watch)?;

    let reader = Reader { settings, grid: &grid, model: EightSchools::new(device, Kind::Double) };
    let whole = chains.thinned(count);
    let half = settings.hmc.chains / 2;
    let part = |from: i64| Chains {
        draws: chains.draws.narrow(1, from, half),
        scale: chains.scale.shallow_clone(),
        acceptance: chains.acceptance,
        step: chains.step,
    };
    let noise = stream(4)?;
    let implicit = |avb: &Avb| avb.sample(count, &noise).to_kind(Kind::Double);
    let all = [
        ("hmc", Some(0.0), part(0).thinned(count), part(half).thinned(count)),
        ("mean_field", Some(mean_field.kl(grid.log_evidence)), mean_field.sample(count, &noise), whole.shallow_clone()),
        ("full_rank", Some(full_rank.kl(grid.log_evidence)), full_rank.sample(count, &noise), whole.shallow_clone()),
        ("avb", None, implicit(&avb), whole.shallow_clone()),
        ("avb_adaptive_contrast", None, implicit(&avb_adaptive), whole.shallow_clone()),
    ];
    let mut stage = watch.stage("nearest neighbours");
    let (mut readings, mut pairs) = (Vec::new(), Vec::new());
    for (done, (name, exact, samples, against)) in all.iter().enumerate() {
        stage.progress(done, all.len())?;
        readings.push(reader.read(name, *exact, samples, against).with_context(|| (*name).to_owned())?);
        pairs.push(columns(samples)?);
    }
    drop(stage);
    Ok(Study { reference: describe(&chains)?, grid, readings, pairs, histories: [first, second] })
}

/// Trains one approximation.
fn train(
    settings: &AvbSettings,
    name: &str,
    (seed, device): (u64, Device),
    noise: &Generator,
    grid: &Grid,
    watch: &Watch,
) -> Result<(Avb, Vec<Moment>)> {
    let mut avb = Avb::new(settings, &Generator::new(Device::Cpu, seed)?, device)?;
    let mut stage = watch.stage(name);
    let mut history = Vec::new();
    let total = settings.iterations;
    let every = (total / READINGS).max(1);
    for iteration in 1..=total {
        let found = avb.iterate(noise)?;
        if iteration % every == 0 || iteration == total {
            let scalars = Tensor::stack(&[&found.loss, &found.critic_cost, &found.critic_accuracy], 0);
            let scalars: Vec<f64> = Vec::try_from(scalars.to_kind(Kind::Double))?;
            if !scalars[0].is_finite() {
                bail!("{name}: the cost at iteration {iteration} is not finite");
            }
            history.push(Moment {
                iteration,
                kl_adversarial: scalars[0] + grid.log_evidence,
                critic_cost: scalars[1],
                critic_accuracy: scalars[2],
            });
        }
        stage.progress(iteration as usize, total as usize)?;
    }
    Ok((avb, history))
}

/// Reads every distribution alike.
struct Reader<'a> {
    settings: &'a Settings,
    grid: &'a Grid,
    model: EightSchools,
}

impl Reader<'_> {
    fn read(&self, name: &'static str, kl_exact: Option<f64>, samples: &Tensor, against: &Tensor) -> Result<Reading> {
        let (k, count) = (self.settings.estimator.neighbours, self.settings.estimator.samples);
        let log_joint = self.model.log_joint(samples);
        // Every fourth row: they come chain by chain.
        let quarter = |rows: &Tensor| rows.slice(0, 0, count, 4);
        let scales: Vec<f64> = columns(samples)?.into_iter().map(|(_, scale)| scale).collect();
        Ok(Reading {
            name,
            kl_exact,
            kl: kl(samples, against, k)?,
            kl_of_a_quarter: kl(&quarter(samples), &quarter(against), k)?,
            kl_to_density: kl_to_density(samples, &(&log_joint - self.grid.log_evidence), k)?,
            expected_log_joint: Estimate::of(&Vec::<f64>::try_from(log_joint)?),
            modes: modes(&smoothed(&scales, &self.grid.points, BANDWIDTH)),
            positive_share: scales.iter().filter(|scale| **scale > 0.0).count() as f64 / scales.len() as f64,
        })
    }
}

/// μ and τ.
fn columns(samples: &Tensor) -> Result<Vec<(f64, f64)>> {
    let column = |d: i64| Ok::<_, anyhow::Error>(Vec::<f64>::try_from(samples.select(1, d).contiguous())?);
    Ok(column(0)?.into_iter().zip(column(1)?).collect())
}

fn describe(chains: &Chains) -> Result<Reference> {
    let size = chains.draws.size();
    let rows = chains.draws.reshape([-1, size[2]]);
    let means: Vec<f64> = Vec::try_from(rows.mean_dim(0, false, None))?;
    let deviations: Vec<f64> = Vec::try_from(rows.std_dim(0, true, false))?;
    let names = ["mu".to_owned(), "tau".to_owned()].into_iter().chain((1..).map(|j| format!("eta_{j}")));
    let diagnoses = chains.diagnoses();
    let worst =
        diagnoses.iter().fold(Diagnosis { r_hat: 1.0, effective_samples: f64::INFINITY }, |worst, one| Diagnosis {
            r_hat: worst.r_hat.max(one.r_hat),
            effective_samples: worst.effective_samples.min(one.effective_samples),
        });
    let coordinates = names.zip(means.into_iter().zip(deviations)).zip(diagnoses).map(
        |((name, (mean, standard_deviation)), diagnosis)| Coordinate { name, mean, standard_deviation, diagnosis },
    );
    Ok(Reference {
        chains: size[1],
        draws: size[0],
        acceptance: chains.acceptance,
        step: chains.step,
        coordinates: coordinates.collect(),
        worst,
    })
}
