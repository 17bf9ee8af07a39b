//! Scores against figures from elsewhere, and on codes whose scores are known.

// Codes that say nothing have scores that are 0 or a half to the last bit.
#![allow(clippy::float_cmp)]

mod beta_vae;
mod dci;
mod explicitness;
mod known;
mod sap;
mod table;
