//! What elbo needs of libtorch that tch does not bind. The only unsafe code of the workspace.
//!
//! - [`initialise`] prepares the process and loads CUDA where there is a driver: the first call of every `main`.
//! - [`Generator`]: random numbers of one's own, with a state that can be saved.
//! - [`gradients`], [`gradients_keeping_graph`], [`clip_by_global_norm`], [`fused_adam`]: an update of all parameters that tells the host nothing.
//! - [`with_gradient`]: a gradient written by hand, as a node of autograd's graph.
//! - [`recorder`]: which operators a step runs, and whether one of them waits for the device.
//! - [`Stream`], [`Graph`]: a piece of work on CUDA that is recorded once and replayed by one call.
//! - [`Store`], [`ProcessGroup`]: several processes, one computation.
//! - [`autocast`]: networks in bfloat16, what is made of their output in float32.
//! - [`flags`], [`memory`], [`call`]: switches, memory statistics, and any other operator by its name.
//!
//! One step of Adam on `½ (θ − 3)²`:
//!
//! ```
//! use elbo_native::{AdamState, AdamStep, fused_adam, gradients, initialise};
//! use tch::{Device, Kind, Tensor};
//!
//! println!("{}", initialise());
//! let scalar = |value: f64| Tensor::full([], value, (Kind::Float, Device::Cpu));
//! let parameter = Tensor::zeros([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
//! let loss = (&parameter - 3.0).square().sum(None::<Kind>) * 0.5;
//! let gradient = gradients(&loss, &[("theta".to_owned(), parameter.shallow_clone())])?;
//! assert_eq!(gradient[0].double_value(&[0]), -3.0);
//!
//! let (exp_avg, exp_avg_sq) = ([gradient[0].zeros_like()], [gradient[0].zeros_like()]);
//! let (parameters, steps) = ([parameter], [scalar(0.0)]);
//! let state = AdamState { parameters: &parameters, exp_avg: &exp_avg, exp_avg_sq: &exp_avg_sq, steps: &steps };
//! let learning_rate = scalar(0.1);
//! let step = AdamStep {
//!     learning_rate: &learning_rate,
//!     beta1: 0.9,
//!     beta2: 0.999,
//!     epsilon: 1e-8,
//!     weight_decay: 0.0,
//!     decoupled: false,
//!     skip: None,
//! };
//! fused_adam(&state, &gradient, &step)?;
//! // Adam's first step is the learning rate against the gradient's sign.
//! assert!((parameters[0].double_value(&[0]) - 0.1).abs() < 1e-6);
//! # Ok::<(), elbo_native::Error>(())
//! ```

mod adam;
mod autocast;
mod autograd;
mod call;
mod cuda;
mod cuda_object;
mod error;
pub mod flags;
mod generator;
mod gradients;
mod graph;
pub mod memory;
mod nccl;
mod process_group;
pub mod recorder;
mod shim;
pub mod testing;

pub use adam::{AdamState, AdamStep, fused_adam};
pub use autocast::{autocast, autocast_raw, set_autocast, widened};
pub use autograd::with_gradient;
pub use call::{Argument, call};
pub use cuda::{CudaStatus, initialise};
pub use error::{Error, Result};
pub use generator::Generator;
pub use gradients::{clip_by_global_norm, global_norm, gradients, gradients_keeping_graph};
pub use graph::{Graph, Stream};
pub use process_group::{Lookout, ProcessGroup, Store};
