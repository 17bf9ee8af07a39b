//! Trains this crate's method: the whole binary.

use renyi_vae::Methods;
use std::process::ExitCode;

fn main() -> ExitCode {
    elbo_runner::cli::train::<Methods>(
        "Trains a VAE by the Rényi bound of K samples.",
        "Example:\n  renyi renyi_sprites.json --set method.alpha=0.5",
    )
}
