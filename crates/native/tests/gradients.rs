//! Gradients as values: what they are, whom they name when there are none, and their clipping.

// Norms of Pythagorean triples are exact.
#![allow(clippy::float_cmp)]

use elbo_native::{
    Generator, clip_by_global_norm, global_norm, gradients, gradients_keeping_graph, testing::single_thread,
};
use tch::{Device, Kind, Tensor};

const DOUBLE: (Kind, Device) = (Kind::Double, Device::Cpu);

fn leaf(values: &[f64]) -> Tensor {
    Tensor::from_slice(values).set_requires_grad(true)
}

fn named(parameters: &[(&str, &Tensor)]) -> Vec<(String, Tensor)> {
    parameters.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone())).collect()
}

fn f64s(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double).flatten(0, -1)).unwrap()
}

/// d/da of Σ a²b is 2ab, d/db is a².
#[test]
fn a_polynomial_has_the_gradient_of_its_derivative() {
    single_thread();
    let (a, b) = (leaf(&[1.0, 2.0, -3.0]), leaf(&[0.5, -1.0, 4.0]));
    let loss = (a.square() * &b).sum(None::<Kind>);
    let found = gradients(&loss, &named(&[("b", &b), ("a", &a)])).unwrap();
    assert_eq!(f64s(&found[0]), [1.0, 4.0, 9.0]);
    assert_eq!(f64s(&found[1]), [1.0, -4.0, -24.0]);
}

/// A small network, against central differences in float64.
#[test]
fn a_network_has_the_gradient_of_finite_differences() {
    single_thread();
    let noise = Generator::new(Device::Cpu, 1).unwrap();
    let x = noise.normal(&[6, 3], Kind::Double);
    let w = noise.normal(&[4, 3], Kind::Double).set_requires_grad(true);
    let b = noise.normal(&[4], Kind::Double).set_requires_grad(true);
    let loss = |w: &Tensor| x.linear(w, Some(&b)).tanh().square().mean(None::<Kind>);
    let found = gradients(&loss(&w), &named(&[("w", &w), ("b", &b)])).unwrap();
    let h = 1e-6;
    for (index, expected) in f64s(&found[0]).into_iter().enumerate() {
        let mut bump = Tensor::zeros([12], DOUBLE);
        let _ = bump.get(index as i64).fill_(h);
        bump = bump.view([4, 3]);
        let slope = tch::no_grad(|| (loss(&(&w + &bump)) - loss(&(&w - &bump))).double_value(&[])) / (2.0 * h);
        assert!((slope - expected).abs() < 1e-8, "{slope} {expected}");
    }
}

/// Two losses share y = a²: a player's gradient of the first must leave what the second's needs. d(3y)/da = 6a, d(by)/db = y.
#[test]
fn a_kept_graph_serves_a_second_loss_and_a_freed_one_does_not() {
    single_thread();
    let (a, b) = (leaf(&[2.0]), leaf(&[5.0]));
    let losses = || {
        let shared = a.square();
        ((&shared * 3.0).sum(None::<Kind>), (&shared * &b).sum(None::<Kind>))
    };
    let (first, second) = losses();
    let found = gradients_keeping_graph(&first, &named(&[("a", &a)])).unwrap();
    assert_eq!(f64s(&found[0]), [12.0]);
    let found = gradients(&second, &named(&[("a", &a), ("b", &b)])).unwrap();
    assert_eq!((f64s(&found[0]), f64s(&found[1])), (vec![20.0], vec![4.0]));
    let (first, second) = losses();
    gradients(&first, &named(&[("a", &a)])).unwrap();
    assert!(gradients(&second, &named(&[("a", &a)])).is_err(), "the shared part of the graph is gone");
}

#[test]
fn nothing_is_accumulated_into_the_parameters() {
    single_thread();
    let a = leaf(&[1.0, 2.0]);
    for _ in 0..2 {
        let found = gradients(&a.square().sum(None::<Kind>), &named(&[("a", &a)])).unwrap();
        assert_eq!(f64s(&found[0]), [2.0, 4.0]);
        assert!(!found[0].requires_grad());
        assert!(!a.grad().defined());
    }
}

