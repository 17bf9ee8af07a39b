//! Values with their errors.

use super::{FDivergence, Tail};
use serde::Serialize;
use tch::{Kind, Tensor};

/// T on samples that it was not trained on.
#[derive(Debug, Clone, Copy)]
pub struct HeldOut<'a> {
    on_numerator: &'a Tensor,
    on_denominator: &'a Tensor,
}

/// A divergence in nats (χ², Hellinger and total variation: without a unit), its standard error, and what it rests on.
///
/// The error knows the samples, not how far T is from the log ratio. A value whose tail is not `reliable` is not to be read, nor its error:
/// both come from samples that miss what the mean is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error over the samples.
    pub standard_error: f64,
    /// Effective sample size, index of the tail, and the verdict.
    #[serde(flatten)]
    pub tail: Tail,
}

impl<'a> HeldOut<'a> {
    /// T on at least two samples of P (`[n]`) and of Q (`[m]`). The host reads what is computed from them.
    pub fn new(on_numerator: &'a Tensor, on_denominator: &'a Tensor) -> Self {
        for side in [on_numerator, on_denominator] {
            assert!(side.dim() == 1 && side.size()[0] >= 2, "T must be [n] with n ≥ 2, got {:?}", side.size());
        }
        Self { on_numerator, on_denominator }
    }

    /// [`FDivergence::plug_in`], from the samples of Q.
    pub fn plug_in(&self, divergence: FDivergence) -> Estimate {
        let tail = self.tail(divergence).worse(divergence.tail_of_plug_in(self.on_denominator));
        estimate(tail, &[(1.0, divergence.f(self.on_denominator))])
    }

    /// [`FDivergence::plug_in_on_numerator`], from the samples of P.
    pub fn plug_in_on_numerator(&self, divergence: FDivergence) -> Estimate {
        // The plug-in value of the adjoint, P and Q changed over.
        let tail = self.tail(divergence).worse(divergence.adjoint().tail_of_plug_in(&-self.on_numerator));
        estimate(tail, &[(1.0, divergence.weighed(self.on_numerator))])
    }

    /// [`FDivergence::bound`], from both.
    pub fn bound(&self, divergence: FDivergence) -> Estimate {
        let numerator = divergence.slope(self.on_numerator);
        let terms = [(1.0, numerator), (-1.0, divergence.conjugate_of_slope(self.on_denominator))];
        estimate(self.tail(divergence), &terms)
    }

    fn tail(&self, divergence: FDivergence) -> Tail {
        divergence.tail_of_bound(self.on_numerator, self.on_denominator)
    }
}

/// The sum of the terms' means, each times its sign.
fn estimate(tail: Tail, terms: &[(f64, Tensor)]) -> Estimate {
    let (mut value, mut variance) = (0.0, 0.0);
    for (sign, term) in terms {
        // In double precision: a sum of 1e6 numbers keeps few digits of float32.
        let term = term.detach().to_kind(Kind::Double);
        value += sign * term.mean(None).double_value(&[]);
        variance += term.var(true).double_value(&[]) / term.size()[0] as f64;
    }
    let tail = Tail { reliable: tail.reliable && value.is_finite() && variance.is_finite(), ..tail };
    Estimate { value, standard_error: variance.sqrt(), tail }
}
