//! Trains any built-in method on any data.

use elbo_experiments::BuiltIn;
use std::process::ExitCode;

const ABOUT: &str = "Trains a variational autoencoder: any built-in method, on any data, on the CPU or on CUDA.

The run goes into one directory: config.json, TensorBoard event files, metrics.csv, images, checkpoints, summary.json.
Ctrl-C saves and stops; --resume goes on as if nothing had happened.";

const EPILOGUE: &str = "Examples:
  train experiments/configs/first.json
  train experiments/configs/beta_tcvae_sprites.json --set method.tc_weight=4 --run-dir runs/tc4
  train experiments/configs/first.json --set train.steps=4000 --resume
  train --resume --run-dir runs/first
  torchrun --no-python --nproc-per-node 4 train experiments/configs/first.json --resume

Methods:    elbo, beta-vae, beta-tcvae, capacity, free-bits, iwae, sticking-the-landing,
            info-vae, wae-mmd, dip-vae, hsic-vae, hfvae; with adversaries: factor-vae, aae, wae-gan,
            info-vae-gan, vae-gan, avb
Networks:   burgess (32×32 and 64×64), locatello (64×64), vae-gan (32×32, 64×64), mlp; with
            model.posterior also implicit and moment-tractable ones
Data:       sprites (rendered, nothing to download), mnist, fashion-mnist, idx, npz, images
Schedules:  a weight or learning rate may be a number, or an object such as
            {\"schedule\": \"linear\", \"from\": 0, \"to\": 6, \"steps\": 10000};
            also cosine, cyclical, exponential

Processes:  started by torchrun --no-python, srun or mpirun, or R times with RANK, WORLD_SIZE,
            MASTER_ADDR and MASTER_PORT set, each takes its part of every batch; rank 0 writes

Exit codes: 0 done, 2 bad input, 3 the loss was not finite, 4 another process is lost,
            130 interrupted (and saved)";

fn main() -> ExitCode {
    elbo_experiments::sweep::leash::follow();
    elbo_runner::cli::train::<BuiltIn>(ABOUT, EPILOGUE)
}
