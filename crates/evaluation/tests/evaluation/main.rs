//! Evaluation against quadrature, plain enumeration, closed forms and hand-made sums.

mod encode;
mod exact;
mod model;
mod pictures;
mod plots;
mod traversal;
