//! Evaluation of trained models: the exact decomposition of the KL, codes of a data set, traversals and pictures.
//!
//! This crate knows models and data, not how a model was trained: it branches on [`Posterior`](elbo_core::Posterior), never on a method. Every
//! source of randomness is a generator that the caller passes, so that evaluation never disturbs training.
//!
//! | module | what |
//! |---|---|
//! | [`exact`] | mutual information, total correlation and dimension-wise KL over a whole data set, with standard errors |
//! | [`encode`] | codes of a data set; an algorithm's terms over it |
//! | [`statistics`] | KL by dimension, and the values behind histograms of the posterior |
//! | [`traversal`] | latent traversals, reconstructions, prior samples |
//! | [`likelihood`] | ELBO of a split, importance-weighted and annealed estimates of log p(x), inference gaps |
//! | [`nearest_neighbours`] | entropy and Kullback–Leibler divergence from samples alone |
//! | [`learners`] | boosted trees, support vector machine and logistic regression that scores put on codes |
//! | [`scores`] | disentanglement scores, each under the name of its protocol |
//! | [`classifier`] | an independent judge of pictures: a small network trained on data alone |
//! | [`sharpness`] | Laplacian energy of pictures, and their distance in the features of a classifier |
//! | [`attributes`] | attribute vectors, and how often an edit by one gives a picture the attribute |
//! | [`pictures`] | labelled grids of tiles, plots, codes against factors, heat maps, the aggregate posterior; PNG and GIF |

pub mod attributes;
pub mod classifier;
pub mod encode;
pub mod exact;
pub mod learners;
pub mod likelihood;
pub mod nearest_neighbours;
pub mod pictures;
pub mod scores;
pub mod sharpness;
pub mod statistics;
pub mod traversal;
