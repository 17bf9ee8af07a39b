//! Objectives and estimators against enumerations, closed forms, identities and golden values.

mod closed_forms;
mod configuration;
mod conformance;
mod estimator_exact;
mod golden;
mod gradients;
mod identities;
mod properties;
mod setting;
mod step;
mod unbiased;
mod violations;
