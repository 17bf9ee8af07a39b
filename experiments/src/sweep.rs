//! Many runs from one file: a base configuration and what varies.

mod collect;
mod display;
mod grid;
mod hparams;
pub mod leash;
mod measured;
mod queue;
mod running;
mod sharing;
mod slurm;
mod standing;

pub use collect::{Collected, collect};
pub use grid::{Member, Sweep};
pub use running::{run_all, run_one};
pub use sharing::run_shared;
pub use slurm::script;
pub use standing::Standing;
