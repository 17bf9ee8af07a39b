//! Encoder, decoder and likelihood as one model.

use crate::named::prefixed;
use crate::posterior::Knowledge;
use crate::{ExchangeFailed, ForwardPass, Gaussian, Likelihood, NamedTensors, Network, Posterior, Ranks};
use elbo_native::{Generator, autocast};
use tch::Tensor;

/// Infers q(z|x) and draws from it.
pub trait Encoder: std::fmt::Debug + Send {
    /// q(z|x) for a batch `[B, C, H, W]`, and `samples` reparameterised draws: `[B, D]`, or `[K, B, D]` for more than one.
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor);

    /// Parameters, by names below `encoder.`.
    fn parameters(&self) -> NamedTensors;

    /// [`Encoder::infer`] in a training step, as [`Network::forward_training`].
    fn infer_training(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        self.infer(x, noise, samples)
    }

    /// What is remembered but not trained, as [`Network::buffers`].
    fn buffers(&self) -> NamedTensors {
        Vec::new()
    }

    /// The network whose output, mean and log-variance side by side, is all that q(z|x) is made of; where there is one, several processes
    /// can train the encoder together.
    fn head_network(&self) -> Option<&dyn Network> {
        None
    }

    /// What the posteriors tell besides samples; a density if nothing else is said.
    fn knowledge(&self) -> Knowledge {
        Knowledge::Density
    }
}

/// A network whose last layer holds mean and log-variance side by side: `[B, 2 D]`, the mean first.
#[derive(Debug)]
pub struct GaussianEncoder {
    network: Box<dyn Network>,
}

impl GaussianEncoder {
    /// Wraps a network that returns `[B, 2 D]`.
    pub fn new(network: Box<dyn Network>) -> Self {
        Self { network }
    }
}

impl Encoder for GaussianEncoder {
    fn infer(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        drawn(&autocast(|| self.network.forward(x)), noise, samples)
    }

    fn infer_training(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        drawn(&autocast(|| self.network.forward_training(x)), noise, samples)
    }

    fn parameters(&self) -> NamedTensors {
        self.network.parameters()
    }

    fn buffers(&self) -> NamedTensors {
        self.network.buffers()
    }

    fn head_network(&self) -> Option<&dyn Network> {
        Some(self.network.as_ref())
    }
}

/// The Gaussian of a head `[B, 2 D]`, and samples of it.
fn drawn(head: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
    let mut halves = head.chunk(2, -1);
    let log_var = halves.pop().expect("chunk(2) returns two halves");
    let mean = halves.pop().expect("chunk(2) returns two halves");
    let gaussian = Gaussian::new(mean, log_var);
    let z = gaussian.sample(noise, samples);
    (Posterior::Gaussian(gaussian), z)
}

/// A variational autoencoder with a standard normal prior.
#[derive(Debug)]
pub struct Vae {
    encoder: Box<dyn Encoder>,
    decoder: Box<dyn Network>,
    likelihood: Likelihood,
    latent: i64,
    image: [i64; 3],
}

impl Vae {
    /// Puts a model together. `decoder` maps `[B, latent]` to `[B, C, H, W]` with `image` = `[C, H, W]`.
    pub fn new(
        encoder: Box<dyn Encoder>,
        decoder: Box<dyn Network>,
        likelihood: Likelihood,
        latent: i64,
        image: [i64; 3],
    ) -> Self {
        Self { encoder, decoder, likelihood, latent, image }
    }

    /// x → q(z|x), z, p(x|z), with `samples` draws per example.
    pub fn forward(&self, x: &Tensor, noise: &Generator, samples: i64) -> ForwardPass {
        self.check_pictures(x);
        let (posterior, z) = self.encoder.infer(x, noise, samples);
        let decoded = self.decode(&z);
        let log_likelihood = self.likelihood.log_likelihood(x, &decoded);
        ForwardPass::new(x.shallow_clone(), posterior, z, decoded, log_likelihood)
    }

    /// [`Vae::forward`] in a training step: batch normalisation takes the moments of this batch, and remembers them.
    pub fn forward_training(&self, x: &Tensor, noise: &Generator, samples: i64) -> ForwardPass {
        let (posterior, z) = self.infer_training(x, noise, samples);
        let decoded = self.decode_training(&z);
        let log_likelihood = self.likelihood.log_likelihood(x, &decoded);
        ForwardPass::new(x.shallow_clone(), posterior, z, decoded, log_likelihood)
    }

