//! Runs of elbo: configuration, the one loop, checkpoints, resume.

pub mod files;
pub mod records;
pub mod terminal;
