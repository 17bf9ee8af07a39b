//! Proposition 1, looked at: a classifier between q(z|x) and the prior, for encoders whose density is known.
//!
//! ```text
//! max_T E_p̂(x) E_q(z|x) log σ(T(x,z)) + E_p̂(x) E_p(z) log(1 − σ(T(x,z)))   has   T*(x,z) = log q(z|x) − log p(z)
//!                                                                        docs/mathematics.md §7; note (7); Mescheder et al. 2017
//! ```
//!
//! The encoder is fixed, every step draws fresh pairs, and T is held against T* where the encoder's step will ask it (under q) and where the
//! classifier sees its other half (under p). In adaptive contrast the other half is r(z|x), the Gaussian of q's moments, and T is a function
//! of the whitened z; what is held against T* is `T + log r(z|x) − log p(z)`.

pub mod critics;
pub mod encoders;
pub mod measure;
pub mod pictures;
pub mod report;
pub mod study;
pub mod sweep;

pub use critics::{Capacity, CriticName};
pub use encoders::{KnownEncoder, LinearGaussian, Mixture, TrainedEncoder};
pub use measure::{Contrast, Measurement, Problem};
pub use study::{Outcome, Settings, train};
