//! elbo-objectives
