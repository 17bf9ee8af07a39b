//! The critic of pairs (x, z), as a configuration says it.

use super::{ConcatenationCritic, Critic, InnerProductCritic};
use elbo_core::initialisation::{Initialisation, Initialiser};
use elbo_core::layers::Activation;
use elbo_core::{FieldError, Generator, NonNegative, choices};
use serde::{Deserialize, Serialize};
use tch::Device;

choices! {
    /// A form of T(x, z).
    pub enum PairCriticName {
        /// x and z side by side through residual blocks: [`ConcatenationCritic`].
        Concatenation = "concatenation",
        /// Two networks and their inner product: [`InnerProductCritic`].
        InnerProduct = "inner-product",
    }
}

/// T(x, z), as a configuration's `critic` says it.
///
/// ```json
/// { "network": "concatenation", "hidden": [256], "blocks": 5, "activation": "elu", "square": 1 }
/// { "network": "inner-product", "hidden": [1024, 1024, 1024], "features": 8192, "activation": "leaky-relu-0.2", "square": 0.5 }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairCriticConfig {
    /// The form.
    pub network: PairCriticName,
    /// Widths of the hidden layers; one for a concatenation, the width of its blocks.
    pub hidden: Vec<i64>,
    /// Residual blocks; a concatenation needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<usize>,
    /// Length of the two vectors whose inner product is taken; an inner product needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<i64>,
    /// Between the layers.
    pub activation: Activation,
    /// c in `c ‖z‖²`, which is added to the network's value.
    pub square: NonNegative,
    /// Start of the parameters; `pytorch` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialisation: Option<Initialisation>,
}

impl PairCriticConfig {
    /// The critic for `observed` numbers of x and `latent` of z, drawn from `noise` (a CPU generator), on `device`.
    ///
    /// # Errors
    /// The field that does not fit.
    pub fn build(
        &self,
        [observed, latent]: [i64; 2],
        noise: &Generator,
        device: Device,
    ) -> Result<Box<dyn Critic>, FieldError> {
        if self.hidden.iter().any(|&width| width < 1) {
            return Err(FieldError::expected("hidden", "a list of integers ≥ 1", format!("{:?}", self.hidden)));
        }
        let initialiser = Initialiser::new(noise, device, self.initialisation.unwrap_or(Initialisation::PyTorch));
        let (activation, square) = (self.activation, self.square.get());
        match self.network {
            PairCriticName::Concatenation => {
                self.refuse("features", self.features.is_some())?;
                let [width] = self.hidden[..] else {
                    let got = format!("{:?}", self.hidden);
                    return Err(FieldError::expected(
                        "hidden",
                        "a list of one integer ≥ 1, the width of all blocks",
                        got,
                    ));
                };
                let blocks = self.blocks.ok_or_else(|| self.needed("blocks", "an integer ≥ 0"))?;
                let sizes = [observed, latent];
                Ok(Box::new(ConcatenationCritic::new(&initialiser, sizes, width, blocks, activation, square)))
            }
            PairCriticName::InnerProduct => {
                self.refuse("blocks", self.blocks.is_some())?;
                let features = self.features.ok_or_else(|| self.needed("features", "an integer ≥ 1"))?;
                if features < 1 {
                    return Err(FieldError::expected("features", "an integer ≥ 1", features));
                }
                let sizes = [observed, latent];
                Ok(Box::new(InnerProductCritic::new(&initialiser, sizes, &self.hidden, features, activation, square)))
            }
        }
    }

    fn needed(&self, field: &str, expected: &str) -> FieldError {
        FieldError::new(field, format!("expected {expected}, which a critic by {} needs", self.network))
    }

    fn refuse(&self, field: &str, given: bool) -> Result<(), FieldError> {
        if given {
            return Err(FieldError::new(
                field,
                format!("expected no {field}, for a critic by {} has none", self.network),
            ));
        }
        Ok(())
    }
}
