//! VAE-GAN: reconstructions compared by the features of a discriminator, which learns what data look like.

mod discriminator;
mod equilibrium;
mod game;

pub use discriminator::{Discriminator, FeatureLayer, Judgement, LAYERS};
pub use equilibrium::Equilibrium;
pub use game::VaeGanGame;

use crate::game::{Parts, with_density};
use elbo_core::schedule::Shape;
use elbo_core::{FieldError, NonNegative, OptimizerConfig, Schedule, Weight, choices, config};
use serde::{Deserialize, Serialize};

choices! {
    /// What the discriminator learns to tell from data.
    pub enum AdversarySees {
        /// Pictures decoded from the prior: the authors' code.
        Prior = "prior",
        /// Those and reconstructions: the paper's algorithm, and the note.
        PriorAndReconstruction = "prior+reconstruction",
    }
}

choices! {
    /// What the decoder descends of the discriminator's word.
    pub enum DecoderCost {
        /// −C, what the discriminator descends with its sign turned: weak where the discriminator is sure.
        Saturating = "saturating",
        /// −log Dis of what it makes.
        NonSaturating = "non-saturating",
    }
}

/// Larsen et al. 2016; note (6).
///
/// ```text
/// L_prior = KL(q(z|x) ‖ p(z))                                                                         docs/mathematics.md §8
/// L_llike = −log N(Dis_l(x) | Dis_l(x̃), I)                         x̃ the reconstruction
/// C       = −log Dis(x) − log(1 − Dis(x_p)) [− log(1 − Dis(x̃))]    x_p decoded from the prior
///
/// encoder        descends  L_prior + L_llike                         and nothing of C
/// decoder        descends  γ L_llike − (1 − γ) C                     or γ L_llike − log Dis(x_p) [− log Dis(x̃)]
/// discriminator  descends  C                                         and nothing of L_llike
/// ```
///
/// Every cost is the mean over the batch; `L_llike` is summed over features and `L_prior` over latent dimensions. So γ weighs a sum over thousands of
/// features against a logarithm, which is why the published one is 1e−6.
///
/// Batch normalisation: the discriminator judges data, reconstructions and prior samples in three batches, each normalised by its own moments, and
/// remembers those of all three; the decoder decodes codes and prior samples in two, and remembers both. A gate keeps parameters and optimiser
/// still, not what batch normalisation remembers.
///
/// Reports what every method does (`reconstruction` and `elbo` are those of the pixels' likelihood, which nothing here trains), then
/// `feature_reconstruction` (`L_llike`), `discriminator_cost/data`, `…/prior`, `…/reconstruction` (batch means of −log), and `gate/decoder`,
/// `gate/discriminator` (1 where that player sits the step out).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeGan {
    /// Weight of the features against the discriminator's word in the decoder's cost (γ), at most 1.
    pub gamma: NonNegative,
    /// `Dis_l`.
    pub feature: FeatureLayer,
    /// What the discriminator learns to tell from data.
    pub adversary_sees: AdversarySees,
    /// What the decoder descends of it.
    pub decoder_cost: DecoderCost,
    /// When discriminator or decoder sit out; nobody ever does if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equilibrium: Option<Equilibrium>,
    /// `L_prior` held at a capacity; plain if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityTarget>,
    /// Factor of the discriminator's widths; 1, the paper's, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator_width: Option<NonNegative>,
    /// How the decoder is updated; the encoder is by `optimizer`.
    pub decoder_optimizer: OptimizerConfig,
    /// How the discriminator is updated.
    pub discriminator_optimizer: OptimizerConfig,
}

/// `L_prior` becomes `w |KL − C(t)|`, C(t) rising linearly (docs/mathematics.md §2).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityTarget {
    /// Weight of the distance (w).
    pub capacity_weight: Weight,
    /// Capacity at step 0, in nats.
    pub start_capacity: NonNegative,
    /// Capacity at the end of the ramp and after it, in nats.
    pub max_capacity: NonNegative,
    /// Updates from the one to the other.
    #[serde(deserialize_with = "config::count")]
    pub ramp_steps: u64,
}

impl CapacityTarget {
    /// C(t).
    pub fn schedule(&self) -> Schedule {
        let (from, to) = (self.start_capacity.get(), self.max_capacity.get());
        Schedule::Ramp { shape: Shape::Linear, from, to, steps: self.ramp_steps }
    }
}

impl VaeGan {
    /// Makes the discriminator and the three players.
    ///
    /// # Errors
    /// The field of the configuration that does not fit, from its top.
    pub fn build(self, parts: Parts<'_>) -> Result<VaeGanGame, FieldError> {
        self.check(&parts)?;
        VaeGanGame::new(self, parts)
    }

    fn check(&self, parts: &Parts<'_>) -> Result<(), FieldError> {
        if self.gamma.get() > 1.0 {
            return Err(FieldError::expected("method.gamma", "a number from 0 to 1", self.gamma.get()));
        }
        if !(1..=LAYERS).contains(&self.feature.layer) {
            let expected = format!("a layer from 1 to {LAYERS}");
            return Err(FieldError::expected("method.feature.layer", &expected, self.feature.layer));
        }
        if self.discriminator_width.is_some_and(|width| width.get() == 0.0) {
            return Err(FieldError::expected("method.discriminator_width", "a finite number > 0", 0));
        }
        with_density(&parts.vae)?;
        let [_, height, width] = parts.vae.image();
        if height % 8 != 0 || width % 8 != 0 {
            let message = format!(
                "expected pictures whose height and width are multiples of 8 for the discriminator, got {height}×{width}"
            );
            return Err(FieldError::new("method", message));
        }
        if !parts.vae.likelihood().parameters().is_empty() {
            let message = "expected a number, for no cost of vae-gan trains a scale of the pixels, got \"learnt\"";
            return Err(FieldError::new("model.sigma", message));
        }
        Ok(())
    }
}
