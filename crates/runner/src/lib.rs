//! Runs of `elbo`: the typed configuration, the one loop, TensorBoard, checkpoints and resume.
//!
//! The runner knows no loss. A binary brings its methods ([`Method`], [`methods!`]) and calls [`cli::train`]; it then has the same
//! flags, curves, checkpoints and resume as every other.
//!
//! | module | what |
//! |---|---|
//! | [`config`], [`method`] | the run's JSON file, typed; where a foreign objective plugs in |
//! | [`run`] | [`Run::advance`]: one step and what is due after it |
//! | [`checkpoint`], [`directory`] | what a resume needs, and the directory that a run owns |
//! | [`records`], [`terminal`] | what a run leaves behind, and what a person sees meanwhile |
//! | [`trained`], [`weights`], [`gallery`] | opening a run, or weights from elsewhere, to look at it; its pictures |
//! | [`watch`] | progress and interruption of work that is no run |
//! | [`world`] | several processes that train one model |
//! | [`cli`] | command lines and exit codes |

mod capture;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod device;
pub mod directory;
mod error;
pub mod files;
pub mod gallery;
pub mod latch;
pub mod memory;
pub mod method;
pub mod records;
pub mod run;
pub mod seed;
pub mod signals;
pub mod terminal;
pub mod trained;
mod trainer;
pub mod watch;
pub mod weights;
pub mod window;
pub mod world;

pub use config::RunConfig;
pub use error::{CheckFailed, Diverged, InputError, Interrupted, RankLost};
pub use method::{BuildContext, Method};
pub use run::{Event, Follower, Run, RunOptions};
pub use trained::TrainedRun;
pub use world::World;
