//! Gradients as values, their norm, and clipping on the device.

use crate::shim::{self, check, pointers, receive_tensor};
use crate::{Error, Result};
use tch::Tensor;

/// The gradient of `loss` with respect to each of the named `parameters`, in their order. Frees the graph of `loss`.
///
/// Nothing is accumulated into the parameters' own `grad`, so no player of a game can leak into another's update. Each result has
/// memory of its own in its parameter's layout and may be changed in place.
///
/// # Errors
/// `loss` is not a scalar or depends on no parameter; some parameters do not require a gradient, or the loss does not depend on
/// them: all of them are named.
pub fn gradients(loss: &Tensor, parameters: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    differentiate(loss, parameters, false)
}

/// [`gradients`], and the graph of `loss` is kept for another loss that shares a part of it: two players of a game who look at one
/// reconstruction.
///
/// # Errors
/// As for [`gradients`].
pub fn gradients_keeping_graph(loss: &Tensor, parameters: &[(String, Tensor)]) -> Result<Vec<Tensor>> {
    differentiate(loss, parameters, true)
}

fn differentiate(loss: &Tensor, parameters: &[(String, Tensor)], keep_graph: bool) -> Result<Vec<Tensor>> {
    if loss.numel() != 1 {
        return Err(Error::new(format!("a loss is a scalar, got the shape {:?}", loss.size())));
    }
    if !loss.requires_grad() {
        return Err(Error::new("the loss depends on nothing that requires a gradient"));
    }
    let frozen = names(parameters.iter().filter(|(_, parameter)| !parameter.requires_grad()));
    if !frozen.is_empty() {
        return Err(Error::new(format!("does not require a gradient: {frozen}")));
    }
    let handles: Vec<_> = parameters.iter().map(|(_, parameter)| parameter.as_ptr()).collect();
    let mut raw = vec![std::ptr::null_mut(); parameters.len()];
    // SAFETY: `handles` and `raw` have the given length; the handles are alive.
    check(unsafe {
        shim::elbo_gradients(loss.as_ptr(), handles.as_ptr(), handles.len(), keep_graph, raw.as_mut_ptr())
    })?;
    let gradients: Vec<Option<Tensor>> = raw
        .into_iter()
        // SAFETY: on success each place holds null or a new tensor for the caller to own.
        .map(|pointer| (!pointer.is_null()).then(|| unsafe { Tensor::from_ptr(pointer) }))
        .collect();
    let missing = names(parameters.iter().zip(&gradients).filter(|(_, gradient)| gradient.is_none()).map(|(p, _)| p));
    if !missing.is_empty() {
        return Err(Error::new(format!("the loss does not depend on: {missing}")));
    }
    Ok(gradients.into_iter().flatten().collect())
}

fn names<'a>(parameters: impl Iterator<Item = &'a (String, Tensor)>) -> String {
    parameters.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The Euclidean norm of all `tensors` taken as one vector: a scalar on their device.
///
/// # Errors
/// No tensors, or tensors of several devices or kinds.
pub fn global_norm(tensors: &[Tensor]) -> Result<Tensor> {
    some(tensors)?;
    // SAFETY: the pointers are of living tensors, with their number; the shim makes a new one.
    receive_tensor(|out| unsafe { shim::elbo_global_norm(pointers(tensors).as_ptr(), tensors.len(), out) })
}

/// Scales `gradients` in place by `min(1, max_norm / (norm + 1e-6))`, where `norm` is their [`global_norm`], and returns `norm`.
///
/// All of it happens on the device. A gradient that is not finite stays so and makes all others NaN or 0: look at the norm.
///
/// # Errors
/// As for [`global_norm`]; or `max_norm` is not a positive number.
pub fn clip_by_global_norm(gradients: &[Tensor], max_norm: f64) -> Result<Tensor> {
    some(gradients)?;
    if !(max_norm.is_finite() && max_norm > 0.0) {
        return Err(Error::new(format!("a largest norm is a finite number > 0, got {max_norm}")));
    }
    // SAFETY: the pointers are of living tensors, with their number; the shim writes into their storage and makes one new tensor.
    receive_tensor(|out| unsafe {
        shim::elbo_clip_by_global_norm(pointers(gradients).as_ptr(), gradients.len(), max_norm, out)
    })
}

fn some(tensors: &[Tensor]) -> Result<()> {
    if tensors.is_empty() { Err(Error::new("the norm of no tensors was asked for")) } else { Ok(()) }
}
