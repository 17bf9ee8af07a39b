//! Scores against figures from elsewhere, and on codes whose scores are known.

mod beta_vae;
mod dci;
mod explicitness;
mod known;
mod sap;
mod table;
