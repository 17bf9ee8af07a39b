//! Sharpness on pictures that are known.

use elbo_evaluation::classifier::Classifier;
use elbo_evaluation::sharpness::{feature_distance, laplacian_energy};
use elbo_native::{Generator, testing::single_thread};
use tch::{Device, Kind, Tensor};

fn values(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.to_kind(Kind::Double)).expect("numbers")
}

/// Flat and linear pictures have second differences 0; on a chessboard every pixel's four neighbours differ from it by 1, so (±4)² = 16; a
/// single white pixel is seen by itself (4²) and its four neighbours (1 each) among 3·3 inner pixels: 20/9.
#[test]
fn flat_pictures_ramps_chessboards_and_points_have_their_energies() {
    single_thread();
    let size = 5;
    let row = Tensor::arange(size, (Kind::Double, Device::Cpu)).reshape([size, 1]).expand([size, size], false);
    let column = row.transpose(0, 1);
    let chessboard = (&row + &column).remainder(2.0);
    let point = Tensor::zeros([size, size], (Kind::Double, Device::Cpu));
    let _ = point.get(2).get(2).fill_(1.0);
    let pictures = Tensor::stack(&[row.full_like(0.3), &row * 0.1 + &column * 0.2, chessboard, point], 0).unsqueeze(1);
    let found = values(&laplacian_energy(&pictures));
    for (found, expected) in found.iter().zip([0.0, 0.0, 16.0, 20.0 / 9.0]) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

/// A picture blurred over 3×3 pixels has less than half of its energy, and its channels count alike.
#[test]
fn blurring_takes_energy_away() {
    single_thread();
    let noise = Generator::new(Device::Cpu, 1).expect("a generator");
    let sharp = noise.uniform(&[4, 2, 16, 16], Kind::Double).gt(0.5).to_kind(Kind::Double);
    let blurred = sharp.avg_pool2d([3, 3], [1, 1], [1, 1], false, true, None);
    for (sharp, blurred) in values(&laplacian_energy(&sharp)).iter().zip(values(&laplacian_energy(&blurred))) {
        assert!(blurred < 0.5 * sharp, "{blurred} {sharp}");
    }
}

/// 0 to themselves; to the pictures of the next row it is 1 in the mean, by what it is a share of.
#[test]
fn the_distance_in_features_is_a_share_of_that_between_pictures() {
    single_thread();
    let noise = Generator::new(Device::Cpu, 2).expect("a generator");
    let classifier = Classifier::new([1, 16, 16], 3, &noise, Device::Cpu);
    let x = noise.uniform(&[8, 1, 16, 16], Kind::Float);
    assert!(values(&feature_distance(&classifier, &x, &x)).iter().all(|&distance| distance.abs() < f64::EPSILON));
    let next = values(&feature_distance(&classifier, &x, &x.roll([1], [0])));
    assert!((next.iter().sum::<f64>() / 8.0 - 1.0).abs() < 1e-5, "{next:?}");
}
