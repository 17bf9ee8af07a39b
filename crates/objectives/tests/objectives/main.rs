//! Objectives and estimators against enumerations, closed forms, identities and golden values.

mod blocks;
mod capacity;
mod closed_forms;
mod configuration;
mod conformance;
mod dip_vae;
mod dreg;
mod estimator_exact;
mod free_bits;
mod golden;
mod gradients;
mod hfvae;
mod hsic;
mod identities;
mod importance;
mod info_vae;
mod kernels;
mod learnt_scale;
mod mathematics;
mod mmd;
mod properties;
mod regularisers;
mod setting;
mod step;
mod unbiased;
mod violations;
