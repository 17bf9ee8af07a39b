//! The vocabulary of `elbo`: distributions, networks, the VAE, optimisers, and the [`Algorithm`] that trains.
//!
//! This crate knows no loss, no loop, no file and no data set. Everything here works on tensors of any device and kind, in nats, per
//! example; the caller takes the mean.
//!
//! | module | what |
//! |---|---|
//! | [`posterior`], [`likelihood`] | q(z\|x) and p(x\|z), with their densities and divergences |
//! | [`networks`], [`layers`], [`initialisation`] | encoders and decoders under PyTorch's names, initialised explicitly |
//! | [`vae`], [`forward`] | x → q(z\|x), z, p(x\|z): all that an objective may look at |
//! | [`optimizer`], [`player`] | Adam, `AdamW`, `RMSProp`, SGD over named state, with a device flag that skips an update |
//! | [`schedule`], [`weight`] | weights and learning rates as arithmetic on the device's step counter |
//! | [`config`] | values of a configuration that say what they expected |
//! | [`algorithm`], [`scalars`] | one training step: the contract between methods and the loop |
//! | [`ranks`] | several processes that train one model |

pub mod algorithm;
pub mod config;
pub mod forward;
pub mod initialisation;
pub mod layers;
pub mod likelihood;
pub mod named;
pub mod networks;
pub mod optimizer;
pub mod player;
pub mod posterior;
pub mod ranks;
pub mod scalars;
pub mod schedule;
pub mod vae;
pub mod weight;

pub use algorithm::{Algorithm, BatchContext};
pub use elbo_native::Generator;
pub use forward::ForwardPass;
pub use likelihood::Likelihood;
pub use named::{FieldError, NamedTensors};
pub use networks::{ModelConfig, Network};
pub use optimizer::{Optimizer, OptimizerConfig};
pub use player::Player;
pub use posterior::{Gaussian, Knowledge, Posterior};
pub use ranks::{ExchangeFailed, Ranks};
pub use scalars::Scalars;
pub use schedule::Schedule;
pub use vae::{Encoder, Vae};
pub use weight::{NonNegative, Weight};
