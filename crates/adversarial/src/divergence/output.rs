//! An unconstrained network as the critic of a variational bound.

use super::FDivergence::{
    self, Alpha, Kl, Neyman, Pearson, ReverseKl, TotalVariation, TwiceJensenShannon, TwiceSquaredHellinger,
};
use super::power_conjugate;
use std::f64::consts::LN_2;
use tch::Tensor;

/// Nowozin et al. 2016, Table 2: `g = a_f(V)` lies in the domain of f* for every output V of a network, and grows with it.
impl FDivergence {
    /// `a_f(V)`, elementwise.
    pub fn output(self, v: &Tensor) -> Tensor {
        match self {
            Kl | Pearson => v.shallow_clone(),
            ReverseKl => -(-v).exp(),
            TwiceJensenShannon => v.log_sigmoid() + LN_2,
            Neyman | TwiceSquaredHellinger => -(-v).expm1(),
            TotalVariation => v.tanh() * 0.5,
            Alpha(order) if order.get() > 1.0 => v.shallow_clone(),
            Alpha(order) => v.log_sigmoid() + (1.0 - order.get()).recip(),
        }
    }

    /// `f*(a_f(V))`, elementwise; not by way of `a_f(V)`, for the reason at [`FDivergence::conjugate_of_slope`].
    pub fn conjugate_of_output(self, v: &Tensor) -> Tensor {
        match self {
            Kl | Pearson => self.conjugate(v),
            ReverseKl => v - 1.0,
            TwiceJensenShannon => -(-v).log_sigmoid() - LN_2,
            Neyman => (v * -0.5).expm1() * -2.0,
            TwiceSquaredHellinger => v.expm1(),
            TotalVariation => v.tanh() * 0.5,
            Alpha(order) if order.get() > 1.0 => self.conjugate(v),
            Alpha(order) => power_conjugate(&(v.log_sigmoid() * (order.get() - 1.0)), order.get()),
        }
    }

    /// `E_P a_f(V) − E_Q f*(a_f(V)) ≤ D_f(P ‖ Q)` for any V, a scalar: what an f-GAN's critic ascends. Shapes: `[B]`, `[B']`.
    pub fn bound_of_output(self, on_numerator: &Tensor, on_denominator: &Tensor) -> Tensor {
        self.output(on_numerator).mean(None) - self.conjugate_of_output(on_denominator).mean(None)
    }
}
