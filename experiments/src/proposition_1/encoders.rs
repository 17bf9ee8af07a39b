//! Encoders whose density is known, with observations to encode.

use anyhow::Result;
use elbo_core::posterior::{kl_to_standard_normal, normal_log_density};
use elbo_core::{Gaussian, Generator};
use elbo_evaluation::encode;
use elbo_runner::{InputError, TrainedRun};
use std::f64::consts::LN_2;
use tch::{Device, Kind, Tensor};

/// q(z|x), fixed, as a sampler and as a density. All tensors are float32 on one device.
pub trait KnownEncoder: std::fmt::Debug {
    /// One word.
    fn name(&self) -> &'static str;
    /// What it is, in a line.
    fn description(&self) -> String;
    /// Numbers that the critic sees of an x, and D.
    fn sizes(&self) -> [i64; 2];
    /// `count` draws of p̂(x), as the critic sees them: `[count, observed]`.
    fn observe(&self, count: i64, noise: &Generator) -> Tensor;
    /// One draw of q(z|x) for each row of `x`: `[B, D]`.
    fn sample(&self, x: &Tensor, noise: &Generator) -> Tensor;
    /// log q(z|x) in nats, `[B]`.
    fn log_density(&self, x: &Tensor, z: &Tensor) -> Tensor;
    /// Mean and variance of q(z|x), coordinate by coordinate: what adaptive contrast contrasts with.
    fn moments(&self, x: &Tensor) -> Gaussian;
    /// The mean over p̂(x) of KL(q(z|x) ‖ N(0, I)), in nats, without sampling.
    fn kl_to_prior(&self) -> f64;
}

/// `q(z|x) = N(√(1 − σ²) x, σ² I)` with `x ~ N(0, I)` in as many dimensions, so that q(z) is the prior.
///
/// ```text
/// KL = D · ½ (1 − σ² + σ² − 1 − log σ²) = −D log σ                        docs/mathematics.md §1
/// ```
/// It is the mutual information between x and z. The quadratic critic's family contains T*.
#[derive(Debug, Clone, Copy)]
pub struct LinearGaussian {
    dimension: i64,
    sigma: f64,
}

/// Two Gaussians of equal weight, `q(z|x) = ½ N(a x + o 1, σ² I) + ½ N(a x − o 1, σ² I)` with o = 1.5 σ in every coordinate,
/// `x ~ N(0, I)`, and `a² = 1 − σ² − o²`, so that every coordinate of q(z) has variance 1.
///
/// ```text
/// KL = −D log σ − I(component; z),   I = log 2 − E_{t ~ N(c, 1)} log(1 + exp(−2 c t)),   c = 1.5 √D
/// ```
/// the first term as if the component were known; the expectation by quadrature. Moments are known, and miss that there are two.
#[derive(Debug, Clone, Copy)]
pub struct Mixture {
    dimension: i64,
    sigma: f64,
}

/// The encoder of a trained VAE, over some of its pictures. In the place of a picture the critic sees the mean and the log-variance that
/// the encoder makes of it, `[B, 2 D]`: q(z|x) depends on nothing else, and the study is of T, not of a second convolutional network.
#[derive(Debug)]
pub struct TrainedEncoder {
    /// `[N, 2 D]`.
    heads: Tensor,
    origin: String,
}

impl LinearGaussian {
    /// For D = `dimension` and 0 < σ ≤ 1.
    pub fn new(dimension: i64, sigma: f64) -> Self {
        assert!(dimension >= 1 && sigma > 0.0 && sigma <= 1.0, "D ≥ 1 and 0 < σ ≤ 1, got {dimension} and {sigma}");
        Self { dimension, sigma }
    }
}

impl KnownEncoder for LinearGaussian {
    fn name(&self) -> &'static str {
        "linear-gaussian"
    }

    fn description(&self) -> String {
        format!("q(z|x) = N(√(1−σ²) x, σ² I), x ~ N(0, I), D = {}, σ = {}", self.dimension, self.sigma)
    }

    fn sizes(&self) -> [i64; 2] {
        [self.dimension; 2]
    }

    fn observe(&self, count: i64, noise: &Generator) -> Tensor {
        noise.normal(&[count, self.dimension], Kind::Float)
    }

    fn sample(&self, x: &Tensor, noise: &Generator) -> Tensor {
        self.moments(x).sample(noise, 1)
    }

    fn log_density(&self, x: &Tensor, z: &Tensor) -> Tensor {
        self.moments(x).log_density(z)
    }

    fn moments(&self, x: &Tensor) -> Gaussian {
        spherical(x * (1.0 - self.sigma.powi(2)).sqrt(), self.sigma)
    }

    fn kl_to_prior(&self) -> f64 {
        -(self.dimension as f64) * self.sigma.ln()
    }
}

impl Mixture {
    /// Distance of a component from the mean in every coordinate, in units of σ.
    pub const OFFSET: f64 = 1.5;

    /// The largest σ whose coordinates can have variance 1.
    pub fn largest_sigma() -> f64 {
        (1.0 + Self::OFFSET.powi(2)).sqrt().recip()
    }

    /// For D = `dimension` and 0 < σ ≤ [`Mixture::largest_sigma`].
    pub fn new(dimension: i64, sigma: f64) -> Self {
        let fits = dimension >= 1 && sigma > 0.0 && sigma <= Self::largest_sigma();
        assert!(fits, "D ≥ 1 and 0 < σ ≤ {:.3}, got {dimension} and {sigma}", Self::largest_sigma());
        Self { dimension, sigma }
    }

    fn mean(&self, x: &Tensor) -> Tensor {
        x * (1.0 - self.sigma.powi(2) * (1.0 + Self::OFFSET.powi(2))).max(0.0).sqrt()
    }

