//! What the tests share: numbers in and out of tensors, the oracle file, comparison.

use elbo_core::{Generator, NamedTensors};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

/// numpy/scipy figures in float64, with their recipes inside.
pub(crate) fn oracle(section: &str) -> Value {
    let text = include_str!("../oracle.json");
    let mut all: Value = serde_json::from_str(text).expect("the oracle is JSON");
    all[section].take()
}

/// A nested list of numbers as a float64 tensor of its shape.
pub(crate) fn tensor_of(value: &Value) -> Tensor {
    fn walk(value: &Value, depth: usize, shape: &mut Vec<i64>, flat: &mut Vec<f64>) {
        match value {
            Value::Array(items) => {
                if shape.len() == depth {
                    shape.push(items.len() as i64);
                }
                for item in items {
                    walk(item, depth + 1, shape, flat);
                }
            }
            number => flat.push(number.as_f64().expect("a number")),
        }
    }
    let (mut shape, mut flat) = (Vec::new(), Vec::new());
    walk(value, 0, &mut shape, &mut flat);
    Tensor::from_slice(&flat).reshape(&shape)
}

/// Float64 numbers as a vector `[n]`.
pub(crate) fn vector(values: &[f64]) -> Tensor {
    Tensor::from_slice(values)
}

/// All elements, as float64.
pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.detach().to_kind(Kind::Double).flatten(0, -1);
    Vec::try_from(&flat).expect("float64 numbers")
}

/// All elements' bits (of float32 widened, which keeps them apart; −0 and 0 differ).
pub(crate) fn bits(tensor: &Tensor) -> Vec<u64> {
    numbers(tensor).into_iter().map(f64::to_bits).collect()
}

/// Bits of every tensor, by name.
pub(crate) fn all_bits(tensors: &NamedTensors) -> Vec<(String, Vec<u64>)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect()
}

/// Equal shapes, and equal numbers up to `tolerance`, relative above 1 and absolute below.
#[track_caller]
pub(crate) fn assert_close(got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.size(), expected.size(), "shapes");
    for (got, expected) in numbers(got).into_iter().zip(numbers(expected)) {
        let distance = (got - expected).abs() / expected.abs().max(1.0);
        assert!(distance <= tolerance, "got {got}, expected {expected}: {distance:e} apart");
    }
}

/// A generator on the CPU.
pub(crate) fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).expect("a CPU generator")
}

/// An Int64 scalar on the CPU, as the runner's step counter is.
pub(crate) fn step_number(step: i64) -> Tensor {
    Tensor::full([], step, (Kind::Int64, Device::Cpu))
}

/// The tensor called `name`.
#[track_caller]
pub(crate) fn named<'a>(tensors: &'a NamedTensors, name: &str) -> &'a Tensor {
    let found = tensors.iter().find(|(other, _)| other == name);
    &found.unwrap_or_else(|| panic!("no tensor called {name}")).1
}

/// A scalar's number.
pub(crate) fn number(tensor: &Tensor) -> f64 {
    assert_eq!(tensor.numel(), 1, "a scalar");
    numbers(tensor)[0]
}
