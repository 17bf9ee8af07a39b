//! Any operator of libtorch by its name.

use crate::shim::{self, Borrowed, RawResults, pointers, receive, receive_tensor};
use crate::{Error, Result};
use std::ffi::CString;
use std::os::raw::c_int;
use tch::Tensor;

/// An argument of [`call`].
#[derive(Debug, Clone, Copy)]
pub enum Argument<'a> {
    /// One tensor.
    Tensor(&'a Tensor),
    /// A list of tensors.
    Tensors(&'a [Tensor]),
    /// A float, or a scalar.
    Float(f64),
    /// An integer; also a float or a scalar.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A list of integers, such as a size.
    Ints(&'a [i64]),
    /// An optional argument left out.
    None,
}

/// Mirrors `elbo_argument` of `cpp/call.cpp`.
#[repr(C)]
pub(crate) struct RawArgument {
    tag: c_int,
    integer: i64,
    real: f64,
    tensor: Borrowed,
    tensors: *const Borrowed,
    integers: *const i64,
    count: usize,
}

impl RawArgument {
    const NONE: Self = Self {
        tag: 0,
        integer: 0,
        real: 0.0,
        tensor: std::ptr::null(),
        tensors: std::ptr::null(),
        integers: std::ptr::null(),
        count: 0,
    };

    /// `list` holds the pointers of [`Argument::Tensors`] and must live as long as the result.
    fn new(argument: &Argument<'_>, list: &[Borrowed]) -> Self {
        match argument {
            Argument::None => Self::NONE,
            Argument::Tensor(tensor) => Self { tag: 1, tensor: tensor.as_ptr(), ..Self::NONE },
            Argument::Tensors(_) => Self { tag: 2, tensors: list.as_ptr(), count: list.len(), ..Self::NONE },
            Argument::Float(value) => Self { tag: 3, real: *value, ..Self::NONE },
            Argument::Int(value) => Self { tag: 4, integer: *value, ..Self::NONE },
            Argument::Bool(value) => Self { tag: 5, integer: i64::from(*value), ..Self::NONE },
            Argument::Ints(values) => Self { tag: 6, integers: values.as_ptr(), count: values.len(), ..Self::NONE },
        }
    }
}

/// Calls the operator `name` (`"aten::_foreach_norm"`) in its overload (`"Scalar"`, or `""`) through the dispatcher.
///
/// Arguments come in the order of the operator's schema; those left out at the end take its defaults. The grad mode stays as it is.
/// The result's tensors and lists of tensors come flattened; an operator that returns nothing gives an empty vector.
///
/// ```
/// use elbo_native::{Argument, call};
/// use tch::Tensor;
///
/// let tensors = [Tensor::from_slice(&[3.0, 4.0]), Tensor::from_slice(&[1.0])];
/// let norms = call("aten::_foreach_norm", "Scalar", &[Argument::Tensors(&tensors), Argument::Int(2)])?;
/// assert_eq!(norms[0].double_value(&[]), 5.0);
/// assert_eq!(norms[1].double_value(&[]), 1.0);
/// # Ok::<(), elbo_native::Error>(())
/// ```
///
/// # Errors
/// No such operator; an argument that does not fit the schema, named; an operator that returns anything but tensors; whatever the
/// operator itself says.
pub fn call(name: &str, overload: &str, arguments: &[Argument<'_>]) -> Result<Vec<Tensor>> {
    let (name, overload) = (c_string(name)?, c_string(overload)?);
    let lists: Vec<Vec<Borrowed>> = arguments
        .iter()
        .map(|argument| if let Argument::Tensors(tensors) = argument { pointers(tensors) } else { Vec::new() })
        .collect();
    let raw: Vec<RawArgument> = arguments.iter().zip(&lists).map(|(a, list)| RawArgument::new(a, list)).collect();
    // SAFETY: both names are C strings; `raw` has the given length and points at living tensors and lists.
    let results = Results(receive(|out| unsafe {
        shim::elbo_call(name.as_ptr(), overload.as_ptr(), raw.as_ptr(), raw.len(), out)
    })?);
    results.tensors()
}

fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(format!("{text:?} is no operator's name")))
}

/// What an operator returned, until it is taken over.
struct Results(*mut RawResults);

impl Results {
    fn tensors(&self) -> Result<Vec<Tensor>> {
        // SAFETY: the results are alive until `self` is dropped.
        let count = unsafe { shim::elbo_results_len(self.0) };
        // SAFETY: as above; the shim makes a new handle for each.
        (0..count).map(|index| receive_tensor(|out| unsafe { shim::elbo_results_get(self.0, index, out) })).collect()
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        // SAFETY: they came from `elbo_call` and are freed here only.
        unsafe { shim::elbo_results_free(self.0) }
    }
}
