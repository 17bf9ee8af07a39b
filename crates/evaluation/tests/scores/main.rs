//! Scores against figures from elsewhere, and on codes whose scores are known.

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
