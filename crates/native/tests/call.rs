//! Operators by name: arguments, defaults, results, and errors that say what is wrong.

use elbo_native::{Argument, call, testing::single_thread};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn error(name: &str, overload: &str, arguments: &[Argument<'_>]) -> String {
    single_thread();
    let message = call(name, overload, arguments).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn arguments_left_out_take_the_defaults_of_the_schema() {
    single_thread();
    let (a, b) = (Tensor::from_slice(&[1.0, 2.0]), Tensor::from_slice(&[10.0, 20.0]));
    let sum = call("aten::add", "Tensor", &[Argument::Tensor(&a), Argument::Tensor(&b)]).unwrap();
    assert_eq!(sum, [Tensor::from_slice(&[11.0, 22.0])]);
    let weighted = [Argument::Tensor(&a), Argument::Tensor(&b), Argument::Float(0.5)];
    assert_eq!(call("aten::add", "Tensor", &weighted).unwrap(), [Tensor::from_slice(&[6.0, 12.0])]);
}

/// One of each sort of argument: int lists, truth values, a kind as a number, an optional left out, an int for a float.
#[test]
fn every_sort_of_argument_arrives() {
    single_thread();
    let x = Tensor::arange(6, FLOAT).view([2, 3]);
    let arguments = [Argument::Tensor(&x), Argument::Ints(&[1]), Argument::Bool(true), Argument::None];
    let found = call("aten::sum", "dim_IntList", &arguments).unwrap();
    assert_eq!(found, [Tensor::from_slice(&[3.0_f32, 12.0]).view([2, 1])]);
    let found = call("aten::bernoulli", "p", &[Argument::Tensor(&x), Argument::Int(1)]).unwrap();
    assert_eq!(found, [Tensor::ones([2, 3], FLOAT)]);
}

#[test]
fn several_results_and_lists_of_results_come_flattened() {
    single_thread();
    let x = Tensor::from_slice(&[3.0, 1.0, 2.0]);
    let sorted = call("aten::sort", "", &[Argument::Tensor(&x)]).unwrap();
    assert_eq!(sorted, [Tensor::from_slice(&[1.0, 2.0, 3.0]), Tensor::from_slice(&[1_i64, 2, 0])]);
    let split = call("aten::split", "Tensor", &[Argument::Tensor(&x), Argument::Int(2)]).unwrap();
    assert_eq!(split, [Tensor::from_slice(&[3.0, 1.0]), Tensor::from_slice(&[2.0])]);
}

#[test]
fn lists_of_tensors_are_changed_in_place_and_nothing_comes_back() {
    single_thread();
    let tensors = [Tensor::zeros([2], FLOAT), Tensor::zeros([3], FLOAT)];
    let found = call("aten::_foreach_add_", "Scalar", &[Argument::Tensors(&tensors), Argument::Float(1.5)]).unwrap();
    assert!(found.is_empty());
    assert_eq!(tensors[1], Tensor::full([3], 1.5, FLOAT));
}

#[test]
fn a_list_of_optional_tensors_takes_tensors() {
    single_thread();
    let (x, rows) = (Tensor::from_slice(&[5.0, 6.0, 7.0]), [Tensor::from_slice(&[2_i64, 0])]);
    let found = call("aten::index", "Tensor", &[Argument::Tensor(&x), Argument::Tensors(&rows)]).unwrap();
    assert_eq!(found, [Tensor::from_slice(&[7.0, 5.0])]);
}

#[test]
fn the_grad_mode_stays_as_it_is() {
    single_thread();
    let x = Tensor::ones([2], FLOAT).set_requires_grad(true);
    assert!(call("aten::exp", "", &[Argument::Tensor(&x)]).unwrap()[0].requires_grad());
    assert!(!tch::no_grad(|| call("aten::exp", "", &[Argument::Tensor(&x)])).unwrap()[0].requires_grad());
}

#[test]
fn mistakes_are_told_by_name() {
    let x = Tensor::ones([2, 3], FLOAT);
    let tensor = Argument::Tensor(&x);
    assert_eq!(
        error("aten::no_such_thing", "", &[]),
        "libtorch has no operator `aten::no_such_thing` with the overload ``"
    );
    assert!(error("aten::add", "No", &[]).contains("with the overload `No`"));
    assert_eq!(error("aten::mm", "", &[tensor]), "aten::mm: argument `mat2` is missing");
    assert_eq!(error("aten::exp", "", &[tensor, tensor]), "aten::exp: takes 1 arguments, got 2");
    let message = error("aten::mm", "", &[tensor, Argument::Float(1.0)]);
    assert_eq!(message, "aten::mm: argument `mat2` is a Tensor, got float");
    assert!(error("aten::mm", "", &[tensor, Argument::None]).contains("`mat2` is a Tensor, got NoneType"));
    assert!(error("aten::mm", "", &[tensor, tensor]).contains("cannot be multiplied (2x3 and 2x3)"));
    assert_eq!(error("aten::equal", "", &[tensor, tensor]), "aten::equal: returns a bool, not only tensors");
    assert_eq!(error("a\0b", "", &[]), "\"a\\0b\" is no operator's name");
}
