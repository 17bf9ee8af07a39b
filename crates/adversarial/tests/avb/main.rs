//! Tests of adversarial variational Bayes.
#![expect(clippy::float_cmp, reason = "where a value must be the same, every bit of it must be")]

mod bound;
mod contrast;
mod critics;
mod game;
mod linear;
mod support;
