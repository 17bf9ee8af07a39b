//! DIP-VAE: the ELBO, and the second moments of the aggregate posterior held to those of the prior.

use crate::divergence::covariance::{aggregate_covariance, covariance, diagonal, off_diagonal};
use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, ForwardPass, Weight};
use serde::{Deserialize, Serialize};

elbo_core::choices! {
    /// Which covariance is held to the identity.
    pub enum DipForm {
        /// Of the means, Cov[μ].
        I = "i",
        /// Of z, Cov[μ] + E[diag σ²].
        II = "ii",
    }
}

/// The ELBO with penalties on the covariance C of the codes.
///
/// ```text
/// loss = −ELBO + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii − 1)²              docs/mathematics.md §5; Kumar et al. 2018, Eqs. 6, 7
/// ```
///
/// C over the batch, with 1/B ([`covariance`](crate::divergence::covariance)). Reports `covariance_off_diagonal` and
/// `covariance_diagonal`, the two sums, unweighted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DipVae {
    /// I or II.
    pub form: DipForm,
    /// Weight of the covariances between dimensions (`λ_od`).
    pub off_diagonal_weight: Weight,
    /// Weight of the distance of the variances from 1 (`λ_d`).
    pub diagonal_weight: Weight,
}

impl Objective for DipVae {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let posterior = pass.posterior.gaussian().expect("dip-vae needs the moments of the posterior");
        let parts = ElboParts::of(pass);
        let covariance = match self.form {
            DipForm::I => covariance(&posterior.mean),
            DipForm::II => aggregate_covariance(posterior),
        };
        let (off_diagonal, diagonal) = (off_diagonal(&covariance), diagonal(&covariance));
        let loss = &parts.reconstruction
            + &parts.kl
            + self.off_diagonal_weight.times(&off_diagonal, context.step)
            + self.diagonal_weight.times(&diagonal, context.step);
        Terms::new(loss)
            .with_elbo(&parts)
            .with("covariance_off_diagonal", off_diagonal)
            .with("covariance_diagonal", diagonal)
            .with_weight("off_diagonal_weight", &self.off_diagonal_weight, context)
            .with_weight("diagonal_weight", &self.diagonal_weight, context)
    }

    fn check(&self, batch: i64, _dataset_len: i64, _latent: i64) -> anyhow::Result<()> {
        anyhow::ensure!(
            batch >= 2,
            "expected a batch of at least 2, because the covariance over one row is always zero; got {batch}"
        );
        Ok(())
    }
}
