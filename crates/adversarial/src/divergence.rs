//! f-divergences from a log ratio: their functions, values, and the gradient for a sampler.
//!
//! P is the numerator, Q the denominator, `t = P/Q = e^T`. Everything is a function of `T = log t`, which is what a critic returns: t
//! itself leaves the range of float32 at |T| = 88 and has no digits left near 1.
//!
//! | module | what |
//! |---|---|
//! | this | [`FDivergence`]: f, f′, f*, plug-in values, variational bounds, [`FDivergence::sampler_surrogate`] |
//! | `output` | an unconstrained network as the critic of the bound |
//! | `held_out` | [`HeldOut`]: values with their errors from samples that no critic was trained on |
//! | `tail` | [`Tail`]: whether the samples can carry such a value at all |

mod config;
mod held_out;
mod output;
mod tail;

pub use config::Order;
pub use held_out::{Estimate, HeldOut};
pub use tail::Tail;

use std::f64::consts::LN_2;
use tch::Tensor;

/// A row of the table of docs/mathematics.md §6: `D_f(P ‖ Q) = E_Q[f(P/Q)]`, f convex and f(1) = 0.
///
/// In a configuration a word, or `{ "alpha": 0.5 }`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FDivergence {
    /// KL(P ‖ Q), `kl`: `f(t) = t log t`.
    Kl,
    /// KL(Q ‖ P), `reverse-kl`: `f(t) = −log t`.
    ReverseKl,
    /// KL(P ‖ M) + KL(Q ‖ M), M half of each, `twice-jensen-shannon`: `f(t) = t log t − (t + 1) log((t + 1)/2)`. At most 2 log 2.
    TwiceJensenShannon,
    /// χ² of Pearson, `pearson`: `f(t) = (t − 1)²`.
    Pearson,
    /// χ² of Neyman, `neyman`: `f(t) = (t − 1)²/t`.
    Neyman,
    /// ∫ (√P − √Q)², `twice-squared-hellinger`: `f(t) = (√t − 1)²`. At most 2.
    TwiceSquaredHellinger,
    /// ½ ∫ |P − Q|, `total-variation`: `f(t) = ½ |t − 1|`. At most 1.
    TotalVariation,
    /// The α-family: `f(t) = (t^α − 1 − α (t − 1))/(α (α − 1))`; KL(P ‖ Q) as α → 1, KL(Q ‖ P) as α → 0.
    Alpha(Order),
}

use FDivergence::{Alpha, Kl, Neyman, Pearson, ReverseKl, TotalVariation, TwiceJensenShannon, TwiceSquaredHellinger};

/// Where f* is finite: all u below `supremum`, and `supremum` itself where it is `closed`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Domain {
    /// ∞ where every u is in it.
    pub supremum: f64,
    /// Whether the supremum belongs to it.
    pub closed: bool,
}

impl FDivergence {
    /// `f(e^T)`, elementwise. Never negative but for rounding: its error is 1e-7 of the larger of 1 and t.
    pub fn f(self, log_ratio: &Tensor) -> Tensor {
        match self {
            Kl => log_ratio * log_ratio.exp(),
            ReverseKl => -log_ratio,
            // t log(2t/(t+1)) + log(2/(t+1)).
            TwiceJensenShannon => {
                log_ratio.exp() * (log_ratio.log_sigmoid() + LN_2) + (-log_ratio).log_sigmoid() + LN_2
            }
            Pearson => log_ratio.expm1().square(),
            Neyman => (log_ratio * 0.5).sinh().square() * 4.0,
            TwiceSquaredHellinger => (log_ratio * 0.5).expm1().square(),
            TotalVariation => log_ratio.expm1().abs() * 0.5,
            Alpha(order) => {
                let alpha = order.get();
                ((log_ratio * alpha).expm1() - log_ratio.expm1() * alpha) / (alpha * (alpha - 1.0))
            }
        }
    }

    /// `f′(e^T)`, elementwise: the optimal critic of the variational bound.
    pub fn slope(self, log_ratio: &Tensor) -> Tensor {
        match self {
            Kl => log_ratio + 1.0,
            ReverseKl => -(-log_ratio).exp(),
            TwiceJensenShannon => log_ratio.log_sigmoid() + LN_2,
            Pearson => log_ratio.expm1() * 2.0,
            Neyman => -(log_ratio * -2.0).expm1(),
            TwiceSquaredHellinger => -(log_ratio * -0.5).expm1(),
            TotalVariation => log_ratio.sign() * 0.5,
            Alpha(order) => {
                let power = order.get() - 1.0;
                (log_ratio * power).expm1() / power
            }
        }
    }

    /// `f*(u) = sup over t ≥ 0 of u t − f(t)`, elementwise; ∞ outside [`FDivergence::domain`].
    pub fn conjugate(self, u: &Tensor) -> Tensor {
        let value = match self {
            Kl => return (u - 1.0).exp(),
            // Below u = −2 the supremum is at t = 0.
            Pearson => {
                let u = u.clamp_min(-2.0);
                return u.square() * 0.25 + u;
            }
            ReverseKl => -(-u).log() - 1.0,
            TwiceJensenShannon => -(-u.expm1()).log1p(),
            Neyman => u * 2.0 / ((-u + 1.0).sqrt() + 1.0),
            TwiceSquaredHellinger => u / (-u + 1.0),
            TotalVariation => u.clamp_min(-0.5),
            Alpha(order) => power_conjugate(&(u * (order.get() - 1.0) + 1.0), order.get()),
        };
        let Domain { supremum, closed } = self.domain();
        let inside = if closed { u.le(supremum) } else { u.lt(supremum) };
        value.where_self(&inside, &value.full_like(f64::INFINITY))
    }

