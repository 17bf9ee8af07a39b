//! Tests of the adversarial methods.
#![expect(clippy::float_cmp, reason = "where a value must be the same, every bit of it must be")]

mod aggregate;
mod divergence;
mod divergence_trained;
mod divergence_values;
mod endurance;
mod factor_vae;
mod oracle;
mod quadratic;
mod routing;
mod sampler_gradients;
mod support;
mod vae_gan;