    /// −1 or 1 times the offset.
    fn offset(&self) -> f64 {
        Self::OFFSET * self.sigma
    }
}

impl KnownEncoder for Mixture {
    fn name(&self) -> &'static str {
        "mixture"
    }

    fn description(&self) -> String {
        let Self { dimension, sigma } = self;
        format!("q(z|x) = ½ N(a x + 1.5σ 1, σ² I) + ½ N(a x − 1.5σ 1, σ² I), x ~ N(0, I), D = {dimension}, σ = {sigma}")
    }

    fn sizes(&self) -> [i64; 2] {
        [self.dimension; 2]
    }

    fn observe(&self, count: i64, noise: &Generator) -> Tensor {
        noise.normal(&[count, self.dimension], Kind::Float)
    }

    fn sample(&self, x: &Tensor, noise: &Generator) -> Tensor {
        let side = noise.uniform(&[x.size()[0], 1], Kind::Float).ge(0.5).to_kind(Kind::Float) * 2.0 - 1.0;
        spherical(self.mean(x) + side * self.offset(), self.sigma).sample(noise, 1)
    }

    fn log_density(&self, x: &Tensor, z: &Tensor) -> Tensor {
        let [above, below] =
            [1.0, -1.0].map(|side| spherical(self.mean(x) + side * self.offset(), self.sigma).log_density(z));
        above.logaddexp(&below) - LN_2
    }

    fn moments(&self, x: &Tensor) -> Gaussian {
        spherical(self.mean(x), self.sigma * (1.0 + Self::OFFSET.powi(2)).sqrt())
    }

    fn kl_to_prior(&self) -> f64 {
        /// Points, and standard deviations on either side: the trapezoid rule is exact to rounding for what falls off like a Gaussian.
        const POINTS: i32 = 4001;
        const REACH: f64 = 12.0;
        let distance = Self::OFFSET * (self.dimension as f64).sqrt();
        let spacing = 2.0 * REACH / f64::from(POINTS - 1);
        let term = |index: i32| {
            let from_mean = f64::from(index) * spacing - REACH;
            let density = (-0.5 * from_mean.powi(2)).exp() / std::f64::consts::TAU.sqrt();
            let exponent = -2.0 * distance * (distance + from_mean);
            density * (exponent.max(0.0) + (-exponent.abs()).exp().ln_1p()) * spacing
        };
        let information = LN_2 - (0..POINTS).map(term).sum::<f64>();
        -(self.dimension as f64) * self.sigma.ln() - information
    }
}

impl TrainedEncoder {
    /// The encoder of `run` over at most `pictures` of its training pictures, chosen by `noise`.
    ///
    /// # Errors
    /// When q(z|x) is implicit: it has no density to hold T against. `progress`'s own.
    pub fn of(
        run: &TrainedRun,
        pictures: i64,
        noise: &Generator,
        progress: &mut dyn FnMut(usize, usize) -> Result<()>,
    ) -> Result<Self> {
        let images = &run.data.train.images;
        let rows = noise.permutation(images.len()).narrow(0, 0, pictures.min(images.len()));
        let batch = encode::batch_size(run.device);
        let codes = encode::encode_watched(&run.vae, images, Some(&rows), batch, noise, progress)?;
        let Some(gaussian) = codes.gaussian() else {
            let line = format!("{}: its q(z|x) is implicit, and has no density to compare with", run.path.display());
            return Err(InputError::new(line).into());
        };
        let heads = Tensor::cat(&[&gaussian.mean, &gaussian.log_var], 1);
        Ok(Self { heads, origin: run.path.display().to_string() })
    }
}

impl KnownEncoder for TrainedEncoder {
    fn name(&self) -> &'static str {
        "trained"
    }

    fn description(&self) -> String {
        let [rows, columns] = [0, 1].map(|dimension| self.heads.size()[dimension]);
        format!(
            "the encoder of {} over {rows} pictures, D = {}; the critic sees mean and log-variance as x",
            self.origin,
            columns / 2
        )
    }

    fn sizes(&self) -> [i64; 2] {
        let columns = self.heads.size()[1];
        [columns, columns / 2]
    }

    fn observe(&self, count: i64, noise: &Generator) -> Tensor {
        self.heads.index_select(0, &noise.integers(self.heads.size()[0], &[count]))
    }

    fn sample(&self, x: &Tensor, noise: &Generator) -> Tensor {
        self.moments(x).sample(noise, 1)
    }

    fn log_density(&self, x: &Tensor, z: &Tensor) -> Tensor {
        self.moments(x).log_density(z)
    }

    fn moments(&self, x: &Tensor) -> Gaussian {
        let latent = self.sizes()[1];
        Gaussian::new(x.narrow(1, 0, latent), x.narrow(1, latent, latent))
    }

    fn kl_to_prior(&self) -> f64 {
        let all = self.moments(&self.heads.to_device(Device::Cpu).to_kind(Kind::Double));
        kl_to_standard_normal(&all.mean, &all.log_var).mean(None).double_value(&[])
    }
}

/// `N(mean, σ² I)`.
fn spherical(mean: Tensor, sigma: f64) -> Gaussian {
    let log_var = mean.full_like(2.0 * sigma.ln());
    Gaussian::new(mean, log_var)
}

/// log r(z|x) − log p(z) in nats, `[B]`, for r of these moments.
pub fn log_ratio_to_prior(moments: &Gaussian, z: &Tensor) -> Tensor {
    let zero = z.zeros_like();
    let per_coordinate = normal_log_density(z, &moments.mean, &moments.log_var) - normal_log_density(z, &zero, &zero);
    per_coordinate.sum_dim_intlist(-1, false, None)
}
