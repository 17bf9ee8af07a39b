//! Tests of elbo-core against oracles of their own.

mod batch_norm;
mod configuration;
mod densities;
mod finite_differences;
mod initialisation;
mod likelihoods;
mod networks;
mod optimizer_reference;
mod optimizer_state;
mod posteriors;
mod schedules;
mod step;
mod support;
mod vocabulary;