/// Two players of one game: each takes its own parameters' gradient, and the other's are not touched.
#[test]
fn only_the_named_parameters_are_differentiated() {
    single_thread();
    let (a, b) = (leaf(&[3.0]), leaf(&[5.0]));
    let loss = (&a * &b).sum(None::<Kind>);
    let found = gradients(&loss, &named(&[("b", &b)])).unwrap();
    assert_eq!((found.len(), f64s(&found[0])), (1, vec![3.0]));
    assert!(!a.grad().defined());
}

#[test]
fn every_parameter_without_a_gradient_is_named() {
    single_thread();
    let (a, b, c) = (leaf(&[1.0]), leaf(&[1.0]), leaf(&[1.0]));
    let parameters = named(&[("encoder.weight", &a), ("decoder.weight", &b), ("decoder.bias", &c)]);
    let error = gradients(&b.sum(None::<Kind>), &parameters).unwrap_err().to_string();
    assert_eq!(error, "the loss does not depend on: encoder.weight, decoder.bias");
    // A detached path is no path.
    let loss = (&a * b.detach() + &c).sum(None::<Kind>);
    let error = gradients(&loss, &parameters).unwrap_err().to_string();
    assert_eq!(error, "the loss does not depend on: decoder.weight");

    let frozen = Tensor::zeros([1], DOUBLE);
    let parameters = named(&[("a", &a), ("frozen", &frozen)]);
    let error = gradients(&(&a * &frozen).sum(None::<Kind>), &parameters).unwrap_err().to_string();
    assert_eq!(error, "does not require a gradient: frozen");
}

#[test]
fn a_loss_is_one_number_that_depends_on_something() {
    single_thread();
    let a = leaf(&[1.0, 2.0]);
    let parameters = named(&[("a", &a)]);
    assert_eq!(gradients(&a.square(), &parameters).unwrap_err().to_string(), "a loss is a scalar, got the shape [2]");
    let constant = Tensor::zeros([], DOUBLE);
    assert!(gradients(&constant, &parameters).unwrap_err().to_string().starts_with("the loss depends on nothing"));
    let loss = a.square().sum(None::<Kind>);
    gradients(&loss, &parameters).unwrap();
    let error = gradients(&loss, &parameters).unwrap_err().to_string();
    assert!(error.contains("backward through the graph a second time") && !error.contains('\n'), "{error}");
}

/// Autograd hands one and the same tensor to both summands, and an expanded one to a sum; a clip in place must scale each once.
#[test]
fn each_gradient_has_memory_of_its_own() {
    single_thread();
    let (a, b, c) = (leaf(&[1.0, 2.0]), leaf(&[3.0, 4.0]), leaf(&[5.0, 6.0]));
    let loss = (&a + &b).square().sum(None::<Kind>) + c.sum(None::<Kind>);
    let found = gradients(&loss, &named(&[("a", &a), ("b", &b), ("c", &c)])).unwrap();
    assert_eq!(found.iter().map(f64s).collect::<Vec<_>>(), [[8.0, 12.0], [8.0, 12.0], [1.0, 1.0]]);
    let addresses: std::collections::BTreeSet<_> = found.iter().map(|gradient| gradient.data_ptr() as usize).collect();
    assert_eq!(addresses.len(), 3);
    assert!(found.iter().all(Tensor::is_contiguous));
    let norm = clip_by_global_norm(&found, 1.0).unwrap().double_value(&[]);
    assert!((norm - 418.0_f64.sqrt()).abs() < 1e-12);
    assert!((f64s(&found[0])[0] - 8.0 / (norm + 1e-6)).abs() < 1e-12);
    assert!((f64s(&found[2])[0] - 1.0 / (norm + 1e-6)).abs() < 1e-12);
}

