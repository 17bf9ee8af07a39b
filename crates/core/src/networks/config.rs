//! A model as its configuration says it, and the way from there to a [`Vae`].

use super::posterior::PosteriorConfig;
use super::{Mlp, Network, VaeGanDecoder, VaeGanEncoder, burgess, locatello, vae_gan};
use crate::choices;
use crate::config::{self, COUNT, COUNTS};
use crate::initialisation::{Initialisation, Initialiser};
use crate::layers::Activation;
use crate::likelihood::Scale;
use crate::vae::GaussianEncoder;
use crate::{FieldError, Likelihood, NonNegative, Vae};
use elbo_native::Generator;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tch::Device;

choices! {
    /// A pair of encoder and decoder.
    pub enum NetworkName {
        /// Burgess et al. 2018: three or four convolutions of 32 channels, two layers of 256.
        Burgess = "burgess",
        /// Locatello et al. 2019: four convolutions, one layer of 256.
        Locatello = "locatello",
        /// Larsen et al. 2016: wide 5×5 convolutions with batch normalisation, their widths times `width`.
        VaeGan = "vae-gan",
        /// Linear layers, their sizes in `encoder_hidden` and `decoder_hidden`.
        Mlp = "mlp",
    }
}

choices! {
    /// A family of p(x|z).
    pub enum LikelihoodName {
        /// Independent Bernoulli pixels from logits.
        Bernoulli = "bernoulli",
        /// Gaussian pixels of one standard deviation, `sigma`.
        Gaussian = "gaussian",
        /// Laplace pixels of one scale, `sigma`.
        Laplace = "laplace",
    }
}

/// The scale of a Gaussian (σ) or Laplace (b) likelihood: a number, or `"learnt"`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sigma {
    /// This number.
    Fixed(f64),
    /// One parameter for all pixels, which starts at 1.
    Learnt,
}

/// The `model` of a configuration.
///
/// ```json
/// { "network": "burgess", "latent": 10, "likelihood": "bernoulli" }
/// { "network": "mlp", "latent": 10, "likelihood": "gaussian", "sigma": "learnt",
///   "encoder_hidden": [1200, 1200], "encoder_activation": "relu",
///   "decoder_hidden": [1200, 1200, 1200], "decoder_activation": "tanh", "initialisation": "pytorch" }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Encoder and decoder.
    pub network: NetworkName,
    /// Number of latent dimensions D.
    #[serde(deserialize_with = "config::count")]
    pub latent: i64,
    /// Family of p(x|z).
    pub likelihood: LikelihoodName,
    /// Scale of a Gaussian or Laplace likelihood, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sigma: Option<Sigma>,
    /// Widths of the encoder's hidden layers; an mlp needs it, `[]` for none.
    #[serde(default, deserialize_with = "config::optional_counts", skip_serializing_if = "Option::is_none")]
    pub encoder_hidden: Option<Vec<i64>>,
    /// Activation of the encoder's hidden layers; an mlp needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder_activation: Option<Activation>,
    /// Widths of the decoder's hidden layers; an mlp needs it, `[]` for none.
    #[serde(default, deserialize_with = "config::optional_counts", skip_serializing_if = "Option::is_none")]
    pub decoder_hidden: Option<Vec<i64>>,
    /// Activation of the decoder's hidden layers; an mlp needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder_activation: Option<Activation>,
    /// Factor of all widths of vae-gan; 1, the paper's, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<NonNegative>,
    /// Start of the parameters; `pytorch` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialisation: Option<Initialisation>,
    /// Family of q(z|x); a diagonal Gaussian if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub posterior: Option<PosteriorConfig>,
}

impl ModelConfig {
    /// A model without the settings that only some networks and likelihoods have.
    pub fn new(network: NetworkName, latent: i64, likelihood: LikelihoodName) -> Self {
        Self {
            network,
            latent,
            likelihood,
            sigma: None,
            encoder_hidden: None,
            encoder_activation: None,
            decoder_hidden: None,
            decoder_activation: None,
            width: None,
            initialisation: None,
            posterior: None,
        }
    }