    /// [`Vae::forward_training`] of the whole batch, of which this process computes its own rows: the same pass on every rank, up to which
    /// rows carry a gradient (see [`ranks`](crate::ranks)).
    ///
    /// # Errors
    /// A rank is lost, or late.
    ///
    /// # Panics
    /// [`Vae::can_be_shared`] is false, or the ranks cannot share the batch evenly.
    pub fn forward_among(
        &self,
        x: &Tensor,
        noise: &Generator,
        samples: i64,
        ranks: &Ranks,
    ) -> Result<ForwardPass, ExchangeFailed> {
        self.check_pictures(x);
        let network = self.encoder.head_network().expect("an encoder that several processes can train");
        let own = ranks.own(x, 0);
        let head = ranks.gather(&[(&autocast(|| network.forward_training(&own)), 0)])?.remove(0);
        let (posterior, z) = drawn(&head, noise, samples);
        let decoded = self.decode_training(&ranks.own(&z, -2));
        let log_likelihood = self.likelihood.log_likelihood(&own, &decoded);
        let mut all = ranks.gather(&[(&log_likelihood, -1), (&decoded, -4)])?;
        let (decoded, log_likelihood) = (all.remove(1), all.remove(0));
        Ok(ForwardPass::new(x.shallow_clone(), posterior, z, decoded, log_likelihood))
    }

    /// Whether several processes can train this model together: q(z|x) is drawn from the output of one network.
    pub fn can_be_shared(&self) -> bool {
        self.encoder.head_network().is_some()
    }

    /// q(z|x) and one draw `[B, D]`.
    pub fn encode(&self, x: &Tensor, noise: &Generator) -> (Posterior, Tensor) {
        self.check_pictures(x);
        self.encoder.infer(x, noise, 1)
    }

    /// q(z|x) and `samples` draws (`[B, D]`, or `[K, B, D]`) in a training step.
    pub fn infer_training(&self, x: &Tensor, noise: &Generator, samples: i64) -> (Posterior, Tensor) {
        self.check_pictures(x);
        self.encoder.infer_training(x, noise, samples)
    }

    fn check_pictures(&self, x: &Tensor) {
        assert_eq!(x.size().get(1..), Some(&self.image[..]), "x must be [B, C, H, W] with the model's [C, H, W]");
    }

    /// What the decoder returns for `z` (`[.., D]`): `[.., C, H, W]`.
    pub fn decode(&self, z: &Tensor) -> Tensor {
        self.decode_by(z, |z| self.decoder.forward(z))
    }

    /// [`Vae::decode`] in a training step.
    pub fn decode_training(&self, z: &Tensor) -> Tensor {
        self.decode_by(z, |z| self.decoder.forward_training(z))
    }

    fn decode_by(&self, z: &Tensor, decoder: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
        let size = z.size();
        assert_eq!(size.last(), Some(&self.latent), "z must be [.., {}], got {size:?}", self.latent);
        let decoded = autocast(|| decoder(&z.reshape([-1, self.latent])));
        let shape: Vec<i64> = size[..size.len() - 1].iter().chain(&self.image).copied().collect();
        decoded.reshape(shape)
    }

    /// E[x|z], the pictures to show: `[.., D]` → `[.., C, H, W]`.
    pub fn decode_mean(&self, z: &Tensor) -> Tensor {
        self.likelihood.mean(&self.decode(z))
    }

    /// What the encoder tells of q(z|x).
    pub fn knowledge(&self) -> Knowledge {
        self.encoder.knowledge()
    }

    /// p(x|z).
    pub fn likelihood(&self) -> &Likelihood {
        &self.likelihood
    }

    /// Number of latent dimensions D.
    pub fn latent(&self) -> i64 {
        self.latent
    }

    /// `[C, H, W]`.
    pub fn image(&self) -> [i64; 3] {
        self.image
    }

    /// All parameters: `encoder.*`, `decoder.*`, `likelihood.*`.
    pub fn parameters(&self) -> NamedTensors {
        let mut all = prefixed("encoder", self.encoder.parameters());
        all.extend(prefixed("decoder", self.decoder.parameters()));
        all.extend(prefixed("likelihood", self.likelihood.parameters()));
        all
    }

    /// What is remembered but not trained, under the same prefixes: the running moments of batch normalisation.
    pub fn buffers(&self) -> NamedTensors {
        let mut all = prefixed("encoder", self.encoder.buffers());
        all.extend(prefixed("decoder", self.decoder.buffers()));
        all
    }

    /// Parameters and buffers: all that makes the model what it is.
    pub fn state(&self) -> NamedTensors {
        let mut all = self.parameters();
        all.extend(self.buffers());
        all
    }
}
