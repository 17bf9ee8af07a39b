//! Images on the device: packing, unpacking, binarisation, and what a gather runs.

use elbo_data::{BatchOrder, DataError, ImageShape, Images};
use elbo_native::Generator;
use elbo_native::recorder::record;
use elbo_native::testing::single_thread;
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

use crate::setting::values;

fn noise() -> Generator {
    Generator::new(Device::Cpu, 5).unwrap()
}

fn bytes(values: &[u8], size: [i64; 4]) -> Tensor {
    Tensor::from_slice(values).view(size)
}

#[test]
fn grey_bytes_become_their_share_of_255() {
    single_thread();
    let pixels: Vec<u8> = (0..=255).collect();
    let images = Images::from_bytes(&bytes(&pixels, [4, 2, 8, 4])).unwrap();
    assert_eq!(images.shape(), ImageShape { channels: 2, height: 8, width: 4 });
    assert_eq!((images.len(), images.stored_bytes(), images.is_binary()), (4, 256, false));
    let x = images.gather(&Tensor::from_slice(&[3_i64, 0, 3]), &noise());
    assert_eq!((x.size(), x.kind()), (vec![3, 2, 8, 4], Kind::Float));
    let expected = |image: u16| (0..64).map(move |at| f32::from(image * 64 + at) / 255.0);
    assert_eq!(values(&x), expected(3).chain(expected(0)).chain(expected(3)).collect::<Vec<_>>());
}

