//! Training a classifier: batches in which every class comes equally often, and a stop where it no longer learns.

use super::{Classifier, Groups};
use crate::exact::Progress;
use anyhow::Result;
use elbo_core::optimizer::OptimizerName;
use elbo_core::schedule::Shape;
use elbo_core::{Generator, OptimizerConfig, Player, Schedule, Weight};
use elbo_data::Images;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

/// How a classifier is trained: Adam, its learning rate falling to 0 along a cosine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// Updates at most.
    pub steps: u64,
    /// Pictures of a batch, about: as many of every class.
    pub batch: i64,
    /// Learning rate at the start.
    pub learning_rate: f64,
    /// Share of every class that is kept back to see when learning ends.
    pub validation: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { steps: 2000, batch: 64, learning_rate: 1e-3, validation: 0.1 }
    }
}

/// Looks at the validation pictures during a training.
const CHECKS: u64 = 20;
/// Looks without a smaller loss after which it ends.
const PATIENCE: u64 = 6;
/// Validation pictures of a class at most: the loss of more would cost more than it tells.
const VALIDATION_PICTURES: i64 = 1000;

/// A trained classifier.
#[derive(Debug)]
pub struct Trained {
    /// With the weights of the look at which the validation loss was smallest.
    pub classifier: Classifier,
    /// Updates that made these weights.
    pub steps: u64,
    /// Cross-entropy of the validation pictures then, in nats, every class counting the same; ln K for a guess.
    pub validation_loss: f64,
}

/// Trains a classifier on the pictures of `groups`, at least two of every class. All that is random follows from `seed`.
///
/// A share of the pictures (`groups.split(settings.validation, seed)`) is kept back: every twentieth of the steps the loss on them is
/// taken, the weights of the smallest one are kept, and after six looks without a smaller one the training ends. Pictures that are to judge
/// the classifier must not be among `groups`.
///
/// # Errors
/// When libtorch does; `progress`'s own.
pub fn train(
    images: &Images,
    groups: &Groups,
    settings: &Settings,
    seed: u64,
    progress: &mut Progress<'_>,
) -> Result<Trained> {
    let counts = groups.counts();
    assert!(counts.iter().all(|&count| count >= 2), "a classifier needs two pictures of every class, got {counts:?}");
    let (shape, device) = (images.shape(), images.device());
    let image = [shape.channels, shape.height, shape.width];
    let classes = counts.len() as i64;
    let classifier = Classifier::new(image, classes, &Generator::new(Device::Cpu, seed)?, device);
    let (validation, training) = groups.split(settings.validation, seed)?;
    let validation = validation.at_most(VALIDATION_PICTURES, seed)?;
    let noise = Generator::new(device, seed)?;

    let learning_rate =
        Schedule::Ramp { shape: Shape::Cosine, from: settings.learning_rate, to: 0.0, steps: settings.steps };
    let learning_rate = Weight::new(learning_rate).map_err(anyhow::Error::msg)?;
    let mut player = Player::new(classifier.parameters(), &OptimizerConfig::new(OptimizerName::Adam, learning_rate))?;
    let of_class = (settings.batch / classes).max(1);
    let targets = Tensor::arange(classes, (Kind::Int64, device)).repeat_interleave_self_int(of_class, None, None);

    let every = settings.steps.div_ceil(CHECKS).max(1);
    let mut best = Best::new(&classifier);
    for done in 1..=settings.steps {
        let draw = |rows: &Tensor| rows.index_select(0, &noise.integers(rows.size()[0], &[of_class]));
        let rows = Tensor::cat(&training.rows().iter().map(draw).collect::<Vec<_>>(), 0);
        let loss = classifier.logits_training(&images.gather(&rows, &noise)).cross_entropy_for_logits(&targets);
        let gradients = player.gradients(&loss)?;
        let step = Tensor::full([], done as i64 - 1, (Kind::Int64, device));
        player.step(gradients, &step, None)?;
        if done % every == 0 || done == settings.steps {
            best.look(done, balanced_loss(&classifier, images, &validation, &noise), &classifier);
            if best.looks_since >= PATIENCE {
                break;
            }
        }
        progress(done as usize, settings.steps as usize)?;
    }
    best.restore(&classifier);
    Ok(Trained { classifier, steps: best.steps, validation_loss: best.loss })
}

/// Cross-entropy in nats, every class counting the same.
fn balanced_loss(classifier: &Classifier, images: &Images, groups: &Groups, noise: &Generator) -> f64 {
    const BATCH: i64 = 256;
    tch::no_grad(|| {
        let mut total = Tensor::zeros([], (Kind::Double, images.device()));
        for (class, rows) in groups.rows().iter().enumerate() {
            let count = rows.size()[0];
            for start in (0..count).step_by(BATCH as usize) {
                let some = rows.narrow(0, start, BATCH.min(count - start));
                let logits = classifier.logits(&images.gather(&some, noise)).to_kind(Kind::Double);
                total -= logits.log_softmax(-1, None).select(1, class as i64).sum(None) / count as f64;
            }
        }
        total.double_value(&[]) / groups.rows().len() as f64
    })
}

/// The weights of the smallest loss so far.
struct Best {
    loss: f64,
    steps: u64,
    looks_since: u64,
    weights: Vec<Tensor>,
}

impl Best {
    fn new(classifier: &Classifier) -> Self {
        Self { loss: f64::INFINITY, steps: 0, looks_since: 0, weights: copies(classifier) }
    }

    fn look(&mut self, steps: u64, loss: f64, classifier: &Classifier) {
        self.looks_since += 1;
        if loss < self.loss {
            *self = Self { loss, steps, looks_since: 0, weights: copies(classifier) };
        }
    }

    fn restore(&self, classifier: &Classifier) {
        for ((_, tensor), weights) in classifier.state().iter().zip(&self.weights) {
            tensor.detach().copy_(weights);
        }
    }
}

fn copies(classifier: &Classifier) -> Vec<Tensor> {
    classifier.state().iter().map(|(_, tensor)| tensor.detach().copy()).collect()
}