    /// Whether these settings fit each other, and pictures of `image` = `[C, H, W]`.
    ///
    /// # Errors
    /// The first field that does not.
    pub fn check(&self, image: [i64; 3]) -> Result<(), FieldError> {
        if self.latent < 1 {
            return Err(FieldError::expected("latent", COUNT, self.latent));
        }
        self.scale()?;
        self.check_width()?;
        if let Some(posterior) = &self.posterior {
            posterior.check(self.network).map_err(|error| error.under("posterior"))?;
        }
        match self.network {
            NetworkName::Burgess => self.check_convolutional(image, burgess::halvings(image)),
            NetworkName::Locatello => self.check_convolutional(image, locatello::HALVINGS),
            NetworkName::VaeGan => self.check_convolutional(image, vae_gan::HALVINGS),
            NetworkName::Mlp => self.mlp_settings().map(drop),
        }
    }

    /// Draws the parameters from `noise`, a CPU generator, and puts the model on `device`.
    ///
    /// # Errors
    /// As [`ModelConfig::check`].
    pub fn build(&self, image: [i64; 3], noise: &Generator, device: Device) -> Result<Vae, FieldError> {
        self.check(image)?;
        let scheme = self.initialisation.unwrap_or(Initialisation::PyTorch);
        let initialiser = Initialiser::new(noise, device, scheme);
        let (encoder, decoder) = self.networks(&initialiser, image)?;
        let scale = self.scale()?.map(|sigma| match sigma {
            Sigma::Fixed(value) => Scale::Fixed(value),
            Sigma::Learnt => Scale::Learnt { log_scale: initialiser.scalar(0.0) },
        });
        let likelihood = match (self.likelihood, scale) {
            (LikelihoodName::Gaussian, Some(scale)) => Likelihood::Gaussian(scale),
            (LikelihoodName::Laplace, Some(scale)) => Likelihood::Laplace(scale),
            _ => Likelihood::Bernoulli,
        };
        let encoder = match &self.posterior {
            None => Box::new(GaussianEncoder::new(encoder)),
            // The Gaussian's network was drawn all the same: so one seed gives one decoder, whatever the posterior.
            Some(posterior) => posterior.encoder(self, &initialiser, image)?,
        };
        Ok(Vae::new(encoder, decoder, likelihood, self.latent, image))
    }

    fn networks(&self, initialiser: &Initialiser<'_>, image: [i64; 3]) -> Result<Pair, FieldError> {
        let latent = self.latent;
        Ok(match self.network {
            NetworkName::Burgess => (
                Box::new(burgess::encoder(initialiser, image, latent)),
                Box::new(burgess::decoder(initialiser, image, latent)),
            ),
            NetworkName::Locatello => (
                Box::new(locatello::encoder(initialiser, image, latent)),
                Box::new(locatello::decoder(initialiser, image, latent)),
            ),
            NetworkName::VaeGan => {
                let width = self.width.map_or(1.0, NonNegative::get);
                // Logits are unbounded; means are pictures.
                let squashed = self.likelihood != LikelihoodName::Bernoulli;
                (
                    Box::new(VaeGanEncoder::new(initialiser, image, latent, width)),
                    Box::new(VaeGanDecoder::new(initialiser, image, latent, width, squashed)),
                )
            }
            NetworkName::Mlp => {
                let pixels = image.iter().product();
                let [(encoder, encoder_activation), (decoder, decoder_activation)] = self.mlp_settings()?;
                (
                    Box::new(Mlp::new(initialiser, pixels, encoder, encoder_activation, latent, 2)),
                    Box::new(Mlp::new(initialiser, latent, decoder, decoder_activation, pixels, 1)),
                )
            }
        })
    }

    /// The width, which is vae-gan's.
    fn check_width(&self) -> Result<(), FieldError> {
        match self.width {
            Some(_) if self.network != NetworkName::VaeGan => {
                let message =
                    format!("expected no width, for it belongs to vae-gan and the network is {}", self.network);
                Err(FieldError::new("width", message))
            }
            Some(width) if width.get() == 0.0 => Err(FieldError::expected("width", "a finite number > 0", 0)),
            _ => Ok(()),
        }
    }

