//! Objectives and estimators against enumerations, closed forms, identities and golden values.

mod capacity;
mod closed_forms;
mod configuration;
mod conformance;
mod dreg;
mod estimator_exact;
mod free_bits;
mod golden;
mod gradients;
mod identities;
mod importance;
mod properties;
mod setting;
mod step;
mod unbiased;
mod violations;
