//! Gradients by hand: right in value, in the middle of a graph, and when they fail.

use elbo_native::{gradients, testing::single_thread, with_gradient};
use tch::{Device, Kind, Tensor, no_grad};

fn leaf(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).set_requires_grad(true)
}

/// x ↦ (x², x³) with its gradient by hand.
fn powers(x: &Tensor) -> [Tensor; 2] {
    let (square, cube) = no_grad(|| (x.square(), x * x * x));
    let kept = x.detach();
    let outputs = with_gradient(&[x], &[square, cube], move |cotangents| {
        let square = cotangents[0].as_ref().map(|cotangent| cotangent * &kept * 2.0);
        let cube = cotangents[1].as_ref().map(|cotangent| cotangent * kept.square() * 3.0);
        vec![match (square, cube) {
            (Some(square), Some(cube)) => Some(square + cube),
            (one, other) => one.or(other),
        }]
    });
    outputs.expect("outputs").try_into().expect("two outputs")
}

fn gradient(loss: &Tensor, x: &Tensor) -> Vec<f64> {
    let found = gradients(loss, &[("x".to_owned(), x.shallow_clone())]).expect("a gradient").remove(0);
    Vec::try_from(found).expect("values")
}

/// d/dx of sin(x²) + 2 x³ is 2 x cos(x²) + 6 x².
#[test]
fn a_gradient_by_hand_is_one_link_of_the_chain() {
    single_thread();
    let x = leaf(&[0.5, -2.0]);
    // Not a leaf, so that the gradient flows on.
    let doubled = &x * 2.0;
    let [square, cube] = powers(&(doubled * 0.5));
    let loss = square.sin().sum(None::<Kind>) + cube.sum(None::<Kind>) * 2.0;
    let expected: Vec<f64> = [0.5_f64, -2.0].iter().map(|x| 2.0 * x * (x * x).cos() + 6.0 * x * x).collect();
    for (found, expected) in gradient(&loss, &x).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-14, "{found} {expected}");
    }
}

#[test]
fn an_output_that_took_no_part_has_no_cotangent() {
    single_thread();
    let x = leaf(&[3.0]);
    let [square, _cube] = powers(&x);
    assert_eq!(gradient(&square.sum(None::<Kind>), &x), [6.0]);
    let [_square, cube] = powers(&x);
    assert_eq!(gradient(&cube.sum(None::<Kind>), &x), [27.0]);
}

#[test]
fn without_a_graph_the_outputs_are_plain() {
    single_thread();
    let x = leaf(&[3.0]);
    let [square, cube] = no_grad(|| powers(&x));
    assert!(!square.requires_grad() && !cube.requires_grad());
    let [square, _] = powers(&x.detach());
    assert!(!square.requires_grad());
    assert_eq!(square, Tensor::from_slice(&[9.0_f64]));
}

#[test]
fn inputs_without_a_gradient_stay_without() {
    single_thread();
    let (x, y) = (leaf(&[3.0]), Tensor::from_slice(&[5.0_f64]));
    let product = no_grad(|| &x * &y);
    let (kept_x, kept_y) = (x.detach(), y.detach());
    let product = with_gradient(&[&x, &y], &[product], move |cotangents| {
        let cotangent = cotangents[0].as_ref().expect("the only output");
        vec![Some(cotangent * &kept_y), Some(cotangent * &kept_x)]
    });
    assert_eq!(gradient(&product.expect("an output")[0].sum(None::<Kind>), &x), [5.0]);
}

#[test]
fn a_panic_in_a_gradient_is_an_error_of_the_backward_pass() {
    single_thread();
    let x = leaf(&[1.0]);
    let square = no_grad(|| x.square());
    let output = with_gradient(&[&x], &[square], |_| panic!("no gradient today")).expect("outputs").remove(0);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let error = gradients(&output.sum(None::<Kind>), &[("x".to_owned(), x.shallow_clone())]).unwrap_err().to_string();
    std::panic::set_hook(hook);
    assert!(error.contains("in a gradient by hand: no gradient today"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn misuse_is_refused() {
    single_thread();
    let x = leaf(&[1.0]);
    let none = with_gradient(&[], &[x.detach()], |_| Vec::new()).unwrap_err();
    assert!(none.to_string().contains("at least one input"), "{none}");
    let graph = with_gradient(&[&x], &[x.square()], |_| vec![None]).unwrap_err();
    assert!(graph.to_string().contains("with a graph already"), "{graph}");
    // Not one gradient for each input.
    let square = no_grad(|| x.square());
    let output = with_gradient(&[&x], &[square], |_| Vec::new()).expect("outputs").remove(0);
    let error = gradients(&output.sum(None::<Kind>), &[("x".to_owned(), x.shallow_clone())]).unwrap_err();
    assert!(error.to_string().contains("one gradient for each input"), "{error}");
}

#[test]
fn a_second_differentiation_is_refused() {
    single_thread();
    let x = leaf(&[2.0]);
    let [square, _] = powers(&x);
    let twice = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Tensor::run_backward(&[square.sum(None::<Kind>)], &[&x], true, true)
    }));
    assert!(twice.is_err());
}

/// The node, its closure and what that keeps go with the graph.
#[test]
fn nothing_outlives_the_graph() {
    use std::sync::Arc;
    single_thread();
    let witness = Arc::new(());
    for backward in [true, false] {
        let x = Tensor::ones([4], (Kind::Double, Device::Cpu)).set_requires_grad(true);
        let output = no_grad(|| x.square());
        let kept = (Arc::clone(&witness), output.detach());
        let output = with_gradient(&[&x], &[output], move |cotangents| {
            let _ = &kept;
            vec![cotangents[0].as_ref().map(Tensor::shallow_clone)]
        });
        let loss = output.expect("outputs").remove(0).sum(None::<Kind>);
        assert_eq!(Arc::strong_count(&witness), 2);
        if backward {
            gradient(&loss, &x);
        }
        drop(loss);
        assert_eq!(Arc::strong_count(&witness), 1);
    }
}
