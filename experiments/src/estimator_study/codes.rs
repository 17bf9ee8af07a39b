//! The data sets of codes that estimators are measured on.

use anyhow::Result;
use elbo_core::{Gaussian, Generator};
use elbo_evaluation::encode::encode;
use elbo_runner::{InputError, TrainedRun};
use tch::{Device, Kind, Tensor};

/// Gaussian codes of N examples, taken as a whole data set.
#[derive(Debug)]
pub struct StudyCodes {
    /// One word.
    pub name: String,
    /// What they are, for people.
    pub description: String,
    /// Means and log-variances, `[N, D]`.
    pub posterior: Gaussian,
    /// MI, TC and DWKL of infinitely many such codes, where they have a closed form, in nats.
    pub limit: Option<[f64; 3]>,
}

/// Four factors of `count`, as near to each other as its divisors allow.
fn sides(count: i64) -> [i64; 4] {
    let mut rest = count;
    [4.0, 3.0, 2.0, 1.0].map(|left: f64| {
        // The small excess makes up for roots such as 4.999….
        let root = ((rest as f64).powf(1.0 / left) + 1e-9).floor() as i64;
        let side = (1..=root).rev().find(|side| rest % side == 0).unwrap_or(1);
        rest /= side;
        side
    })
}

/// Latent dimensions of the codes that are made here.
const LATENT: i64 = 10;

impl StudyCodes {
    /// Codes on a grid of four dimensions, far apart beside their width; the other six dimensions are the prior.
    ///
    /// Every example can be told from every other, and the grid is full: MI = ln N, TC = 0.
    pub fn separated(examples: i64, noise: &Generator) -> Self {
        let device = noise.device();
        let mut rest = Tensor::arange(examples, (Kind::Int64, device));
        let (mut means, mut log_vars) = (Vec::new(), Vec::new());
        for levels in sides(examples) {
            // Evenly from −2 to 2, twenty standard deviations apart.
            let spacing = 4.0 / (levels - 1).max(1) as f64;
            means.push(rest.remainder(levels).to_kind(Kind::Float) * spacing - 2.0);
            log_vars.push(Tensor::full([examples], 2.0 * (spacing / 20.0).ln(), (Kind::Float, device)));
            rest = rest.divide_scalar_mode(levels, "floor");
        }
        let pruned = Tensor::zeros([examples, LATENT - 4], (Kind::Float, device));
        let mean = Tensor::cat(&[Tensor::stack(&means, 1), pruned.shallow_clone()], 1);
        let log_var = Tensor::cat(&[Tensor::stack(&log_vars, 1), pruned], 1);
        Self {
            name: "separated".to_owned(),
            description: "well separated: a full grid in 4 dimensions, 6 pruned; MI = ln N, TC = 0".to_owned(),
            posterior: Gaussian::new(mean, log_var),
            limit: None,
        }
    }

    /// Means from N(0, ½ I), variances ½: neighbours overlap, and q(z) tends to N(0, I).
    pub fn overlapping(examples: i64, noise: &Generator) -> Self {
        let mean = noise.normal(&[examples, LATENT], Kind::Float) * 0.5_f64.sqrt();
        let log_var = mean.full_like(0.5_f64.ln());
        let information = 0.5 * LATENT as f64 * 2.0_f64.ln();
        Self {
            name: "overlapping".to_owned(),
            description: "overlapping: means from N(0, ½ I), variance ½; tends to N(0, I)".to_owned(),
            posterior: Gaussian::new(mean, log_var),
            limit: Some([information, 0.0, 0.0]),
        }
    }

    /// Means from N(0, ¾ R), R five pairs correlated by 0.95, variances ¼: q(z) tends to a Gaussian with unit variances and pairs
    /// correlated by 0.7125, so that TC = −5/2 ln(1 − 0.7125²).
    pub fn correlated(examples: i64, noise: &Generator) -> Self {
        const CORRELATION: f64 = 0.95;
        const VARIANCE: f64 = 0.25;
        let half = LATENT / 2;
        let first = noise.normal(&[examples, half], Kind::Float);
        let second = &first * CORRELATION
            + noise.normal(&[examples, half], Kind::Float) * (1.0 - CORRELATION * CORRELATION).sqrt();
        // Pairs stand side by side.
        let mean = Tensor::stack(&[first, second], 2).reshape([examples, LATENT]) * (1.0 - VARIANCE).sqrt();
        let log_var = mean.full_like(VARIANCE.ln());
        let correlation = (1.0 - VARIANCE) * CORRELATION;
        let determinant = 1.0 - correlation * correlation;
        let pairs = half as f64;
        let total_correlation = -0.5 * pairs * determinant.ln();
        let information = 0.5 * pairs * (determinant / (VARIANCE * VARIANCE)).ln();
        Self {
            name: "correlated".to_owned(),
            description: "correlated: five pairs of dimensions, each correlated by 0.71".to_owned(),
            posterior: Gaussian::new(mean, log_var),
            limit: Some([information, total_correlation, 0.0]),
        }
    }

    /// Codes of `examples` random training examples of a trained run.
    ///
    /// # Errors
    /// When the run's posteriors are not Gaussian, or it has fewer examples.
    pub fn of_run(run: &TrainedRun, examples: i64) -> Result<Self> {
        let images = &run.data.train.images;
        if examples > images.len() {
            let line = format!("--data-size: expected at most the run's {} examples, got {examples}", images.len());
            return Err(InputError::new(line).into());
        }
        let noise = run.noise()?;
        let rows = noise.permutation(images.len()).narrow(0, 0, examples);
        let codes = encode(&run.vae, images, Some(&rows), 256, &noise);
        let gaussian = codes.gaussian();
        let gaussian =
            gaussian.ok_or_else(|| InputError::new(format!("{}: has no Gaussian posteriors", run.path.display())))?;
        let name = run.config.name.clone();
        Ok(Self {
            description: format!("trained: {examples} examples of {name} after {} steps", run.step),
            name,
            posterior: Gaussian::new(gaussian.mean.to_kind(Kind::Float), gaussian.log_var.to_kind(Kind::Float)),
            limit: None,
        })
    }

    /// Number of examples N.
    pub fn examples(&self) -> i64 {
        self.posterior.mean.size()[0]
    }

    /// Where they are.
    pub fn device(&self) -> Device {
        self.posterior.mean.device()
    }
}
