//! The maximum mean discrepancy of a configuration.

use super::{Kernel, Positive, mmd};
use elbo_core::{FieldError, Generator};
use serde::{Deserialize, Serialize};
use tch::Tensor;

elbo_core::choices! {
    /// A [`Kernel`] by name.
    pub enum KernelName {
        /// [`Kernel::Rbf`].
        Rbf = "rbf",
        /// [`Kernel::InverseMultiquadratic`].
        InverseMultiquadratic = "inverse-multiquadratic",
        /// [`Kernel::MultiScale`].
        MultiScale = "multi-scale",
    }
}

elbo_core::choices! {
    /// How MMD² is estimated ([`mmd`]).
    pub enum MmdForm {
        /// [`mmd::biased`]: never negative, too high by a share of 1/B.
        Biased = "biased",
        /// [`mmd::unbiased`]: right in the mean.
        Unbiased = "unbiased",
        /// [`mmd::linear_time`]: right in the mean, time and memory that grow with B.
        LinearTime = "linear-time",
    }
}

/// MMD² between a batch of codes and as many samples of the prior.
///
/// ```json
/// { "kernel": "multi-scale", "bandwidth": 20, "scales": [0.1, 0.2, 0.5, 1, 2, 5, 10], "form": "unbiased" }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mmd {
    /// The kernel's family.
    pub kernel: KernelName,
    /// Its width: σ (a length) for `rbf`, C (a squared length; Tolstikhin et al. 2018: 2 D) for the others.
    pub bandwidth: Positive,
    /// Multiples of `bandwidth`, for `multi-scale` and for it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scales: Option<Vec<Positive>>,
    /// Which estimate.
    pub form: MmdForm,
}

impl Mmd {
    /// The estimate between `codes` and `prior`, both `[B, D]`: a scalar, in the kernel's unit.
    ///
    /// # Panics
    /// For what [`Mmd::check`] refuses.
    pub fn estimate(&self, codes: &Tensor, prior: &Tensor) -> Tensor {
        let kernel = self.kernel();
        match self.form {
            MmdForm::Biased => mmd::biased(codes, prior, &kernel),
            MmdForm::Unbiased => mmd::unbiased(codes, prior, &kernel),
            MmdForm::LinearTime => mmd::linear_time(codes, prior, &kernel),
        }
    }

    /// The estimate between `codes` and as many samples of N(0, I), drawn from `noise`.
    ///
    /// # Panics
    /// As [`Mmd::estimate`].
    pub fn to_prior(&self, codes: &Tensor, noise: &Generator) -> Tensor {
        self.estimate(codes, &noise.normal(&codes.size(), codes.kind()))
    }

    /// Whether kernel and scales fit each other, and the form the batch.
    ///
    /// # Errors
    /// A [`FieldError`] whose field is below this object, or the smallest batch.
    pub fn check(&self, batch: i64) -> anyhow::Result<()> {
        let scales = self.scales.as_ref().map(Vec::len);
        match (self.kernel, scales) {
            (KernelName::MultiScale, None | Some(0)) => {
                let expected = "at least one scale, such as [0.1, 0.2, 0.5, 1, 2, 5, 10]";
                let got = scales.map_or("none", |_| "[]");
                Err(FieldError::expected("scales", expected, got).into())
            }
            (KernelName::Rbf | KernelName::InverseMultiquadratic, Some(_)) => {
                let expected =
                    format!("no scales, which belong to the multi-scale kernel, with the kernel {}", self.kernel);
                Err(FieldError::expected("scales", &expected, "some").into())
            }
            _ if self.form != MmdForm::Biased && batch < 2 => {
                anyhow::bail!(
                    "expected a batch of at least 2, because the {} MMD compares different rows; got {batch}",
                    self.form
                )
            }
            _ => Ok(()),
        }
    }

    /// [`Mmd::check`] of the field called `field`.
    ///
    /// # Errors
    /// As [`Mmd::check`], a field's path from the object that holds `field`.
    pub fn check_as(&self, field: &str, batch: i64) -> anyhow::Result<()> {
        self.check(batch).map_err(|error| match error.downcast::<FieldError>() {
            Ok(error) => error.under(field).into(),
            Err(error) => error,
        })
    }

    /// The kernel.
    pub fn kernel(&self) -> Kernel {
        let bandwidth = self.bandwidth.get();
        match self.kernel {
            KernelName::Rbf => Kernel::Rbf { bandwidth },
            KernelName::InverseMultiquadratic => Kernel::InverseMultiquadratic { bandwidth },
            KernelName::MultiScale => {
                let scales = self.scales.iter().flatten().map(|scale| scale.get()).collect();
                Kernel::MultiScale { bandwidth, scales }
            }
        }
    }
}
