//! Adam and `AdamW`, one fused kernel for all parameters.

use super::{Slots, zeros_like};
use elbo_native::{AdamState, AdamStep};
use tch::{Kind, Tensor};

/// Kingma & Ba 2015; with `decoupled` weight decay, Loshchilov & Hutter 2019.
#[derive(Debug)]
pub(super) struct Adam {
    pub(super) settings: Settings,
    parameters: Vec<Tensor>,
    exp_avg: Vec<Tensor>,
    exp_avg_sq: Vec<Tensor>,
    /// Updates done, a float32 scalar each, as the kernel wants it.
    steps: Vec<Tensor>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) betas: [f64; 2],
    pub(super) epsilon: f64,
    pub(super) weight_decay: f64,
    pub(super) decoupled: bool,
}

impl Adam {
    pub(super) fn new(parameters: Vec<Tensor>, settings: Settings) -> Self {
        let steps = parameters.iter().map(|parameter| Tensor::zeros([], (Kind::Float, parameter.device()))).collect();
        let (exp_avg, exp_avg_sq) = (zeros_like(&parameters), zeros_like(&parameters));
        Self { settings, parameters, exp_avg, exp_avg_sq, steps }
    }

    pub(super) fn step(
        &mut self,
        gradients: &[Tensor],
        learning_rate: &Tensor,
        skip: Option<&Tensor>,
    ) -> anyhow::Result<()> {
        let state = AdamState {
            parameters: &self.parameters,
            exp_avg: &self.exp_avg,
            exp_avg_sq: &self.exp_avg_sq,
            steps: &self.steps,
        };
        let Settings { betas: [beta1, beta2], epsilon, weight_decay, decoupled } = self.settings;
        let step = AdamStep { learning_rate, beta1, beta2, epsilon, weight_decay, decoupled, skip };
        Ok(elbo_native::fused_adam(&state, gradients, &step)?)
    }

    pub(super) fn state(&self) -> Slots<'_> {
        vec![("exp_avg", &self.exp_avg), ("exp_avg_sq", &self.exp_avg_sq), ("step", &self.steps)]
    }
}