    /// `f*(f′(e^T)) = t f′(t) − f(t)`, elementwise. Not by way of u, which for a large T is nearer to the end of its domain than its
    /// own rounding.
    pub fn conjugate_of_slope(self, log_ratio: &Tensor) -> Tensor {
        match self {
            Kl => log_ratio.exp(),
            ReverseKl => log_ratio - 1.0,
            TwiceJensenShannon => -(-log_ratio).log_sigmoid() - LN_2,
            Pearson => (log_ratio * 2.0).expm1(),
            Neyman => (-log_ratio).expm1() * -2.0,
            TwiceSquaredHellinger => (log_ratio * 0.5).expm1(),
            TotalVariation => log_ratio.sign() * 0.5,
            Alpha(order) => (log_ratio * order.get()).expm1() / order.get(),
        }
    }

    /// Where f* is finite.
    pub fn domain(self) -> Domain {
        let below = |supremum: f64| Domain { supremum, closed: false };
        let up_to = |supremum: f64| Domain { supremum, closed: true };
        match self {
            Kl | Pearson => below(f64::INFINITY),
            ReverseKl => below(0.0),
            TwiceJensenShannon => below(LN_2),
            Neyman => up_to(1.0),
            TwiceSquaredHellinger => below(1.0),
            TotalVariation => up_to(0.5),
            Alpha(order) if order.get() > 1.0 => below(f64::INFINITY),
            Alpha(order) => Domain { supremum: (1.0 - order.get()).recip(), closed: order.get() < 0.0 },
        }
    }

    /// The divergence with P and Q changed over: `D_f(P ‖ Q)` of this is `D_f(Q ‖ P)` of that.
    pub fn adjoint(self) -> Self {
        match self {
            Kl => ReverseKl,
            ReverseKl => Kl,
            Pearson => Neyman,
            Neyman => Pearson,
            TwiceJensenShannon | TwiceSquaredHellinger | TotalVariation => self,
            Alpha(order) => Alpha(order.reflected()),
        }
    }

    /// `E_Q f(e^T)`, a scalar, from T on samples of Q (`[B]`). At the optimal T the divergence; at any other neither that nor a bound.
    pub fn plug_in(self, on_denominator: &Tensor) -> Tensor {
        self.f(on_denominator).mean(None)
    }

    /// `E_P[f(e^T) e^−T]`, a scalar, from T on samples of P (`[B]`): the same divergence.
    ///
    /// Its gradient through the samples is that of the divergence for KL(P ‖ Q) only: [`FDivergence::sampler_surrogate`].
    pub fn plug_in_on_numerator(self, on_numerator: &Tensor) -> Tensor {
        self.weighed(on_numerator).mean(None)
    }

    /// `f(e^T) e^−T`, elementwise.
    pub(crate) fn weighed(self, log_ratio: &Tensor) -> Tensor {
        self.adjoint().f(&-log_ratio)
    }

    /// `E_P f′(e^T) − E_Q f*(f′(e^T)) ≤ D_f(P ‖ Q)` for **any** T, a scalar; equal at `T = log P/Q`.
    ///
    /// In expectation over samples that T was not trained on. For KL it is [`nwj_bound`](crate::ratio::nwj_bound). Shapes: `[B]`, `[B']`.
    pub fn bound(self, on_numerator: &Tensor, on_denominator: &Tensor) -> Tensor {
        self.slope(on_numerator).mean(None) - self.conjugate_of_slope(on_denominator).mean(None)
    }

    /// What a sampler that makes P descends: `E_P f′(e^T)`, T on its live samples (`[B]`), a scalar.
    ///
    /// ```text
    /// ∇_φ D_f(P_φ ‖ Q) = ∇_φ E_P f′(e^T),   T held fixed at log P/Q                                  docs/mathematics.md §6
    /// ```
    /// Right for every f whose f′ is continuous. The **value** is not the divergence. T is held fixed by taking the sampler's gradients
    /// only, which a [`Player`](elbo_core::Player) does.
    ///
    /// # Panics
    /// For the total variation, see [`FDivergence::trains_a_sampler`].
    pub fn sampler_surrogate(self, on_numerator: &Tensor) -> Tensor {
        assert!(
            self.trains_a_sampler(),
            "f′ of the total variation is a step, whose gradient is 0 wherever there is one"
        );
        self.slope(on_numerator).mean(None)
    }

    /// Whether [`FDivergence::sampler_surrogate`] has a gradient: for all but the total variation, where f′ is constant but for a jump at
    /// `t = 1` that samples never meet.
    pub fn trains_a_sampler(self) -> bool {
        self != TotalVariation
    }
}

/// `(max(0, base)^(α/(α−1)) − 1)/α`, with `base = 1 + (α − 1) u`.
fn power_conjugate(base: &Tensor, alpha: f64) -> Tensor {
    (base.clamp_min(0.0).pow_tensor_scalar(alpha / (alpha - 1.0)) - 1.0) / alpha
}
