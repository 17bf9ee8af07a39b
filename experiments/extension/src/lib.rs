//! The Rényi bound of Li & Turner (2016), as a user of elbo adds it.
//!
//! Three things make it train with the same flags, curves, checkpoints and resume as the built-in methods: a struct that is its
//! configuration, [`Objective`], and [`Method`]. `src/main.rs` is the binary; `tests/conformance.rs` holds it to elbo's suite.

use anyhow::Result;
use elbo_core::{Algorithm, BatchContext, ForwardPass, config};
use elbo_objectives::iwae::log_weights;
use elbo_objectives::{ElboParts, Objective, SingleObjective, Terms};
use elbo_runner::{BuildContext, Method};
use serde::{Deserialize, Deserializer, Serialize};
use tch::{Kind, Tensor};

/// Minus the Rényi bound of order α, from K samples.
///
/// ```text
/// loss = −1/(1 − α) log((1/K) Σ_k w_k^(1−α)),  w_k = p(x, z_k)/q(z_k|x)          Li & Turner 2016, Eq. 10
/// ```
///
/// α = 0 is the importance-weighted bound (`iwae`). α → 1 is the ELBO, which elbo has under its own name (`elbo`), so that 1 is refused.
/// Below 0 the exact bound lies above log p(x).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renyi {
    /// Samples of z per example (K).
    #[serde(deserialize_with = "config::count")]
    pub samples: i64,
    /// Order of the divergence (α).
    #[serde(deserialize_with = "order")]
    pub alpha: f64,
}

fn order<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let expected = "a number other than 1 (at 1 the bound is the ELBO: train it with the method elbo)";
    config::expect(deserializer, expected, |value| value.as_f64().filter(|alpha| (alpha - 1.0).abs() > 1e-6))
}

/// The bound of every example: log-weights `[K, B]` → `[B]`, in nats.
pub fn bound(log_weights: &Tensor, alpha: f64) -> Tensor {
    let samples = log_weights.size()[0] as f64;
    ((log_weights * (1.0 - alpha)).logsumexp(0, false) - samples.ln()) / (1.0 - alpha)
}

impl Objective for Renyi {
    fn evaluate(&self, pass: &ForwardPass, _context: &BatchContext<'_>) -> Terms {
        let bound = bound(&log_weights(pass), self.alpha).mean(None::<Kind>);
        Terms::new(-&bound).with_elbo(&ElboParts::of(pass)).with("renyi_bound", bound)
    }

    fn samples(&self) -> i64 {
        self.samples
    }
}

elbo_runner::methods! {
    /// The methods of this crate.
    pub enum Methods { "renyi" => Renyi(Renyi) }
}

impl Method for Methods {
    fn build(&self, context: &BuildContext<'_>) -> Result<Box<dyn Algorithm>> {
        let Self::Renyi(objective) = self.clone();
        Ok(Box::new(SingleObjective::new(context.vae()?, objective, context.optimizer)?))
    }
}
