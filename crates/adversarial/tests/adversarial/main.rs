//! Tests of the adversarial methods.
#![expect(clippy::float_cmp, reason = "where a value must be the same, every bit of it must be")]

mod factor_vae;
mod quadratic;
mod routing;
mod support;
