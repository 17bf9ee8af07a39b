//! The networks T whose value is an estimate of a log ratio, in nats.

mod aggregate;
mod concatenation;
mod inner_product;
mod pair;
mod quadratic;

pub use aggregate::{AggregateCritic, AggregateCriticConfig};
pub use concatenation::{ConcatenationCritic, Residual};
pub use inner_product::InnerProductCritic;
pub use pair::{PairCriticConfig, PairCriticName};
pub use quadratic::{Fit, Pairs, QuadraticCritic};

use elbo_core::NamedTensors;
use tch::Tensor;

/// T(x, z).
pub trait Critic: std::fmt::Debug + Send {
    /// T of every row, `[B]`, in nats. `x` is `[B, ..]`, `z` `[B, D]`.
    fn log_ratio(&self, x: &Tensor, z: &Tensor) -> Tensor;

    /// Every parameter, live, by its name below the critic's own prefix, in a fixed order.
    fn parameters(&self) -> NamedTensors;
}

impl<C: Critic + ?Sized> Critic for Box<C> {
    fn log_ratio(&self, x: &Tensor, z: &Tensor) -> Tensor {
        (**self).log_ratio(x, z)
    }

    fn parameters(&self) -> NamedTensors {
        (**self).parameters()
    }
}
