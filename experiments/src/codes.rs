//! Codes of any framework, read from one file: Gaussian posteriors and samples of them, or codes beside factors.

use anyhow::{Context, Result};
use elbo_core::Gaussian;
use elbo_core::posterior::kl_to_standard_normal_per_dimension;
use elbo_data::{ArrayFile, Factors};
use elbo_evaluation::scores::moments::ACTIVE;
use elbo_evaluation::scores::udr::INFORMATIVE;
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

/// Codes of n images beside the levels of their factors.
#[derive(Debug)]
pub struct FactorFile {
    /// `[n, D]`, float64.
    pub codes: Tensor,
    /// Gaussian posteriors `[n, D]`, where the file has `mean` and `log_var`.
    pub posterior: Option<Gaussian>,
    /// Levels of the factors.
    pub factors: Factors,
}

impl FactorFile {
    /// Reads `codes` `[n, D]` (or `mean` in their place) and whole numbers `factors` `[n, K]`, with `mean` and `log_var` `[n, D]` and
    /// `factor_names` `[K]` where they are there, from an `.npz` or safetensors file. Levels that do not occur are closed up.
    ///
    /// # Errors
    /// One line that names the file, the array, and what was expected of it.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = ArrayFile::open(path)?;
        let codes = codes(&mut file)?;
        let rows = codes.size()[0];
        let levels = file.integers("factors")?;
        let factors = match *levels.shape.as_slice() {
            [n, columns] if n == rows && columns > 0 => columns,
            [n] if n == rows => 1,
            _ => {
                let problem =
                    format!("expected [{rows}, K], a row of levels for each row of codes, got {:?}", levels.shape);
                return Err(file.damaged("factors", problem).into());
            }
        };
        let names: Vec<String> = if file.has("factor_names") {
            file.words("factor_names", usize::try_from(factors)?)?
        } else {
            (0..factors).map(|k| format!("factor{k}")).collect()
        };
        for (k, name) in names.iter().enumerate() {
            let mut column = levels.values.iter().skip(k).step_by(names.len());
            let first = column.next();
            if column.all(|level| Some(level) == first) {
                let problem = format!(
                    "expected at least two classes in every column, got one in column {k} ({name}): leave it out"
                );
                return Err(file.damaged("factors", problem).into());
            }
        }
        let factors = Factors::new(&names, &levels.values, None)?.context("every column has two classes")?;
        let posterior = if file.has("mean") && file.has("log_var") {
            let (mean, log_var) = (matrix(&mut file, "mean", &codes)?, matrix(&mut file, "log_var", &codes)?);
            Some(Gaussian::new(mean, log_var))
        } else {
            None
        };
        Ok(Self { codes, posterior, factors })
    }
}

/// Reads `codes` `[n, D]`, or `mean` in their place.
///
/// # Errors
/// One line that names the file and what was expected of it.
pub fn codes(file: &mut ArrayFile) -> Result<Tensor> {
    let name = if file.has("codes") || !file.has("mean") { "codes" } else { "mean" };
    let codes = file.numbers(name)?;
    match *codes.shape.as_slice() {
        [rows, latent] if rows >= 2 && latent >= 1 => Ok(codes.tensor()),
        _ => Err(file.damaged(name, format!("expected [n, D] with at least 2 rows, got {:?}", codes.shape)).into()),
    }
}

/// An array of the shape of `codes`.
fn matrix(file: &mut ArrayFile, name: &str, codes: &Tensor) -> Result<Tensor> {
    let array = file.numbers(name)?;
    if array.shape != codes.size() {
        let problem = format!("expected the shape {:?} of the codes, got {:?}", codes.size(), array.shape);
        return Err(file.damaged(name, problem).into());
    }
    Ok(array.tensor())
}

/// The dimensions `[n]` each that are informative (mean KL above 0.01 nats, or, without `log_var`, active), for UDR.
///
/// # Errors
/// One line that names the file and what was expected of it.
pub fn informative(path: &Path) -> Result<Vec<Vec<f64>>> {
    let mut file = ArrayFile::open(path)?;
    let codes = codes(&mut file)?;
    let counts = if file.has("mean") && file.has("log_var") {
        let (mean, log_var) = (matrix(&mut file, "mean", &codes)?, matrix(&mut file, "log_var", &codes)?);
        kl_to_standard_normal_per_dimension(&mean, &log_var).mean_dim(0, false, None).gt(INFORMATIVE)
    } else {
        codes.var_dim(0, true, false).gt(ACTIVE)
    };
    let column = |d: i64| Ok(Vec::<f64>::try_from(codes.select(1, d).contiguous())?);
    (0..codes.size()[1]).filter(|&d| counts.int64_value(&[d]) == 1).map(column).collect()
}

/// Refuses a value of a command line.
///
/// # Errors
/// Always: `--option: message`.
pub fn refuse<T>(option: &str, message: impl std::fmt::Display) -> Result<T> {
    Err(InputError::new(format!("{option}: {message}")).into())
}
