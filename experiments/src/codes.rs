//! Codes of any framework: Gaussian posteriors of N examples, and samples of them, read from one file.

use anyhow::Result;
use elbo_core::Gaussian;
use elbo_data::ArrayFile;
use elbo_runner::InputError;
use std::path::Path;
use tch::{Device, Kind, Tensor};

/// Encodings of N examples, and samples drawn from them. Float64, on one device.
#[derive(Debug)]
pub struct CodeFile {
    /// Means and log-variances, `[N, D]`.
    pub posterior: Gaussian,
    /// Samples, `[S, D]`.
    pub z: Tensor,
    /// The row of the encodings that each sample was drawn from, Int64 `[S]`.
    pub own: Tensor,
}

impl CodeFile {
    /// Reads `mean` and `log_var` `[N, D]`, `z` `[S, D]` and, where it is there, `own` `[S]` (else 0, 1, …, S − 1) from an `.npz` or
    /// safetensors file; float32 and float64 alike become float64.
    ///
    /// # Errors
    /// One line that names the file, the array, and what was expected of it.
    pub fn read(path: &Path, device: Device) -> Result<Self> {
        let mut file = ArrayFile::open(path)?;
        let mean = file.numbers("mean")?;
        let &[rows, latent] = mean.shape.as_slice() else {
            return Err(file.damaged("mean", format!("expected [N, D], got {:?}", mean.shape)).into());
        };
        if rows == 0 || latent == 0 {
            return Err(file
                .damaged("mean", format!("expected at least one row and column, got {:?}", mean.shape))
                .into());
        }
        let log_var = file.numbers("log_var")?;
        if log_var.shape != mean.shape {
            let problem = format!("expected the shape {:?} of mean, got {:?}", mean.shape, log_var.shape);
            return Err(file.damaged("log_var", problem).into());
        }
        let z = file.numbers("z")?;
        let samples = match *z.shape.as_slice() {
            [samples, columns] if columns == latent && samples > 0 => samples,
            _ => return Err(file.damaged("z", format!("expected [S, {latent}], got {:?}", z.shape)).into()),
        };
        let own = if file.has("own") {
            let own = file.integers("own")?;
            if own.shape != [samples] {
                let problem = format!("expected [{samples}], a row of mean for each row of z, got {:?}", own.shape);
                return Err(file.damaged("own", problem).into());
            }
            if let Some(row) = own.values.iter().find(|row| !(0..rows).contains(*row)) {
                return Err(file.damaged("own", format!("expected rows from 0 to {}, got {row}", rows - 1)).into());
            }
            own.tensor()
        } else if samples > rows {
            let problem = format!(
                "expected at most {rows} rows, those of mean, or an array own that names the row each was drawn from; got {samples}"
            );
            return Err(file.damaged("z", problem).into());
        } else {
            Tensor::arange(samples, (Kind::Int64, Device::Cpu))
        };
        Ok(Self {
            posterior: Gaussian::new(mean.tensor().to_device(device), log_var.tensor().to_device(device)),
            z: z.tensor().to_device(device),
            own: own.to_device(device),
        })
    }

    /// Number of encodings N.
    pub fn rows(&self) -> i64 {
        self.posterior.mean.size()[0]
    }

    /// Number of samples S.
    pub fn samples(&self) -> i64 {
        self.z.size()[0]
    }
}

/// Refuses a value of a command line.
///
/// # Errors
/// Always: `--option: message`.
pub fn refuse<T>(option: &str, message: impl std::fmt::Display) -> Result<T> {
    Err(InputError::new(format!("{option}: {message}")).into())
}
