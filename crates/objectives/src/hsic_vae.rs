//! The ELBO, and independence between groups of latent dimensions by HSIC.

use crate::divergence::{Kernel, Positive, hsic};
use crate::groups::{check_disjoint, columns};
use crate::{ElboParts, Objective, Terms};
use elbo_core::{BatchContext, FieldError, ForwardPass, Weight};
use serde::{Deserialize, Serialize};
use tch::Tensor;

elbo_core::choices! {
    /// What is measured where there are more than two groups.
    pub enum HsicStatistic {
        /// The sum of HSIC over all pairs of groups. Zero when every two are independent, which three need not be then.
        Pairwise = "pairwise",
        /// dHSIC: zero only when all groups are independent together (Pfister et al. 2018).
        Joint = "joint",
    }
}

elbo_core::choices! {
    /// How HSIC is estimated ([`hsic`]).
    pub enum HsicForm {
        /// [`hsic::biased`] or [`hsic::joint`]: never negative.
        Biased = "biased",
        /// [`hsic::unbiased`], for pairs alone: right in the mean.
        Unbiased = "unbiased",
    }
}

/// The ELBO with a penalty on the dependence between groups of coordinates of z.
///
/// ```text
/// loss = −ELBO + w HSIC(z_g1, z_g2, …)                                  docs/mathematics.md §5; Lopez et al. 2018
/// ```
///
/// RBF kernels of one bandwidth on the sampled codes of each group; dimensions in no group are left alone. The authors' code penalises the
/// square root of the joint statistic, whose gradient grows without bound as the groups become independent; here it is HSIC itself. Their
/// bandwidth for a group of d dimensions is `2 Γ((d + 1)/2)/Γ(d/2)`, the mean distance of two normal vectors: 1.13, 1.77, 2.26 for d = 1, 2, 3.
///
/// Reports `hsic`, unweighted, in the kernel's unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HsicVae {
    /// Weight of HSIC.
    pub hsic_weight: Weight,
    /// At least two lists of dimensions, none of them twice.
    pub groups: Vec<Vec<i64>>,
    /// Pairs of groups, or all at once.
    pub statistic: HsicStatistic,
    /// Which estimate.
    pub form: HsicForm,
    /// σ of the kernels.
    pub bandwidth: Positive,
}

impl HsicVae {
    /// The estimate for codes `z` (`[B, D]`): a scalar, in the kernel's unit.
    ///
    /// # Panics
    /// For what the objective's check refuses.
    pub fn hsic(&self, z: &Tensor) -> Tensor {
        let kernel = Kernel::Rbf { bandwidth: self.bandwidth.get() };
        let grams: Vec<Tensor> = self.groups.iter().map(|group| hsic::gram(&columns(z, group), &kernel)).collect();
        let of_pair = match (self.statistic, self.form) {
            (HsicStatistic::Joint, _) => return hsic::joint(&grams),
            (HsicStatistic::Pairwise, HsicForm::Biased) => hsic::biased,
            (HsicStatistic::Pairwise, HsicForm::Unbiased) => hsic::unbiased,
        };
        let pairs = grams
            .iter()
            .enumerate()
            .flat_map(|(index, first)| grams[..index].iter().map(move |second| (second, first)));
        pairs.map(|(first, second)| of_pair(first, second)).reduce(|sum, pair| sum + pair).expect("at least two groups")
    }
}

impl Objective for HsicVae {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        let hsic = self.hsic(&pass.z);
        Terms::new(&parts.reconstruction + &parts.kl + self.hsic_weight.times(&hsic, context.step))
            .with_elbo(&parts)
            .with("hsic", hsic)
            .with_weight("hsic_weight", &self.hsic_weight, context)
    }

    fn check(&self, batch: i64, _dataset_len: i64, latent: i64) -> anyhow::Result<()> {
        if self.groups.len() < 2 || self.groups.iter().any(Vec::is_empty) {
            let got = format!("{:?}", self.groups);
            return Err(
                FieldError::expected("groups", "at least two lists of dimensions, none of them empty", got).into()
            );
        }
        check_disjoint(self.groups.iter().flatten().copied(), latent)
            .map_err(|error| FieldError::new("groups", error))?;
        if self.statistic == HsicStatistic::Joint && self.form == HsicForm::Unbiased {
            return Err(FieldError::expected("form", "biased for the joint statistic", self.form).into());
        }
        let smallest = if self.form == HsicForm::Unbiased { 4 } else { 2 };
        anyhow::ensure!(
            batch >= smallest,
            "expected a batch of at least {smallest}, because the {} HSIC compares as many different rows; got {batch}",
            self.form
        );
        Ok(())
    }
}
