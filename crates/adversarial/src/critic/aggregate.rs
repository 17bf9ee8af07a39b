//! T(z): for ratios of distributions of codes alone.

use super::Critic;
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Activation;
use elbo_core::networks::Mlp;
use elbo_core::{FieldError, Generator, NamedTensors, Network};
use elbo_native::autocast;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

/// A multilayer perceptron over z, as a configuration's `critic` says it.
///
/// ```json
/// { "hidden": [1000, 1000, 1000, 1000, 1000, 1000], "activation": "leaky-relu-0.2" }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AggregateCriticConfig {
    /// Widths of the hidden layers.
    pub hidden: Vec<i64>,
    /// Between the layers.
    pub activation: Activation,
    /// Start of the parameters; `pytorch` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialisation: Option<Initialisation>,
}

/// T(z), `[B, D]` → `[B]`.
#[derive(Debug)]
pub struct AggregateCritic {
    network: Mlp,
}

impl AggregateCriticConfig {
    /// The critic for D = `latent`, drawn from `noise` (a CPU generator), on `device`.
    ///
    /// # Errors
    /// A width that is none.
    pub fn build(&self, latent: i64, noise: &Generator, device: Device) -> Result<AggregateCritic, FieldError> {
        if self.hidden.is_empty() || self.hidden.iter().any(|&width| width < 1) {
            let got = format!("{:?}", self.hidden);
            return Err(FieldError::expected("hidden", "a list of at least one integer ≥ 1", got));
        }
        let scheme = self.initialisation.unwrap_or(Initialisation::PyTorch);
        let initialiser = Initialiser::new(noise, device, scheme);
        Ok(AggregateCritic { network: Mlp::new(&initialiser, latent, &self.hidden, self.activation, 1, 1) })
    }
}

impl AggregateCritic {
    /// T of every row of `z` (`[B, D]`): `[B]`, in nats.
    pub fn of(&self, z: &Tensor) -> Tensor {
        autocast(|| self.network.forward(z)).squeeze_dim(-1)
    }
}

impl Critic for AggregateCritic {
    fn log_ratio(&self, _x: &Tensor, z: &Tensor) -> Tensor {
        self.of(z)
    }

    fn parameters(&self) -> NamedTensors {
        self.network.parameters()
    }
}
