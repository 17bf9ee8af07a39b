//! Scores against figures from elsewhere, and on codes whose scores are known.

mod codes;
mod exact_information;
mod factor_vae;
mod golden;
mod information;
mod irs;
mod moments;
mod table;
mod udr;
