//! Scores against figures from elsewhere, and on codes whose scores are known.

// Codes that say nothing have scores that are 0 or a half to the last bit.
#![allow(clippy::float_cmp)]

mod beta_vae;
mod codes;
mod dci;
mod exact_information;
mod explicitness;
mod factor_vae;
mod golden;
mod information;
mod irs;
mod known;
mod moments;
mod sap;
mod table;
mod udr;
