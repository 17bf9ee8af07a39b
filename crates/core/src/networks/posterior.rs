//! The family of q(z|x) as a configuration's `model.posterior` says it.

use super::config::{ModelConfig, NetworkName};
use super::{
    ConvolutionalEncoder, ImplicitEncoder, Mlp, MomentTractableEncoder, NoiseBasis, NoiseBasisConfig, Noisy, burgess,
    locatello,
};
use crate::choices;
use crate::config::{self, COUNT, COUNTS};
use crate::initialisation::Initialiser;
use crate::layers::Activation;
use crate::{Encoder, FieldError};
use serde::{Deserialize, Serialize};

choices! {
    /// A family of q(z|x) that is no Gaussian.
    pub enum PosteriorFamily {
        /// `z = g(x, ε)`: known through its samples alone.
        Implicit = "implicit",
        /// `z = z_0(x) + Σ_k v_k(ε_k) ⊙ a_k(x)`: samples, mean and variance.
        MomentTractable = "moment-tractable",
    }
}

/// The `posterior` of a model. Left out, q(z|x) is a diagonal Gaussian.
///
/// ```json
/// { "family": "implicit", "noise": 64 }
/// { "family": "moment-tractable", "noise": 64, "terms": 32, "hidden": [128, 128, 128], "activation": "elu", "moment_samples": 128 }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PosteriorConfig {
    /// The family.
    pub family: PosteriorFamily,
    /// Numbers of standard normal noise, of each term where there are terms.
    #[serde(deserialize_with = "config::count")]
    pub noise: i64,
    /// Number of terms K; moment-tractable needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<i64>,
    /// Widths of the hidden layers of every `v_k`; moment-tractable needs it.
    #[serde(default, deserialize_with = "config::optional_counts", skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<i64>>,
    /// Activation of those layers; moment-tractable needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Draws of noise from which the moments of v are taken, at least 2; moment-tractable needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment_samples: Option<i64>,
}

impl PosteriorConfig {
    /// Whether these settings fit each other and the network.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, network: NetworkName) -> Result<(), FieldError> {
        if self.noise < 1 {
            return Err(FieldError::expected("noise", COUNT, self.noise));
        }
        if network != NetworkName::Mlp && convolutional(network).is_none() {
            return Err(FieldError::new(
                "family",
                format!("expected no posterior, for {network} is made for a Gaussian"),
            ));
        }
        match self.family {
            PosteriorFamily::Implicit => self.check_implicit(),
            PosteriorFamily::MomentTractable => self.basis().map(drop),
        }
    }

    fn check_implicit(&self) -> Result<(), FieldError> {
        let surplus = [
            ("terms", self.terms.is_some()),
            ("hidden", self.hidden.is_some()),
            ("activation", self.activation.is_some()),
            ("moment_samples", self.moment_samples.is_some()),
        ];
        match surplus.iter().find(|(_, given)| *given) {
            Some((field, _)) => {
                let message =
                    format!("expected no {field}, for it belongs to moment-tractable and the family is implicit");
                Err(FieldError::new(*field, message))
            }
            None => Ok(()),
        }
    }

    /// What moment-tractable needs: the sizes of v, and the draws for its moments.
    fn basis(&self) -> Result<(NoiseBasisConfig<'_>, i64), FieldError> {
        let needed = |field: &str, expected: &str| {
            FieldError::new(field, format!("expected {expected}, which moment-tractable needs"))
        };
        let number = |field: &str, value: Option<i64>, least: i64, expected: &str| match value {
            None => Err(needed(field, expected)),
            Some(value) if value < least => Err(FieldError::expected(field, expected, value)),
            Some(value) => Ok(value),
        };
        let terms = number("terms", self.terms, 1, COUNT)?;
        let hidden = self.hidden.as_deref().ok_or_else(|| needed("hidden", COUNTS))?;
        if hidden.iter().any(|&width| width < 1) {
            return Err(FieldError::expected("hidden", COUNTS, format!("{hidden:?}")));
        }
        let activation = self.activation.ok_or_else(|| {
            let known: Vec<&str> = Activation::ALL.iter().map(|choice| choice.name()).collect();
            needed("activation", &format!("one of {}", known.join(", ")))
        })?;
        let moment_samples = number("moment_samples", self.moment_samples, 2, "an integer ≥ 2")?;
        Ok((NoiseBasisConfig { terms, noise: self.noise, hidden, activation }, moment_samples))
    }

    /// The encoder of `model`, for pictures `image` = `[C, H, W]`.
    ///
    /// # Errors
    /// As [`PosteriorConfig::check`], from the top of `model`.
    pub(super) fn encoder(
        &self,
        model: &ModelConfig,
        initialiser: &Initialiser<'_>,
        image: [i64; 3],
    ) -> Result<Box<dyn Encoder>, FieldError> {
        Ok(match self.family {
            PosteriorFamily::Implicit => {
                let network = network(model, initialiser, image, self.noise, (model.latent, 1))?;
                Box::new(ImplicitEncoder::new(network, self.noise))
            }
            PosteriorFamily::MomentTractable => {
                let (basis, moment_samples) = self.basis().map_err(|error| error.under("posterior"))?;
                let network = network(model, initialiser, image, 0, (model.latent, 1 + basis.terms))?;
                let basis = NoiseBasis::new(initialiser, basis, model.latent);
                Box::new(MomentTractableEncoder::new(network, basis, model.latent, moment_samples))
            }
        })
    }
}

/// Makes a convolutional encoder as [`ConvolutionalEncoder::with_head`] does.
type WithHead = fn(&Initialiser<'_>, [i64; 3], i64, (i64, i64)) -> ConvolutionalEncoder;

/// The convolutional network of this name, where its encoder can take noise and another head.
fn convolutional(name: NetworkName) -> Option<WithHead> {
    let all: [(NetworkName, WithHead); 2] =
        [(NetworkName::Burgess, burgess::encoder_with_head), (NetworkName::Locatello, locatello::encoder_with_head)];
    all.into_iter().find(|(other, _)| *other == name).map(|(_, build)| build)
}

/// The network of `model` with `noise` more inputs and `head` = (outputs, parts).
fn network(
    model: &ModelConfig,
    initialiser: &Initialiser<'_>,
    image: [i64; 3],
    noise: i64,
    (outputs, parts): (i64, i64),
) -> Result<Box<dyn Noisy>, FieldError> {
    if let Some(build) = convolutional(model.network) {
        return Ok(Box::new(build(initialiser, image, noise, (outputs, parts))));
    }
    let [(hidden, activation), _] = model.mlp_settings()?;
    let inputs = image.iter().product::<i64>() + noise;
    Ok(Box::new(Mlp::new(initialiser, inputs, hidden, activation, outputs, parts)))
}
