//! Capacity: the KL, or the mutual information, held at a value that rises during training.

use crate::estimator::{Densities, Estimator};
use crate::{ElboParts, Objective, Terms};
use elbo_core::schedule::Shape;
use elbo_core::{BatchContext, FieldError, ForwardPass, NonNegative, Schedule, Weight, choices, config};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

choices! {
    /// Where the modulus stands.
    pub enum Form {
        /// `|mean_i T_i − C|`: of the batch mean, as the papers' code has it.
        BatchMean = "batch-mean",
        /// `mean_i |T_i − C|`: of every example, as note (3) writes it. Never less than the other, by Jensen's inequality.
        PerSample = "per-sample",
    }
}

choices! {
    /// What is held at the capacity.
    pub enum Target {
        /// KL(q(z|x) ‖ p(z)), in closed form. Holding it at C bounds the mutual information from **above**.
        Kl = "kl",
        /// I(x; z) = E[log q(z|x) − log q(z)], estimated from the batch: what the note means by a capacity.
        MutualInformation = "mutual-information",
    }
}

/// The ELBO whose KL gives way to a distance from a capacity C(t), which rises linearly with the step.
///
/// ```text
/// loss = E_q[−log p(x|z)] + γ |KL(q(z|x) ‖ p(z)) − C(t)|                     target kl; docs/mathematics.md §2; Burgess et al. 2018, Eq. 8
/// loss = E_q[−log p(x|z)] + γ |I(x; z) − C(t)| + η KL(q(z) ‖ p(z))           target mutual-information; note (3)
/// C(t) = C_0 + (C_max − C_0) min(t/T, 1)
/// ```
///
/// With C = 0 and the target `kl` it is [`BetaVae`](crate::BetaVae) with β = γ. The mutual information is estimated at the sampled z
/// ([`crate::estimator`]); no estimator reads more than ln N, Uniform no more than ln B, and a capacity beyond that is refused, because
/// nothing would ever reach it. MWS is refused, for its constants move what is compared with C by ln N.
///
/// Reports `capacity_gap`, the distance under its modulus, and `schedule/capacity`; for the mutual information also
/// `estimate/mutual_information_<estimator>` and `estimate/aggregate_kl_<estimator>`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacity {
    /// Weight of the distance (γ).
    pub capacity_weight: Weight,
    /// Capacity at step 0, in nats (`C_0`).
    pub start_capacity: NonNegative,
    /// Capacity at the end of the ramp and after it, in nats (`C_max`).
    pub max_capacity: NonNegative,
    /// Updates from the one to the other (T).
    #[serde(deserialize_with = "config::count")]
    pub ramp_steps: u64,
    /// Where the modulus stands.
    pub form: Form,
    /// What is held at the capacity.
    pub target: Target,
    /// How q(z) is estimated: for the mutual information, which needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimator: Option<Estimator>,
    /// Weight of KL(q(z) ‖ p(z)) (η), with the mutual information only; without it the loss is the bare distance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_kl_weight: Option<Weight>,
}

/// What [`Target::MutualInformation`] takes as its estimator.
const ESTIMATORS: &str = "one of uniform, mss, balanced, exact";

impl Capacity {
    /// C(t).
    pub fn schedule(&self) -> Schedule {
        let (from, to) = (self.start_capacity.get(), self.max_capacity.get());
        Schedule::Ramp { shape: Shape::Linear, from, to, steps: self.ramp_steps }
    }

    /// The distance from the capacity of per-example values `[B]`.
    fn gap(&self, values: &Tensor, context: &BatchContext<'_>) -> Tensor {
        let capacity = self.schedule().at(context.step).to_kind(values.kind());
        match self.form {
            Form::BatchMean => (values.mean(None::<Kind>) - capacity).abs(),
            Form::PerSample => (values - capacity).abs().mean(None::<Kind>),
        }
    }

    fn check_fields(&self, batch: i64, dataset_len: i64) -> Result<(), FieldError> {
        let (start, max) = (self.start_capacity.get(), self.max_capacity.get());
        if start > max {
            let expected = format!("at most max_capacity, {max}");
            return Err(FieldError::expected("start_capacity", &expected, start));
        }
        if self.target == Target::Kl {
            let surplus =
                [("estimator", self.estimator.is_some()), ("aggregate_kl_weight", self.aggregate_kl_weight.is_some())];
            return match surplus.into_iter().find(|(_, given)| *given) {
                Some((field, _)) => Err(FieldError::new(
                    field,
                    format!("expected no {field}, for the target is kl, which is not estimated"),
                )),
                None => Ok(()),
            };
        }
        let (ceiling, whose, rows) = match self.estimator {
            None => {
                let message = format!("expected {ESTIMATORS}, which the target mutual-information needs");
                return Err(FieldError::new("estimator", message));
            }
            Some(Estimator::Mws) => {
                let message = format!(
                    "expected {ESTIMATORS}, because the constants of mws shift the mutual information by ln N; got mws"
                );
                return Err(FieldError::new("estimator", message));
            }
            Some(Estimator::Uniform) => (batch, "uniform reads from a batch of", batch),
            Some(_) => (dataset_len, "a code carries about a data set of", dataset_len),
        };
        let ceiling = (ceiling as f64).ln();
        if max > ceiling {
            let expected = format!("at most {ceiling:.4} nats, the logarithm of {rows}, the most that {whose} {rows}");
            return Err(FieldError::expected("max_capacity", &expected, max));
        }
        Ok(())
    }
}

impl Objective for Capacity {
    fn evaluate(&self, pass: &ForwardPass, context: &BatchContext<'_>) -> Terms {
        let parts = ElboParts::of(pass);
        let terms = match self.target {
            Target::Kl => {
                let gap = self.gap(&pass.posterior.kl_to_prior(), context);
                let loss = &parts.reconstruction + self.capacity_weight.times(&gap, context.step);
                Terms::new(loss).with_elbo(&parts).with("capacity_gap", gap)
            }
            Target::MutualInformation => {
                let posterior = pass.posterior.gaussian().expect("capacity needs a posterior with a density");
                let estimator = self.estimator.expect("check refuses the mutual information without an estimator");
                let densities = Densities::estimate(estimator, posterior, &pass.z, context.dataset_len);
                let information = &densities.conditional - &densities.joint;
                let aggregate_kl = (&densities.joint - &densities.prior).mean(None::<Kind>);
                let gap = self.gap(&information, context);
                let mut loss = &parts.reconstruction + self.capacity_weight.times(&gap, context.step);
                if let Some(weight) = self.aggregate_kl_weight {
                    loss += weight.times(&aggregate_kl, context.step);
                }
                Terms::new(loss)
                    .with_elbo(&parts)
                    .with("capacity_gap", gap)
                    .with(format!("estimate/mutual_information_{estimator}"), information.mean(None::<Kind>))
                    .with(format!("estimate/aggregate_kl_{estimator}"), aggregate_kl)
            }
        };
        let terms = terms.with_schedule("capacity", self.schedule().at(context.step)).with_weight(
            "capacity_weight",
            &self.capacity_weight,
            context,
        );
        match &self.aggregate_kl_weight {
            Some(weight) => terms.with_weight("aggregate_kl_weight", weight, context),
            None => terms,
        }
    }

    fn check(&self, batch: i64, dataset_len: i64, _latent: i64) -> anyhow::Result<()> {
        if let (Target::MutualInformation, Some(estimator)) = (self.target, self.estimator) {
            estimator.check(batch, dataset_len)?;
        }
        Ok(self.check_fields(batch, dataset_len)?)
    }
}
