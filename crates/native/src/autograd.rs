//! Gradients written by hand, as nodes of autograd's graph.

use crate::shim::{self, Borrowed, RawGradientSink, check};
use crate::{Error, Result};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tch::Tensor;
use torch_sys::C_tensor;

/// Takes the cotangents of the outputs, gives the gradients of the inputs.
type Backward = Box<dyn Fn(&[Option<Tensor>]) -> Vec<Option<Tensor>> + Send>;

struct Closure {
    backward: Backward,
    inputs: usize,
}

/// Makes `outputs` depend on `inputs` through a gradient of one's own.
///
/// `outputs` were computed from `inputs` without a graph (inside [`tch::no_grad`]); they come back in their order, as parts of the graph.
/// `backward` gets the cotangent of each output (`None` where an output took no part in the loss) and returns a gradient for each
/// input, in its shape (`None` for zero). It runs without a graph, perhaps on one of autograd's own threads, and at most once for each
/// backward pass. What it needs it keeps: **detached** handles of inputs and outputs, or the graph would hold itself alive.
/// Under [`tch::no_grad`], or when no input requires a gradient, the outputs come back without a graph.
///
/// ```
/// use tch::{Kind, Tensor, no_grad};
///
/// // exp with its own gradient, which needs the result alone.
/// let x = Tensor::from_slice(&[0.0_f64, 1.0]).set_requires_grad(true);
/// let exp = no_grad(|| x.exp());
/// let kept = exp.detach();
/// let exp = elbo_native::with_gradient(&[&x], &[exp], move |cotangents| {
///     vec![cotangents[0].as_ref().map(|cotangent| cotangent * &kept)]
/// })?;
/// exp[0].sum(None::<Kind>).backward();
/// assert_eq!(x.grad(), x.exp());
/// # Ok::<(), elbo_native::Error>(())
/// ```
///
/// # Errors
/// No inputs or outputs, or an output that already requires a gradient; whatever libtorch refuses. A panic of `backward` becomes an error of
/// the backward pass, and so does a second differentiation (`create_graph`).
pub fn with_gradient(
    inputs: &[&Tensor],
    outputs: &[Tensor],
    backward: impl Fn(&[Option<Tensor>]) -> Vec<Option<Tensor>> + Send + 'static,
) -> Result<Vec<Tensor>> {
    if inputs.is_empty() || outputs.is_empty() {
        return Err(Error::new("a gradient by hand needs at least one input and one output"));
    }
    if outputs.iter().any(Tensor::requires_grad) {
        return Err(Error::new("an output with a gradient by hand was computed with a graph already"));
    }
    let input_pointers: Vec<Borrowed> = inputs.iter().map(|tensor| tensor.as_ptr()).collect();
    let output_pointers = shim::pointers(outputs);
    let closure = Box::new(Closure { backward: Box::new(backward), inputs: inputs.len() });
    let mut raw = vec![std::ptr::null_mut(); outputs.len()];
    // SAFETY: the pointers are of living tensors, with their numbers; `raw` has a place for each output. C++ owns the closure from here on
    // and gives it back to `release` exactly once, also when it fails.
    check(unsafe {
        shim::elbo_with_gradient(
            input_pointers.as_ptr(),
            input_pointers.len(),
            output_pointers.as_ptr(),
            output_pointers.len(),
            Box::into_raw(closure).cast(),
            run,
            release,
            raw.as_mut_ptr(),
        )
    })?;
    // SAFETY: on success each place holds a new tensor for the caller to own.
    Ok(raw.into_iter().map(|pointer| unsafe { Tensor::from_ptr(pointer) }).collect())
}

/// Called by the node in a backward pass.
unsafe extern "C" fn run(
    closure: *mut c_void,
    cotangents: *const *mut C_tensor,
    count: usize,
    sink: *mut RawGradientSink,
) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `count` pointers, each null or a new tensor that is ours to own.
        let cotangents: Vec<Option<Tensor>> = unsafe { std::slice::from_raw_parts(cotangents, count) }
            .iter()
            .map(|&pointer| (!pointer.is_null()).then(|| unsafe { Tensor::from_ptr(pointer) }))
            .collect();
        // SAFETY: the closure that `with_gradient` gave away; the node that calls holds it, and calls one at a time.
        let closure = unsafe { &*closure.cast::<Closure>() };
        let gradients = tch::no_grad(|| (closure.backward)(&cotangents));
        assert_eq!(gradients.len(), closure.inputs, "a gradient by hand returns one gradient for each input");
        for (index, gradient) in gradients.iter().enumerate() {
            if let Some(gradient) = gradient {
                // SAFETY: the sink has a place for each input; the tensor lives for the call.
                unsafe { shim::elbo_gradient_put(sink, index, gradient.as_ptr()) };
            }
        }
    }));
    let Err(panic) = outcome else { return 0 };
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let message = format!("in a gradient by hand: {}", text.unwrap_or("a panic"));
    // SAFETY: the message lives for the call, which copies it.
    unsafe { shim::elbo_gradient_fail(sink, message.as_ptr().cast(), message.len()) };
    -1
}

/// Called once, when the node goes.
unsafe extern "C" fn release(closure: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `with_gradient`, and given back once. A panic while it is dropped must not reach C++.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(closure.cast::<Closure>()) })));
}
