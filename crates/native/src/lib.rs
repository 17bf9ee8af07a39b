//! elbo-native
