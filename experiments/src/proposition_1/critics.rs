//! The critics of the study, and how each learns.

use super::measure::{Contrast, Draw};
use anyhow::Result;
use elbo_adversarial::critic::{Pairs, QuadraticCritic};
use elbo_adversarial::{ConcatenationCritic, Critic, RatioEstimator};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Activation;
use elbo_core::optimizer::OptimizerName;
use elbo_core::schedule::Shape;
use elbo_core::{Generator, OptimizerConfig, Schedule, Weight, choices};
use elbo_runner::seed::{Stream, generator};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

choices! {
    /// A family of functions T, and how one of them is found.
    pub enum CriticName {
        /// Quadratic polynomials: the maximum-likelihood fit to all pairs seen, by Newton's method.
        Quadratic = "quadratic",
        /// The same polynomials, by Adam as the networks are.
        QuadraticAdam = "quadratic-adam",
        /// A network with residual blocks plus ½‖z‖² (without it in adaptive contrast, where T* begins near 0).
        Mlp = "mlp",
        /// The same network without ½‖z‖².
        MlpPlain = "mlp-plain",
        /// `mlp` of a quarter of the width.
        MlpSmall = "mlp-small",
        /// `mlp` of twice the width.
        MlpLarge = "mlp-large",
    }
}

/// The size of the networks, and how fast Adam learns.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Capacity {
    /// Features of a hidden layer of `mlp`.
    pub width: i64,
    /// Residual blocks.
    pub blocks: usize,
    /// Of Adam at the first step; falls to 0 at the last, by a cosine.
    pub learning_rate: f64,
}

/// Adam's learning rate of the quadratic critic, whose features are orthonormal, at the first step; falls to 0 as the networks' does.
const QUADRATIC_LEARNING_RATE: f64 = 0.1;

/// A critic that learns from batches.
#[derive(Debug)]
pub(super) enum Learner {
    /// Keeps what it has seen, and is fitted to all of it when somebody looks.
    Fitted {
        /// T.
        critic: QuadraticCritic,
        /// Every batch.
        seen: Vec<Draw>,
        /// Pairs of the last fit.
        fitted: i64,
    },
    /// Takes a step of Adam with each batch.
    Stepped(RatioEstimator<Box<dyn Critic>>),
}

impl CriticName {
    /// The critic for `sizes` numbers of x and z, which has seen nothing and will take `steps` steps.
    pub(super) fn learner(
        self,
        sizes: [i64; 2],
        contrast: Contrast,
        capacity: &Capacity,
        (steps, seed): (u64, u64),
        device: Device,
    ) -> Result<Learner> {
        let quadratic = || QuadraticCritic::new(sizes, (Kind::Float, device));
        let noise = generator(Device::Cpu, seed, Stream::Initialisation)?;
        let network = |width: i64, square: f64| -> Box<dyn Critic> {
            let initialiser = Initialiser::new(&noise, device, Initialisation::PyTorch);
            Box::new(ConcatenationCritic::new(&initialiser, sizes, width, capacity.blocks, Activation::Elu, square))
        };
        let square = if contrast == Contrast::Prior { 0.5 } else { 0.0 };
        let width = capacity.width;
        let critic = match self {
            Self::Quadratic => return Ok(Learner::Fitted { critic: quadratic(), seen: Vec::new(), fitted: 0 }),
            Self::QuadraticAdam => Box::new(quadratic()),
            Self::Mlp => network(width, square),
            Self::MlpPlain => network(width, 0.0),
            Self::MlpSmall => network((width / 4).max(1), square),
            Self::MlpLarge => network(width * 2, square),
        };
        let from = if self == Self::QuadraticAdam { QUADRATIC_LEARNING_RATE } else { capacity.learning_rate };
        let cosine = Schedule::Ramp { shape: Shape::Cosine, from, to: 0.0, steps };
        let rate = Weight::new(cosine).map_err(anyhow::Error::msg)?;
        Ok(Learner::Stepped(RatioEstimator::new(critic, &OptimizerConfig::new(OptimizerName::Adam, rate))?))
    }
}

impl Learner {
    /// Learns from one batch; `step` counts from 0.
    pub(super) fn see(&mut self, draw: Draw, step: &Tensor) -> Result<()> {
        match self {
            Self::Fitted { seen, .. } => seen.push(draw),
            Self::Stepped(estimator) => {
                let Draw { x, of_encoder, of_contrast } = draw;
                drop(estimator.train((&x, &of_encoder), (&x, &of_contrast), step)?);
            }
        }
        Ok(())
    }

    /// T as it is now, after everything seen has been used; `progress` is asked now and then whether to go on.
    pub(super) fn critic(&mut self, progress: &mut dyn FnMut() -> Result<()>) -> Result<&dyn Critic> {
        match self {
            Self::Fitted { critic, seen, fitted } => {
                if seen.len() > 1 {
                    let all = |of: fn(&Draw) -> &Tensor| Tensor::cat(&seen.iter().map(of).collect::<Vec<_>>(), 0);
                    let joined = Draw {
                        x: all(|d| &d.x),
                        of_encoder: all(|d| &d.of_encoder),
                        of_contrast: all(|d| &d.of_contrast),
                    };
                    *seen = vec![joined];
                }
                if let Some(Draw { x, of_encoder, of_contrast }) = seen.first() {
                    let rows = x.size()[0];
                    // Newton's method takes most of its steps far from the end: where it has not been near, on a part.
                    let parts = if rows >= 8 * (*fitted).max(1 << 12) { vec![rows / 16, rows] } else { vec![rows] };
                    for part in parts {
                        let [x, one, two] = [x, of_encoder, of_contrast].map(|t| t.narrow(0, 0, part));
                        let pairs = |z| Pairs { x: &x, z, weight: None };
                        critic.fit(pairs(&one), pairs(&two), progress)?;
                    }
                    *fitted = rows;
                }
                Ok(critic)
            }
            Self::Stepped(estimator) => Ok(estimator.critic().as_ref()),
        }
    }
}

/// The noise that batches are drawn from: one stream for all critics, which see the same pairs.
pub(super) fn batches(device: Device, seed: u64) -> Result<Generator> {
    Ok(generator(device, seed, Stream::Training)?)
}

/// The noise that evaluations are drawn from, one stream for all critics; `round` 0 while training, 1 at the end.
pub(super) fn evaluations(device: Device, seed: u64, round: u64) -> Result<Generator> {
    Ok(generator(device, seed, Stream::Evaluation(round))?)
}
