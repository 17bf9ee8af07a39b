//! Trains this crate's method: the whole binary.

use elbo_extension_example::Methods;
use std::process::ExitCode;

fn main() -> ExitCode {
    elbo_runner::cli::train::<Methods>(
        "Trains a VAE with some nats of its KL free of charge.",
        "Example:\n  free-nats experiments/extension/free_nats_sprites.json",
    )
}
