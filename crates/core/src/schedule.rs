//! Values that change with the step, as arithmetic on the device.

use crate::choices;
use tch::{Kind, Tensor};

/// A value as a function of the number of updates done.
///
/// In a configuration (as a [`Weight`](crate::Weight)) it is a number, or an object:
/// ```json
/// { "schedule": "linear", "from": 0.0, "to": 6.0, "steps": 10000 }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// The same value at every step.
    Constant(f64),
    /// A change along `shape`, from `from` at step 0 to `to` at `steps`, constant afterwards (cyclical: again and again).
    Ramp {
        /// How the value moves.
        shape: Shape,
        /// Value at step 0.
        from: f64,
        /// Value at the end of the ramp.
        to: f64,
        /// Length of the ramp in updates; of one period for [`Shape::Cyclical`].
        steps: u64,
    },
}

choices! {
    /// The way from one value to another; `t` runs from 0 to 1 over the ramp.
    pub enum Shape {
        /// `from + (to − from) t`.
        Linear = "linear",
        /// `from + (to − from) (1 − cos π t)/2`.
        Cosine = "cosine",
        /// Linear over the first half of every period of `steps` updates, `to` over the second half (Fu et al. 2019).
        Cyclical = "cyclical",
        /// `from (to/from)^t`; both must be positive.
        Exponential = "exponential",
    }
}

impl Schedule {
    /// The value at `step` (an Int64 scalar tensor), as a float32 scalar on the same device.
    pub fn at(&self, step: &Tensor) -> Tensor {
        match *self {
            Self::Constant(value) => Tensor::full([], value, (Kind::Float, step.device())),
            Self::Ramp { shape, from, to, steps } => {
                // In double precision until the end: float32 counts to 2^24 only.
                let position = step.to_kind(Kind::Double) / steps as f64;
                let value = match shape {
                    Shape::Linear => position.clamp(0.0, 1.0) * (to - from) + from,
                    Shape::Cosine => {
                        let t = position.clamp(0.0, 1.0);
                        ((t * std::f64::consts::PI).cos() * -0.5 + 0.5) * (to - from) + from
                    }
                    Shape::Cyclical => (position.frac() * 2.0).clamp(0.0, 1.0) * (to - from) + from,
                    Shape::Exponential => (position.clamp(0.0, 1.0) * (to / from).ln()).exp() * from,
                };
                value.to_kind(Kind::Float)
            }
        }
    }

    /// The constant, where there is one.
    pub fn constant(&self) -> Option<f64> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Ramp { .. } => None,
        }
    }

    /// The smallest and the largest value it takes.
    pub fn range(&self) -> (f64, f64) {
        match *self {
            Self::Constant(value) => (value, value),
            Self::Ramp { from, to, .. } => (from.min(to), from.max(to)),
        }
    }
}