/// Of a transposed use, of a loss that is the parameter itself, and of a parameter in channels-last.
#[test]
fn each_gradient_is_laid_out_as_its_parameter() {
    single_thread();
    let noise = Generator::new(Device::Cpu, 1).unwrap();
    let matrix = noise.normal(&[3, 2], Kind::Double).set_requires_grad(true);
    let weights = noise.normal(&[2, 3], Kind::Double);
    let loss = (matrix.transpose(0, 1) * &weights).sum(None::<Kind>);
    let found = gradients(&loss, &named(&[("matrix", &matrix)])).unwrap();
    assert_eq!((found[0].stride(), &found[0]), (vec![2, 1], &weights.transpose(0, 1)));

    let scalar = leaf(&[2.0]).sum(None::<Kind>).detach().set_requires_grad(true);
    let found = gradients(&scalar, &named(&[("scalar", &scalar)])).unwrap();
    assert_eq!(f64s(&found[0]), [1.0]);

    let channels_last = noise.normal(&[2, 4, 4, 3], Kind::Double).permute([0, 3, 1, 2]).set_requires_grad(true);
    let found = gradients(&channels_last.square().sum(None::<Kind>), &named(&[("x", &channels_last)])).unwrap();
    assert_eq!(found[0].stride(), channels_last.stride());
    assert_eq!(found[0], channels_last.detach() * 2.0);
}

/// 3² + 4² + 12² = 13².
#[test]
fn the_norm_is_that_of_all_tensors_as_one_vector() {
    single_thread();
    for kind in [Kind::Float, Kind::Double] {
        let tensors =
            [Tensor::from_slice(&[3.0, 4.0]).to_kind(kind), Tensor::from_slice(&[12.0]).to_kind(kind).view([1, 1])];
        let norm = global_norm(&tensors).unwrap();
        assert_eq!((norm.kind(), norm.dim(), norm.double_value(&[])), (kind, 0, 13.0));
    }
}

/// In float64 a sum of squares below and beyond float32's range: nothing passes through float32.
#[test]
fn the_norm_of_float64_stays_in_float64() {
    single_thread();
    for scale in [1e-60, 1e60] {
        let norm = global_norm(&[Tensor::from_slice(&[3.0 * scale, 4.0 * scale])]).unwrap().double_value(&[]);
        assert!((norm / scale - 5.0).abs() < 1e-12, "{norm}");
    }
}

#[test]
fn gradients_within_the_bound_are_not_touched() {
    single_thread();
    let gradients = [Tensor::from_slice(&[3.0, 4.0]), Tensor::from_slice(&[12.0])];
    let before: Vec<_> = gradients.iter().map(Tensor::copy).collect();
    assert_eq!(clip_by_global_norm(&gradients, 13.1).unwrap().double_value(&[]), 13.0);
    assert_eq!(gradients[..], before);
}

#[test]
fn larger_gradients_keep_their_direction_and_get_the_bound_for_a_norm() {
    single_thread();
    let gradients = [Tensor::from_slice(&[3.0, 4.0]), Tensor::from_slice(&[12.0])];
    assert_eq!(clip_by_global_norm(&gradients, 2.0).unwrap().double_value(&[]), 13.0);
    let factor = 2.0 / (13.0 + 1e-6);
    for (found, expected) in gradients.iter().flat_map(f64s).zip([3.0, 4.0, 12.0]) {
        assert!((found - expected * factor).abs() < 1e-14);
    }
    assert!((global_norm(&gradients).unwrap().double_value(&[]) - 2.0).abs() < 1e-6);
}

#[test]
fn gradients_of_zero_stay_zero_and_infinite_ones_show_in_the_norm() {
    single_thread();
    let zeros = [Tensor::zeros([3], DOUBLE)];
    assert_eq!(clip_by_global_norm(&zeros, 1.0).unwrap().double_value(&[]), 0.0);
    assert_eq!(f64s(&zeros[0]), [0.0; 3]);
    let wild = [Tensor::from_slice(&[1.0, f64::INFINITY])];
    assert_eq!(clip_by_global_norm(&wild, 1.0).unwrap().double_value(&[]), f64::INFINITY);
}

#[test]
fn a_norm_of_nothing_and_a_bound_that_is_none_are_refused() {
    single_thread();
    assert!(global_norm(&[]).is_err() && clip_by_global_norm(&[], 1.0).is_err());
    let gradients = [Tensor::zeros([3], DOUBLE)];
    for bound in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(clip_by_global_norm(&gradients, bound).unwrap_err().to_string().contains("finite number > 0"));
    }
}
