//! Estimators of the aggregate posterior q(z) from one batch, and the three terms of the KL that rest on it.
//!
//! ```text
//! q(z_i)  ≈ Σ_j w_ij Π_d N(z_id; μ_jd, σ_jd²)          q(z_id) ≈ Σ_j w_ij N(z_id; μ_jd, σ_jd²)
//!
//! KL(q(z|x) ‖ p(z)) = MI + TC + DWKL                                                   docs/mathematics.md §3
//! MI   = E[log q(z|x) − log q(z)]         information that the code carries about the example
//! TC   = E[log q(z) − Σ_d log q(z_d)]     dependence between the coordinates
//! DWKL = E[Σ_d log q(z_d) − log p(z)]     distance of each coordinate from the prior
//! ```
//!
//! One mixture; the estimators differ in their weights `w_ij` alone ([`Estimator`]). The three terms add up to the sampled KL for **any**
//! weights, so that the sum proves nothing about them, and no estimator's value is the quantity: at a batch of 64 the mutual information
//! cannot be read above ln 64. Train with them; read the terms over the whole data set (`elbo_evaluation::exact`).

mod budget;
mod groups;
mod mixture;
mod terms;
mod weights;

pub use budget::MemoryBudget;
pub use groups::{GroupDensities, Points};
pub use mixture::{Mixture, log_mixture, pairwise_log_density};
pub use terms::{AggregateTerms, Densities};
pub use weights::{BatchError, Estimator};
