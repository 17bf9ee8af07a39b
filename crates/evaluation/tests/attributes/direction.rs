//! Attribute vectors of codes that are known, and the directions they are compared with.

use crate::linear::{LATENT, codes, generator, images, vae};
use elbo_evaluation::attributes::direction::{balanced, between, difference, random};
use elbo_evaluation::encode;
use tch::{Device, Kind, Tensor};

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double)).expect("numbers")
}

fn close(found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = values(found);
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < tolerance), "{found:?}, expected {expected:?}");
}

/// The first coordinate of the codes is 1 with the attribute and −1 without; the others do not know of it, and of 40 000 their means differ
/// by 0.87 √(1/20 000 + 1/20 000) = 0.009. A linear encoder that reads the pictures gives the same, but for greys rounded to 1/255.
#[test]
fn the_vector_of_a_linear_model_is_the_known_direction() {
    let (codes, has) = codes(40_000, 1);
    close(&difference(&codes, &has), &[2.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.04);
    let some = codes.narrow(0, 0, 2_000);
    let read = encode::encode(&vae(), &images(&some), None, 100, &generator(2));
    let has = has.narrow(0, 0, 2_000);
    let expected = values(&difference(&some, &has));
    assert_eq!(expected.len() as i64, LATENT);
    // Rounding moves a code by at most 1/510 over the brightness 0.05, and its mean by far less.
    close(&difference(read.representatives(), &has), &expected, 2e-3);
}

/// By hand: means (2, 5) with, (1, 1) without.
#[test]
fn the_difference_is_that_of_two_means() {
    let codes = Tensor::from_slice(&[1.0, 2.0, 3.0, 8.0, 1.0, 1.0]).view([3, 2]);
    close(&difference(&codes, &Tensor::from_slice(&[1_i64, 1, 0])), &[1.0, 4.0], 1e-12);
}

/// Codes that are exactly (1, 0) attribute + (0, 3) other + (5, 5), where four of five with the attribute have the other property too and
/// one of five without: the plain difference has 3 · (4/5 − 1/5) = 1.8 of what is not its own; the balanced one has nothing of it.
#[test]
fn what_goes_with_an_attribute_is_taken_out_of_the_balanced_vector() {
    elbo_native::testing::single_thread();
    let has = Tensor::from_slice(&[1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let other = Tensor::from_slice(&[1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    let codes = Tensor::stack(&[&has + 5.0, &other * 3.0 + 5.0], 1);
    close(&difference(&codes, &has), &[1.0, 1.8], 1e-12);
    close(&balanced(&codes, &has, &other.unsqueeze(1)).expect("two properties"), &[1.0, 0.0], 1e-12);
    // Two columns that say the same, and one that says nothing, change nothing.
    let others = Tensor::stack(&[&other, &(&other * -1.0 + 1.0), &other.zeros_like()], 1);
    close(&balanced(&codes, &has, &others).expect("two properties"), &[1.0, 0.0], 1e-9);
    let none = Tensor::zeros([10, 0], (Kind::Double, Device::Cpu));
    close(&balanced(&codes, &has, &none).expect("nothing else"), &[1.0, 1.8], 1e-12);
}

/// Where the others tell the attribute there are no two pictures that agree in them and differ in it.
#[test]
fn an_attribute_that_the_others_determine_has_no_balanced_vector() {
    elbo_native::testing::single_thread();
    let has = Tensor::from_slice(&[1.0, 1.0, 0.0, 0.0]);
    let halves = Tensor::from_slice(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]).view([4, 2]);
    assert!(balanced(&Tensor::ones([4, 1], (Kind::Double, Device::Cpu)), &has, &halves).is_none());
}

/// In a grid every combination comes once, so that nothing goes with the attribute.
#[test]
fn both_vectors_are_one_in_a_grid() {
    let noise = generator(3);
    let codes = noise.normal(&[24, 3], Kind::Double);
    let index = Tensor::arange(24, (Kind::Int64, Device::Cpu));
    let has = index.divide_scalar_mode(12, "floor");
    let levels = index.divide_scalar_mode(3, "floor").remainder(4);
    let others = Tensor::stack(&[levels.eq(1), levels.eq(2), levels.eq(3), index.remainder(3).eq(2)], 1);
    let found = balanced(&codes, &has, &others).expect("a grid");
    close(&found, &values(&difference(&codes, &has)), 1e-9);
}

/// Length as asked for; of 4000 uniform directions in 5 dimensions every mean coordinate is 0 ± 2/√(5 · 4000) = 0.014.
#[test]
fn random_directions_are_as_long_as_asked_for_and_point_everywhere() {
    let directions = random(4000, 5, 2.0, &generator(4));
    let norm = directions.square().sum_dim_intlist(-1, false, None).sqrt();
    close(&norm, &vec![2.0; 4000], 1e-5);
    close(&directions.mean_dim(0, false, None), &[0.0; 5], 0.07);
}

/// Codes on a line differ along that line only, to either side; a direction is never from a picture to itself.
#[test]
fn directions_between_pictures_go_where_pictures_differ() {
    let codes = Tensor::from_slice(&[0.0_f32, 1.0, 0.0, 2.0, 0.0, 5.0]).view([3, 2]);
    let directions = between(&codes, 200, 0.5, &generator(5));
    close(&directions.select(1, 0), &[0.0; 200], 1e-12);
    close(&directions.select(1, 1).abs(), &[0.5; 200], 1e-6);
    assert!(directions.select(1, 1).mean(None).double_value(&[]).abs() < 0.2);
}