    /// The scale, which a Bernoulli has not and the others must have.
    fn scale(&self) -> Result<Option<Sigma>, FieldError> {
        match (self.likelihood, self.sigma) {
            (LikelihoodName::Bernoulli, None) => Ok(None),
            (LikelihoodName::Bernoulli, Some(_)) => {
                Err(FieldError::new("sigma", "expected no sigma, for a bernoulli likelihood has no scale"))
            }
            (name, None) => Err(FieldError::new("sigma", format!("expected {SIGMA}, which a {name} likelihood needs"))),
            (_, Some(Sigma::Fixed(value))) if !is_scale(value) => Err(FieldError::expected("sigma", SIGMA, value)),
            (_, sigma) => Ok(sigma),
        }
    }

    fn check_convolutional(&self, [channels, height, width]: [i64; 3], halvings: usize) -> Result<(), FieldError> {
        let surplus = [
            ("encoder_hidden", self.encoder_hidden.is_some()),
            ("encoder_activation", self.encoder_activation.is_some()),
            ("decoder_hidden", self.decoder_hidden.is_some()),
            ("decoder_activation", self.decoder_activation.is_some()),
        ];
        if let Some((field, _)) = surplus.iter().find(|(_, given)| *given) {
            let message = format!("expected no {field}, for it belongs to mlp and the network is {}", self.network);
            return Err(FieldError::new(*field, message));
        }
        let multiple = 1 << halvings;
        if channels < 1 || height < multiple || width < multiple || height % multiple != 0 || width % multiple != 0 {
            let message = format!(
                "expected pictures whose height and width are multiples of {multiple} for {}, got {height}×{width}",
                self.network
            );
            return Err(FieldError::new("network", message));
        }
        Ok(())
    }

    /// Widths and activation of encoder and decoder.
    pub(super) fn mlp_settings(&self) -> Result<[(&[i64], Activation); 2], FieldError> {
        let widths = |field: &str, widths: &'_ Option<Vec<i64>>| match widths {
            None => Err(FieldError::new(field, format!("expected {COUNTS}, which an mlp needs"))),
            Some(widths) if widths.iter().any(|&width| width < 1) => {
                Err(FieldError::expected(field, COUNTS, format!("{widths:?}")))
            }
            Some(_) => Ok(()),
        };
        let activation = |field: &str, activation: Option<Activation>| {
            activation.ok_or_else(|| {
                let known: Vec<&str> = Activation::ALL.iter().map(|choice| choice.name()).collect();
                FieldError::new(field, format!("expected one of {}, which an mlp needs", known.join(", ")))
            })
        };
        widths("encoder_hidden", &self.encoder_hidden)?;
        let encoder_activation = activation("encoder_activation", self.encoder_activation)?;
        widths("decoder_hidden", &self.decoder_hidden)?;
        let decoder_activation = activation("decoder_activation", self.decoder_activation)?;
        Ok([
            (self.encoder_hidden.as_deref().unwrap_or_default(), encoder_activation),
            (self.decoder_hidden.as_deref().unwrap_or_default(), decoder_activation),
        ])
    }
}

type Pair = (Box<dyn Network>, Box<dyn Network>);

const SIGMA: &str = "a finite number > 0 or \"learnt\"";
const LEARNT: &str = "learnt";

fn is_scale(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

impl<'de> Deserialize<'de> for Sigma {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        config::expect(deserializer, SIGMA, |value| match value {
            Value::String(word) => (word == LEARNT).then_some(Self::Learnt),
            value => value.as_f64().filter(|&value| is_scale(value)).map(Self::Fixed),
        })
    }
}

impl Serialize for Sigma {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(value) => serializer.serialize_f64(*value),
            Self::Learnt => serializer.serialize_str(LEARNT),
        }
    }
}
