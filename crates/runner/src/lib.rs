//! elbo-runner
