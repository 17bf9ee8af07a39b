//! Networks in bfloat16: libtorch's autocast, where the process has chosen it.

use crate::shim::{self, check};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use tch::{Kind, Tensor};

static CHOSEN: AtomicBool = AtomicBool::new(false);

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Chooses for the whole process whether [`autocast`] changes anything. Off by default.
pub fn set_autocast(on: bool) {
    CHOSEN.store(on, Ordering::Relaxed);
}

/// What `network` returns, in float32; the products in it (linear layers, convolutions, matrix products) in bfloat16 where
/// [`set_autocast`] has chosen so, and what lies between them in the precision that libtorch's autocast has for it.
///
/// Parameters and their gradients stay float32. What is made of the result, densities and bounds, is computed in float32. Calls within
/// calls are one.
///
/// ```
/// use elbo_native::{autocast, set_autocast};
/// use tch::{Kind, Tensor};
///
/// let (x, weight) = (Tensor::from_slice(&[1.001_f32, 2.0]).view([1, 2]), Tensor::from_slice(&[1.0_f32, 1.0]).view([1, 2]));
/// let product = || autocast(|| x.linear(&weight, None::<Tensor>)).double_value(&[0, 0]);
/// assert!((product() - 3.001).abs() < 1e-6);
/// set_autocast(true);
/// assert_eq!(product(), 3.0); // 1.001 in bfloat16 is 1
/// # set_autocast(false);
/// ```
pub fn autocast(network: impl FnOnce() -> Tensor) -> Tensor {
    let result = autocast_raw(network);
    if INSIDE.get() { result } else { widened(result) }
}

/// A tensor of bfloat16 in float32; every other as it is.
pub fn widened(tensor: Tensor) -> Tensor {
    if tensor.kind() == Kind::BFloat16 { tensor.to_kind(Kind::Float) } else { tensor }
}

/// [`autocast`] of a network that returns more than one tensor: each as it left the network, for the caller to have [`widened`].
pub fn autocast_raw<T>(network: impl FnOnce() -> T) -> T {
    if !CHOSEN.load(Ordering::Relaxed) || INSIDE.get() {
        return network();
    }
    // SAFETY: nothing is passed.
    check(unsafe { shim::elbo_autocast_enter() }).expect("libtorch has autocast to bfloat16");
    let _within = Within;
    INSIDE.set(true);
    network()
}

/// Leaves autocast when it goes, a panic included.
struct Within;

impl Drop for Within {
    fn drop(&mut self) {
        INSIDE.set(false);
        // SAFETY: as many times as it was entered. It sets fields of this thread, and has nothing that could fail.
        unsafe { shim::elbo_autocast_leave() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    /// One test, because the choice is the process's: beside it no other test of this crate multiplies inside [`autocast`].
    #[test]
    fn products_are_rounded_inside_alone_and_gradients_stay_float32() {
        tch::manual_seed(1);
        let x = Tensor::randn([8, 32], (Kind::Float, Device::Cpu));
        let weight = Tensor::randn([16, 32], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let exact = x.linear(&weight, None::<Tensor>);
        let network = || autocast(|| x.linear(&weight, None::<Tensor>).relu());
        assert_eq!(network(), exact.relu());

        set_autocast(true);
        // The oracle: operands rounded by hand, and the result once more.
        let rounded = |tensor: &Tensor| tensor.detach().to_kind(Kind::BFloat16).to_kind(Kind::Double);
        let expected = rounded(&x).matmul(&rounded(&weight).tr()).relu();
        let found = autocast(|| autocast(|| x.linear(&weight, None::<Tensor>)).relu());
        assert_eq!(found.kind(), Kind::Float);
        let error = ((&found - &expected).abs() / expected.clamp_min(1.0)).max().double_value(&[]);
        assert!(error < 1.0 / 256.0, "half a unit in the last of eight bits, got {error}");
        assert_ne!(found, exact.relu(), "nothing was rounded");
        found.sum(None::<Kind>).backward();
        assert_eq!(weight.grad().kind(), Kind::Float);

        // A panic inside leaves nothing on, and outside nothing is rounded.
        let panicked = std::panic::catch_unwind(|| drop(autocast(|| panic!("on purpose"))));
        assert!(panicked.is_err());
        assert_eq!(x.linear(&weight, None::<Tensor>), exact);
        assert_eq!(network().kind(), Kind::Float);
        assert_ne!(network(), exact.relu());
        // A changed weight is seen: its rounded copy is not kept from call to call.
        let before = network();
        let _ = tch::no_grad(|| weight.shallow_clone().g_mul_scalar_(2.0));
        assert_ne!(network(), before);

        set_autocast(false);
        assert_eq!(network(), x.linear(&weight, None::<Tensor>).relu());
    }
}
