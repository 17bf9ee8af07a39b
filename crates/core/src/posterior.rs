//! q(z|x): Gaussian, or implicit.

use elbo_native::Generator;
use tch::Tensor;

const LOG_2_PI: f64 = 1.837_877_066_409_345_5;

/// Diagonal Gaussians, one per example.
#[derive(Debug)]
pub struct Gaussian {
    /// Means, `[B, D]`.
    pub mean: Tensor,
    /// Logarithms of the variances, `[B, D]`.
    pub log_var: Tensor,
}

/// The approximate posterior of a batch.
///
/// Evaluation branches on this, never on the method that trained the model.
#[derive(Debug)]
pub enum Posterior {
    /// `q(z|x) = N(mean, exp(log_var))`.
    Gaussian(Gaussian),
    /// Known only through its samples, and perhaps its first two moments (docs/mathematics.md §7).
    Implicit {
        /// Mean and variance of q(z|x), where the encoder is built so that they are known.
        moments: Option<Gaussian>,
    },
}

/// What an encoder can tell of q(z|x) besides samples, the same for every x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// The density: [`Posterior::Gaussian`].
    Density,
    /// Mean and variance: [`Posterior::Implicit`] with moments.
    Moments,
    /// Nothing: [`Posterior::Implicit`] without.
    Samples,
}

impl Gaussian {
    /// Checks that mean and log-variance have one shape `[B, D]`.
    pub fn new(mean: Tensor, log_var: Tensor) -> Self {
        assert_eq!(mean.size(), log_var.size(), "mean and log_var of a Gaussian must have one shape");
        assert_eq!(mean.dim(), 2, "mean and log_var of a Gaussian must be [B, D], got {:?}", mean.size());
        Self { mean, log_var }
    }

    /// Reparameterised samples `mean + exp(log_var / 2) · ε`: `[B, D]`, or `[K, B, D]` for K > 1 `samples`.
    pub fn sample(&self, noise: &Generator, samples: i64) -> Tensor {
        assert!(samples >= 1, "the number of samples must be at least 1, got {samples}");
        let size = self.mean.size();
        let size = if samples == 1 { size } else { vec![samples, size[0], size[1]] };
        let epsilon = noise.normal(&size, self.mean.kind());
        &self.mean + (&self.log_var * 0.5).exp() * epsilon
    }

    /// log q(z|x) in nats, for `z` of shape `[B, D]` or `[K, B, D]`: `[B]` or `[K, B]`.
    pub fn log_density(&self, z: &Tensor) -> Tensor {
        normal_log_density(z, &self.mean, &self.log_var).sum_dim_intlist(-1, false, None)
    }

    /// KL(q(z|x) ‖ N(0, I)) in nats, `[B]`.
    pub fn kl_to_prior(&self) -> Tensor {
        kl_to_standard_normal(&self.mean, &self.log_var)
    }
}

impl Posterior {
    /// The Gaussian, where q(z|x) is one.
    pub fn gaussian(&self) -> Option<&Gaussian> {
        match self {
            Self::Gaussian(gaussian) => Some(gaussian),
            Self::Implicit { .. } => None,
        }
    }

    /// Mean and log-variance of q(z|x), where they are known; its whole density only if it is Gaussian.
    pub fn moments(&self) -> Option<&Gaussian> {
        match self {
            Self::Gaussian(gaussian) => Some(gaussian),
            Self::Implicit { moments } => moments.as_ref(),
        }
    }

    /// log q(z|x) in nats (`[B]` or `[K, B]`), where q(z|x) has a density.
    pub fn log_density(&self, z: &Tensor) -> Option<Tensor> {
        self.gaussian().map(|gaussian| gaussian.log_density(z))
    }

    /// KL(q(z|x) ‖ N(0, I)) in nats, `[B]`.
    ///
    /// # Panics
    /// For an implicit posterior, whose KL has no closed form: a method for those estimates it through a density ratio.
    pub fn kl_to_prior(&self) -> Tensor {
        self.kl_to_prior_per_dimension().sum_dim_intlist(-1, false, None)
    }

    /// `KL(q(z_d|x) ‖ N(0, 1))` in nats, `[B, D]`.
    ///
    /// # Panics
    /// For an implicit posterior, as [`Posterior::kl_to_prior`].
    pub fn kl_to_prior_per_dimension(&self) -> Tensor {
        let gaussian = self.gaussian().expect("the KL of an implicit posterior has no closed form");
        kl_to_standard_normal_per_dimension(&gaussian.mean, &gaussian.log_var)
    }
}

/// KL from `N(mean, exp(log_var))` to `N(0, I)`, in nats per example.
///
/// ```text
/// KL = 1/2 Σ_d (m_d² + v_d − log v_d − 1)          docs/mathematics.md §1; Kingma & Welling 2014, App. B
/// ```
///
/// Shapes: `mean`, `log_var`: `[B, D]`; result: `[B]`. Never negative; `0` exactly when `m = 0, v = 1`.
pub fn kl_to_standard_normal(mean: &Tensor, log_var: &Tensor) -> Tensor {
    kl_to_standard_normal_per_dimension(mean, log_var).sum_dim_intlist(-1, false, None)
}

/// The summands of [`kl_to_standard_normal`], `[B, D]`.
///
/// `v − log v − 1` is computed as `expm1(log v) − log v`, which keeps its digits, and its sign, where `v` is close to 1.
pub fn kl_to_standard_normal_per_dimension(mean: &Tensor, log_var: &Tensor) -> Tensor {
    (mean.square() + log_var.expm1() - log_var) * 0.5
}

/// KL from `N(mean, exp(log_var))` to `N(other_mean, exp(other_log_var))`, diagonal both, in nats per example.
///
/// ```text
/// KL = Σ_d [log(s_d/σ_d) + (σ_d² + (μ_d − m_d)²)/(2 s_d²) − 1/2]          docs/mathematics.md §1
/// ```
///
/// Shapes: all `[B, D]`; result: `[B]`.
pub fn kl_between_normals(mean: &Tensor, log_var: &Tensor, other_mean: &Tensor, other_log_var: &Tensor) -> Tensor {
    let log_ratio = log_var - other_log_var;
    let distance = (mean - other_mean).square() * (-other_log_var).exp();
    ((log_ratio.expm1() - log_ratio + distance) * 0.5).sum_dim_intlist(-1, false, None)
}

/// `log N(z_d; mean_d, exp(log_var_d))` in nats per coordinate. Shapes broadcast against each other.
///
/// The difference is scaled before it is squared: 1/σ² overflows in float32 where log σ² < −88, 1/σ does not.
pub fn normal_log_density(z: &Tensor, mean: &Tensor, log_var: &Tensor) -> Tensor {
    (((z - mean) * (log_var * -0.5).exp()).square() + log_var + LOG_2_PI) * -0.5
}

/// log N(z; 0, I) in nats: `[.., D]` → `[..]`.
pub fn standard_normal_log_density(z: &Tensor) -> Tensor {
    ((z.square() + LOG_2_PI) * -0.5).sum_dim_intlist(-1, false, None)
}
