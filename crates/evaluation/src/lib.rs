//! elbo-evaluation
