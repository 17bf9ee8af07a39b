//! One fused step of Adam or `AdamW` over all parameters of an optimiser.

use crate::shim::{self, Borrowed, check, pointers};
use crate::{Error, Result};
use std::os::raw::c_int;
use tch::Tensor;

/// What one step of Adam is to do. What may change from step to step is a tensor on the parameters' device.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep<'a> {
    /// Learning rate: a float32 scalar on the device.
    pub learning_rate: &'a Tensor,
    /// Decay of the first moment (β₁).
    pub beta1: f64,
    /// Decay of the second moment (β₂).
    pub beta2: f64,
    /// Added to the root of the second moment (ε).
    pub epsilon: f64,
    /// Weight decay (λ).
    pub weight_decay: f64,
    /// `AdamW`: the weight decays apart from the gradient. Otherwise `λ θ` is added to the gradient.
    pub decoupled: bool,
    /// A float32 scalar on the device: 1 leaves parameters, moments and step counts bit for bit as they are, 0 updates them.
    pub skip: Option<&'a Tensor>,
}

/// What a step of Adam changes: parameters, moments and step counts, in one order.
#[derive(Debug, Clone, Copy)]
pub struct AdamState<'a> {
    /// Parameters (θ), of one kind, on one device.
    pub parameters: &'a [Tensor],
    /// First moments (m), alike.
    pub exp_avg: &'a [Tensor],
    /// Second moments (v), alike.
    pub exp_avg_sq: &'a [Tensor],
    /// Updates done so far (t): for each parameter a float32 scalar of its own on the device.
    pub steps: &'a [Tensor],
}

/// Mirrors `elbo_adam_options` of `cpp/adam.cpp`.
#[repr(C)]
pub(crate) struct AdamOptions {
    learning_rate: Borrowed,
    skip: Borrowed,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    decoupled: c_int,
}

/// Updates parameters, moments and step counts in place.
///
/// ```text
/// t ← t + 1
/// g ← g + λ θ                                   Adam                  Kingma & Ba 2015, Algorithm 1
/// θ ← θ − η λ θ                                 AdamW (decoupled)     Loshchilov & Hutter 2019, Algorithm 2
/// m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
/// θ ← θ − η · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)
/// ```
///
/// The host learns nothing and is told nothing that changes: the step may be captured. A gradient in another memory layout than its
/// parameter is copied first. Gradients are read only.
///
/// An observer of operators (see [`recorder`](crate::recorder)) sees one operator, `elbo::fused_adam`. On CUDA it also sees what
/// happens inside; on the CPU it does not, because libtorch's CPU kernel reads the learning rate and the step counts as one reads a
/// number to the host, which on the CPU waits for nothing.
///
/// # Errors
/// Lists of different lengths; tensors whose kind, shape, device or layout do not belong together.
pub fn fused_adam(state: &AdamState<'_>, gradients: &[Tensor], step: &AdamStep<'_>) -> Result<()> {
    let count = state.parameters.len();
    let lists = [
        ("gradients", gradients),
        ("first moments", state.exp_avg),
        ("second moments", state.exp_avg_sq),
        ("step counts", state.steps),
    ];
    for (what, list) in lists {
        if list.len() != count {
            return Err(Error::new(format!("{count} parameters, but {} {what}", list.len())));
        }
    }
    let options = AdamOptions {
        learning_rate: step.learning_rate.as_ptr(),
        skip: step.skip.map_or(std::ptr::null(), Tensor::as_ptr),
        beta1: step.beta1,
        beta2: step.beta2,
        epsilon: step.epsilon,
        weight_decay: step.weight_decay,
        decoupled: c_int::from(step.decoupled),
    };
    // SAFETY: every list holds `count` living tensors, and `options` borrows living ones. The shim writes into the storage of the
    // state's tensors, which tch lets any holder of a handle do (a handle shares its storage).
    check(unsafe {
        shim::elbo_fused_adam(
            pointers(state.parameters).as_ptr(),
            pointers(gradients).as_ptr(),
            pointers(state.exp_avg).as_ptr(),
            pointers(state.exp_avg_sq).as_ptr(),
            pointers(state.steps).as_ptr(),
            count,
            &raw const options,
        )
    })
}
