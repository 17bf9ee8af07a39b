//! An optimiser as its configuration says it.

use super::adam::{self, Adam};
use super::momentum::{RmsProp, RmsPropSettings, Sgd, SgdSettings};
use super::{Optimizer, Rule};
use crate::weight::NUMBER;
use crate::{FieldError, NamedTensors, NonNegative, Weight, choices};
use serde::{Deserialize, Serialize};
use tch::Tensor;

choices! {
    /// A rule of updating.
    pub enum OptimizerName {
        /// Kingma & Ba 2015; weight decay is added to the gradient.
        Adam = "adam",
        /// Loshchilov & Hutter 2019: Adam with weight decay apart from the gradient.
        AdamW = "adamw",
        /// Tieleman & Hinton 2012.
        RmsProp = "rmsprop",
        /// Stochastic gradient descent.
        Sgd = "sgd",
    }
}

/// The `optimizer` of a configuration. What is left out is as in PyTorch.
///
/// ```json
/// { "name": "adam", "learning_rate": 5e-4 }
/// { "name": "sgd", "learning_rate": { "schedule": "cosine", "from": 0.1, "to": 0, "steps": 10000 }, "momentum": 0.9, "clip_norm": 1 }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The rule.
    pub name: OptimizerName,
    /// η, a number or a schedule over updates.
    pub learning_rate: Weight,
    /// Memory of the two moments (adam, adamw); `[0.9, 0.999]` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<[NonNegative; 2]>,
    /// Added to the root of the second moment (adam, adamw, rmsprop); `1e-8` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<NonNegative>,
    /// Pull towards 0 (all; adamw needs it); 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<NonNegative>,
    /// Memory of past updates (rmsprop, sgd); 0 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<NonNegative>,
    /// Whether momentum looks ahead (sgd); `false` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Memory of the second moment (rmsprop); 0.99 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alpha: Option<NonNegative>,
    /// Longest norm that all gradients together may have; longer ones are scaled down to it. No limit if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<NonNegative>,
}

impl OptimizerConfig {
    /// A rule with a learning rate, everything else left out.
    pub fn new(name: OptimizerName, learning_rate: Weight) -> Self {
        Self {
            name,
            learning_rate,
            betas: None,
            epsilon: None,
            weight_decay: None,
            momentum: None,
            nesterov: None,
            alpha: None,
            clip_norm: None,
        }
    }

    /// Whether every field belongs to the rule and is in its range.
    ///
    /// # Errors
    /// The first field that does not or is not.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.learning_rate.schedule().range().1 <= 0.0 {
            return Err(FieldError::new("learning_rate", "expected a learning rate > 0, got 0"));
        }
        self.check_fields()?;
        if self.name == OptimizerName::AdamW && self.weight_decay.is_none() {
            return Err(FieldError::new("weight_decay", format!("expected {NUMBER}, which adamw needs")));
        }
        let memories = [("momentum", self.momentum), ("alpha", self.alpha)];
        for (field, memory) in
            memories.into_iter().chain(self.betas.iter().flatten().map(|beta| ("betas", Some(*beta))))
        {
            if let Some(memory) = memory.filter(|memory| memory.get() >= 1.0) {
                return Err(FieldError::expected(field, "a number ≥ 0 and < 1", memory.get()));
            }
        }
        if self.nesterov == Some(true) && self.momentum.is_none_or(|momentum| momentum.get() == 0.0) {
            return Err(FieldError::new("momentum", "expected a number > 0 and < 1, which nesterov needs"));
        }
        if self.clip_norm.is_some_and(|norm| norm.get() == 0.0) {
            return Err(FieldError::expected("clip_norm", "a finite number > 0", 0));
        }
        Ok(())
    }

    /// The optimiser of `parameters`, its state at 0, on their device.
    ///
    /// # Errors
    /// As [`OptimizerConfig::check`].
    pub fn build(&self, parameters: NamedTensors) -> Result<Optimizer, FieldError> {
        self.check()?;
        let number = |value: Option<NonNegative>, default: f64| value.map_or(default, NonNegative::get);
        let epsilon = number(self.epsilon, 1e-8);
        let weight_decay = number(self.weight_decay, 0.0);
        let momentum = number(self.momentum, 0.0);
        // Detached: the same memory, without autograd's bookkeeping.
        let tensors: Vec<Tensor> = parameters.iter().map(|(_, parameter)| parameter.detach()).collect();
        let rule = match self.name {
            OptimizerName::Adam | OptimizerName::AdamW => {
                let betas = self.betas.map_or([0.9, 0.999], |betas| betas.map(NonNegative::get));
                let decoupled = self.name == OptimizerName::AdamW;
                Rule::Adam(Adam::new(tensors, adam::Settings { betas, epsilon, weight_decay, decoupled }))
            }
            OptimizerName::RmsProp => {
                let alpha = number(self.alpha, 0.99);
                Rule::RmsProp(RmsProp::new(tensors, RmsPropSettings { alpha, epsilon, weight_decay, momentum }))
            }
            OptimizerName::Sgd => {
                let nesterov = self.nesterov.unwrap_or(false);
                Rule::Sgd(Sgd::new(tensors, SgdSettings { weight_decay, momentum, nesterov }))
            }
        };
        let clip_norm = self.clip_norm.map(NonNegative::get);
        Ok(Optimizer { parameters, rule, learning_rate: self.learning_rate, clip_norm })
    }

    fn check_fields(&self) -> Result<(), FieldError> {
        use OptimizerName::{Adam, AdamW, RmsProp, Sgd};
        let owners: [(&str, bool, &[OptimizerName]); 5] = [
            ("betas", self.betas.is_some(), &[Adam, AdamW]),
            ("epsilon", self.epsilon.is_some(), &[Adam, AdamW, RmsProp]),
            ("momentum", self.momentum.is_some(), &[RmsProp, Sgd]),
            ("nesterov", self.nesterov.is_some(), &[Sgd]),
            ("alpha", self.alpha.is_some(), &[RmsProp]),
        ];
        for (field, given, owners) in owners {
            if given && !owners.contains(&self.name) {
                let names: Vec<&str> = owners.iter().map(|owner| owner.name()).collect();
                let message = format!(
                    "expected no {field}, for it belongs to {} and the optimiser is {}",
                    names.join(", "),
                    self.name
                );
                return Err(FieldError::new(field, message));
            }
        }
        Ok(())
    }
}
