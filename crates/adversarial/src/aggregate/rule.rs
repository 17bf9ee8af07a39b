//! What the configurations of the family come to.

use crate::divergence::FDivergence;
use elbo_core::{Scalars, Schedule, Weight};
use tch::Tensor;

/// One method.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Weight of KL(q(z|x) ‖ p(z)); it may be negative.
    pub(super) kl_weight: f64,
    /// What the encoder descends.
    pub(super) push: Push,
    /// Its weight.
    pub(super) weight: ShiftedWeight,
    /// Whether the critic's cost has that weight too.
    pub(super) critic_is_weighed: bool,
    /// Whether −log p(z) is added to what the network returns.
    pub(super) critic_knows_prior: bool,
    /// Updates of the critic for one of the model.
    pub(super) critic_steps: u64,
}

/// What the encoder descends of T on its codes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Push {
    /// `E softplus(T)`, minus the logarithm of the probability that the critic gives the prior: the non-saturating form.
    Fooling,
    /// The surrogate of a divergence.
    Surrogate(FDivergence),
}

/// `weight + shift`; it may be negative.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShiftedWeight {
    /// The field of the configuration that the curve is named after.
    pub(super) field: &'static str,
    /// What the configuration says.
    pub(super) weight: Weight,
    /// What the method adds.
    pub(super) shift: f64,
}

impl Rule {
    /// The critic's cost as it is descended.
    pub(super) fn critic_cost(&self, cost: &Tensor, step: &Tensor) -> Tensor {
        if self.critic_is_weighed { self.weight.times(cost, step) } else { cost.shallow_clone() }
    }
}

impl Push {
    /// Of T on live codes, `[B]`: a scalar.
    pub(super) fn of(self, on_codes: &Tensor) -> Tensor {
        match self {
            Self::Fooling => on_codes.softplus().mean(None),
            Self::Surrogate(divergence) => divergence.sampler_surrogate(on_codes),
        }
    }

    /// Its curve.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fooling => "adversarial_cost",
            Self::Surrogate(_) => "divergence_surrogate",
        }
    }

    /// The divergence that it is the surrogate of.
    pub(super) fn divergence(self) -> Option<FDivergence> {
        match self {
            Self::Fooling => None,
            Self::Surrogate(divergence) => Some(divergence),
        }
    }
}

impl ShiftedWeight {
    /// Smallest and largest value over the schedule.
    pub(super) fn range(&self) -> (f64, f64) {
        let (smallest, largest) = self.weight.schedule().range();
        (self.shifted(smallest), self.shifted(largest))
    }

    /// Whether it is 0 at every step.
    pub(super) fn is_zero(&self) -> bool {
        self.range() == (0.0, 0.0)
    }

    /// `term` times the weight at `step`.
    pub(super) fn times(&self, term: &Tensor, step: &Tensor) -> Tensor {
        match self.weight.schedule() {
            Schedule::Constant(value) => term * self.shifted(value),
            ramp @ Schedule::Ramp { .. } => term * (ramp.at(step).to_kind(term.kind()) + self.shift),
        }
    }

    /// `schedule/<field>`, where it changes.
    pub(super) fn report(&self, scalars: &mut Scalars, step: &Tensor) {
        if self.weight.schedule().constant().is_none() {
            scalars.push(format!("schedule/{}", self.field), &self.weight.schedule().at(step));
        }
    }

    fn shifted(&self, value: f64) -> f64 {
        exact_zero(value + self.shift)
    }
}

/// What is left of 1 where the subtraction leaves nothing but rounding is 0.
pub(super) fn exact_zero(difference: f64) -> f64 {
    if difference.abs() < 1e-12 { 0.0 } else { difference }
}
