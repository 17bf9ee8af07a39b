//! Likelihoods against closed forms of linear models, quadrature, and hand-made sums.

mod annealing;
mod bernoulli;
mod bidirectional;
mod blocks;
mod gaps;
mod hamiltonian;
mod importance;
mod linear;
mod model;
mod simulation;
mod split;