/// 0 and 1, 0 and 255, and nothing but 0 are black and white; 1 beside 255, or any other grey, is not.
#[test]
fn black_and_white_is_recognised_and_packed() {
    single_thread();
    for (pixels, binary) in [
        ([0, 1, 1, 0, 0, 0], true),
        ([255, 0, 255, 0, 0, 255], true),
        ([0; 6], true),
        ([1; 6], true),
        ([0, 1, 255, 0, 0, 0], false),
        ([0, 2, 2, 0, 0, 0], false),
    ] {
        let images = Images::from_bytes(&bytes(&pixels, [2, 1, 1, 3])).unwrap();
        assert_eq!(images.is_binary(), binary, "{pixels:?}");
        assert_eq!(images.stored_bytes(), if binary { 2 } else { 6 });
        let x = values(&images.gather(&Tensor::from_slice(&[0_i64, 1]), &noise()));
        let white = |pixel: &u8| if binary { f32::from(u8::from(*pixel > 0)) } else { f32::from(*pixel) / 255.0 };
        assert_eq!(x, pixels.iter().map(white).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the size of an image, whole bytes or not, its bits come back.
    #[test]
    fn packing_is_undone_by_gathering(
        (channels, height, width) in (1..4_i64, 1..7_i64, 1..9_i64),
        count in 1..5_i64,
        seed in any::<u64>(),
    ) {
        single_thread();
        let generator = Generator::new(Device::Cpu, seed).unwrap();
        let size = [count, channels, height, width];
        let pixels = generator.integers(2, &size).to_kind(Kind::Uint8);
        let images = Images::from_bytes(&pixels).unwrap();
        prop_assert!(images.is_binary());
        prop_assert_eq!(images.stored_bytes(), count * (channels * height * width + 7).div_euclid(8));
        let indices = generator.integers(count, &[6]);
        let x = images.gather(&indices, &generator);
        prop_assert_eq!(x, pixels.index_select(0, &indices).to_kind(Kind::Float));
    }
}

#[test]
fn a_threshold_is_at_one_half_and_packs() {
    single_thread();
    let images =
        Images::from_bytes(&bytes(&[0, 127, 128, 255, 3, 200], [1, 1, 2, 3])).unwrap().binarized_by_threshold();
    assert!(images.is_binary() && !images.is_drawn());
    assert_eq!(values(&images.gather(&Tensor::from_slice(&[0_i64]), &noise())), [0.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
}

/// Each read is a fresh draw whose mean is the grey value: over 4000 draws of a grey of g the standard error is
/// √(g(1 − g)/4000) < 0.008, and five of them are the tolerance.
#[test]
fn dynamic_binarisation_draws_anew_with_the_grey_as_probability() {
    single_thread();
    let pixels = [0, 51, 102, 153, 204, 255];
    let images = Images::from_bytes(&bytes(&pixels, [1, 1, 2, 3])).unwrap().binarized_dynamically();
    assert!(images.is_binary() && images.is_drawn());
    let indices = Tensor::zeros([4000], (Kind::Int64, Device::Cpu));
    let noise = noise();
    let start = noise.state().unwrap();
    let first = images.gather(&indices, &noise);
    let second = images.gather(&indices, &noise);
    assert_ne!(first, second);
    assert_eq!(first.eq(0).logical_or(&first.eq(1)).all().int64_value(&[]), 1);
    for (mean, pixel) in values(&first.mean_dim(0, false, None)).into_iter().zip(pixels) {
        assert!((mean - f32::from(pixel) / 255.0).abs() < 0.04, "{mean} {pixel}");
    }
    noise.set_state(&start).unwrap();
    assert_eq!(images.gather(&indices, &noise), first);
}

#[test]
fn reads_that_draw_nothing_leave_the_generator_alone() {
    single_thread();
    let noise = noise();
    let start = noise.state().unwrap();
    let grey = Images::from_bytes(&bytes(&[3, 4, 5, 6], [1, 1, 2, 2])).unwrap();
    let white = Images::from_bytes(&bytes(&[1, 0, 1, 1], [1, 1, 2, 2])).unwrap().binarized_dynamically();
    for images in [grey, white] {
        assert!(!images.is_drawn());
        let _ = images.gather(&Tensor::from_slice(&[0_i64]), &noise);
    }
    assert_eq!(noise.state().unwrap(), start);
}

/// The step contract: the same operators with the same shapes and scalars each time, and none that waits for the device.
#[test]
fn gathering_runs_the_same_operators_each_time_and_never_waits() {
    single_thread();
    let noise = noise();
    let grey = || Images::from_bytes(&bytes(&[3, 40, 50, 60, 70, 80, 90, 100], [2, 1, 2, 2])).unwrap();
    let white = Images::from_bytes(&bytes(&[1, 0, 1, 1, 0, 0, 0, 1], [2, 1, 2, 2])).unwrap();
    for images in [grey(), grey().binarized_dynamically(), white] {
        let run = |indices: &[i64]| {
            let indices = Tensor::from_slice(indices);
            record(|| images.gather(&indices, &noise)).unwrap().1
        };
        let (first, second) = (run(&[0, 1, 1]), run(&[1, 1, 0]));
        assert!(!first.is_empty());
        assert_eq!(first, second);
        let waiting: Vec<_> = first.iter().filter(|operator| operator.synchronises()).collect();
        assert!(waiting.is_empty(), "{waiting:?}");
    }
}

#[test]
fn selections_and_moves_keep_what_the_images_are() {
    single_thread();
    let noise = noise();
    let pixels = bytes(&[9, 8, 7, 6, 5, 4], [3, 1, 1, 2]);
    let images = Images::from_bytes(&pixels).unwrap().binarized_dynamically();
    let some = images.select(&Tensor::from_slice(&[2_i64, 0])).to_device(Device::Cpu).unwrap();
    assert_eq!((some.len(), some.is_drawn(), some.device()), (2, true, Device::Cpu));
    let white = Images::from_bytes(&pixels.gt(6).to_kind(Kind::Uint8)).unwrap();
    let some = white.select(&Tensor::from_slice(&[2_i64, 0])).to_device(Device::Cpu).unwrap();
    assert_eq!(values(&some.gather(&Tensor::from_slice(&[0_i64, 1]), &noise)), [0.0, 0.0, 1.0, 1.0]);
}

#[test]
fn tensors_that_are_no_images_are_refused_in_words() {
    single_thread();
    let message = |result: Result<Images, DataError>| result.unwrap_err().to_string();
    let float = Tensor::zeros([2, 1, 4, 4], (Kind::Float, Device::Cpu));
    assert_eq!(message(Images::from_bytes(&float)), "expected uint8 [N, C, H, W], not empty, got Float [2, 1, 4, 4]");
    let flat = Tensor::zeros([2, 16], (Kind::Uint8, Device::Cpu));
    assert_eq!(message(Images::from_bytes(&flat)), "expected uint8 [N, C, H, W], got Uint8 [2, 16]");
    let none = Tensor::zeros([0, 1, 4, 4], (Kind::Uint8, Device::Cpu));
    assert!(message(Images::from_bytes(&none)).contains("not empty"));
    let shape = ImageShape { channels: 1, height: 3, width: 3 };
    assert_eq!(
        message(Images::from_packed(flat, shape)),
        "expected uint8 [N, 2] for 1 × 3 × 3, not empty, got Uint8 [2, 16]"
    );
}

/// On a machine with a GPU: the same images and indices there, and draws of the right mean.
#[test]
fn images_on_a_gpu_are_the_images_on_the_cpu_where_present() {
    single_thread();
    if !tch::Cuda::is_available() {
        println!("skipped: no CUDA device, or a libtorch without CUDA");
        return;
    }
    let device = Device::Cuda(0);
    let (here, there) = (noise(), Generator::new(device, 5).unwrap());
    let grey = here.integers(256, &[300, 3, 5, 7]).to_kind(Kind::Uint8);
    for images in [Images::from_bytes(&grey).unwrap(), Images::from_bytes(&grey.gt(99).to_kind(Kind::Uint8)).unwrap()] {
        let moved = images.to_device(device).unwrap();
        assert_eq!((moved.device(), moved.is_binary()), (device, images.is_binary()));
        let mut order = BatchOrder::new(300, 64, &there).unwrap();
        for _ in 0..6 {
            let indices = order.next_indices();
            let expected = images.gather(&indices.to_device(Device::Cpu), &here);
            // Division by 255 may differ in the last bit.
            assert!(
                (moved.gather(&indices, &there).to_device(Device::Cpu) - expected).abs().max().double_value(&[]) < 1e-6
            );
            order.advance();
            if order.end_of_epoch() {
                order.refill(&there).unwrap();
            }
        }
        order.sync_from_state().unwrap();
        assert_eq!(order.epoch(), 1);
        let drawn = moved.binarized_dynamically().gather(&order.next_indices(), &there);
        assert_eq!(drawn.eq(0).logical_or(&drawn.eq(1)).all().int64_value(&[]), 1);
    }
}
