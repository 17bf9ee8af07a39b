//! Evaluation against quadrature, plain enumeration, closed forms and hand-made sums.

mod encode;
mod exact;
mod factors;
mod heat_map;
mod minibatch;
mod model;
mod nearest_neighbours;
mod pictures;
mod pixels;
mod plots;
mod scatter;
mod sharpness;
mod traversal;
