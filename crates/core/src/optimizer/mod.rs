//! Optimisers whose whole state is named tensors on the device, and whose step never asks the host anything.
//!
//! The rules are PyTorch's, to the letter, so that a published learning rate keeps its meaning. What is ours: the learning rate is
//! arithmetic on the device's step counter, and a flag on the device can skip an update, which then leaves parameters, moments and
//! counts bit for bit as they were. (Gradients times 0 are not that: moments decay, and Adam still moves.)

mod adam;
mod config;
mod momentum;

pub use config::{OptimizerConfig, OptimizerName};

use crate::{NamedTensors, Weight};
use adam::Adam;
use momentum::{RmsProp, Sgd};
use tch::Tensor;

/// A rule that turns gradients into updates, for the parameters it was built with.
#[derive(Debug)]
pub struct Optimizer {
    parameters: NamedTensors,
    rule: Rule,
    learning_rate: Weight,
    clip_norm: Option<f64>,
}

#[derive(Debug)]
enum Rule {
    Adam(Adam),
    RmsProp(RmsProp),
    Sgd(Sgd),
}

impl Optimizer {
    /// One update, with the learning rate of `step` (an Int64 scalar on the device). `gradients` are in the order of the parameters and
    /// are scaled in place where `clip_norm` asks for it. Where `skip` (a float32 scalar on the device) is 1, nothing changes.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn step(&mut self, gradients: &[Tensor], step: &Tensor, skip: Option<&Tensor>) -> anyhow::Result<()> {
        assert_eq!(gradients.len(), self.parameters.len(), "one gradient per parameter");
        if let Some(clip_norm) = self.clip_norm {
            drop(elbo_native::clip_by_global_norm(gradients, clip_norm)?);
        }
        let learning_rate = self.learning_rate(step);
        tch::no_grad(|| match &mut self.rule {
            Rule::Adam(rule) => rule.step(gradients, &learning_rate, skip),
            Rule::RmsProp(rule) => rule.step(gradients, &learning_rate, skip),
            Rule::Sgd(rule) => rule.step(gradients, &learning_rate, skip),
        })
    }

    /// The optimiser's own tensors, live: `<parameter>.exp_avg` and so on, by PyTorch's names.
    pub fn state(&self) -> NamedTensors {
        let slots = match &self.rule {
            Rule::Adam(rule) => rule.state(),
            Rule::RmsProp(rule) => rule.state(),
            Rule::Sgd(rule) => rule.state(),
        };
        let mut all = Vec::new();
        for (index, (parameter, _)) in self.parameters.iter().enumerate() {
            all.extend(
                slots.iter().map(|(slot, tensors)| (format!("{parameter}.{slot}"), tensors[index].shallow_clone())),
            );
        }
        all
    }

    /// The learning rate at `step`, a float32 scalar on its device.
    pub fn learning_rate(&self, step: &Tensor) -> Tensor {
        self.learning_rate.schedule().at(step)
    }

    /// The parameters it moves.
    pub fn parameters(&self) -> &NamedTensors {
        &self.parameters
    }
}

/// A kind of state, one tensor per parameter.
type Slots<'a> = Vec<(&'static str, &'a [Tensor])>;

fn zeros_like(parameters: &[Tensor]) -> Vec<Tensor> {
    parameters.iter().map(|parameter| parameter.detach().zeros_like()).collect()
}
