//! elbo-data
