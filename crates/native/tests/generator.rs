//! The generator: what its streams are equal to, what they are untouched by, and how they are distributed.

// A coin shows 0 or 1, exactly.
#![allow(clippy::float_cmp)]

use elbo_native::{CudaStatus, Generator, initialise, testing::single_thread};
use tch::{Device, Kind, Tensor};

const FLOAT: Kind = Kind::Float;

fn generator(seed: u64) -> Generator {
    single_thread();
    Generator::new(Device::Cpu, seed).unwrap()
}

/// One draw of every sort, so that a test of streams covers all of them.
fn one_of_each(noise: &Generator) -> Vec<Tensor> {
    vec![
        noise.normal(&[3, 5], FLOAT),
        noise.normal(&[40], Kind::Double),
        noise.uniform(&[17], FLOAT),
        noise.bernoulli(&Tensor::full([4, 4], 0.3, (FLOAT, Device::Cpu))),
        noise.permutation(11),
        noise.integers(1000, &[2, 2]),
    ]
}

fn f64s(tensor: &Tensor) -> Vec<f64> {
    tensor.to_kind(Kind::Double).flatten(0, -1).try_into().unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn equal_seeds_give_equal_streams_and_others_do_not() {
    let (a, b, c) = (generator(3), generator(3), generator(4));
    assert_eq!(one_of_each(&a), one_of_each(&b));
    assert_ne!(a.normal(&[8], FLOAT), c.normal(&[8], FLOAT));
}

#[test]
fn all_64_bits_of_a_seed_may_be_used() {
    let (a, b) = (generator(u64::MAX), generator(u64::MAX));
    assert_eq!(a.normal(&[8], FLOAT), b.normal(&[8], FLOAT));
}

/// The process-wide generator neither moves ours nor is moved by it.
#[test]
fn the_process_wide_generator_is_another_one() {
    let (a, b) = (generator(3), generator(3));
    let expected = one_of_each(&b);
    tch::manual_seed(99);
    let first = Tensor::randn([4], (FLOAT, Device::Cpu));
    tch::manual_seed(99);
    assert_eq!(one_of_each(&a), expected);
    assert_eq!(Tensor::randn([4], (FLOAT, Device::Cpu)), first);
}

#[test]
fn two_interleaved_generators_do_not_disturb_each_other() {
    let alone = |seed: u64| -> Vec<Tensor> {
        let noise = generator(seed);
        (0..4).map(|_| noise.normal(&[7], FLOAT)).collect()
    };
    let (a, b) = (generator(5), generator(6));
    let interleaved: (Vec<_>, Vec<_>) = (0..4).map(|_| (a.normal(&[7], FLOAT), b.normal(&[7], FLOAT))).unzip();
    assert_eq!(interleaved, (alone(5), alone(6)));
}

/// Saved in the middle of a stream, where the normal sampler holds back half of a pair, too.
#[test]
fn a_saved_state_replays_the_stream_bit_for_bit() {
    let noise = generator(12);
    let _ = one_of_each(&noise);
    let _ = noise.normal(&[1], FLOAT);
    let state = noise.state().unwrap();
    assert_eq!((state.kind(), state.dim(), state.device()), (Kind::Uint8, 1, Device::Cpu));
    let expected = one_of_each(&noise);
    noise.set_state(&state).unwrap();
    assert_eq!(one_of_each(&noise), expected);
    // The saved bytes are a copy: drawing has not moved them. Another generator takes them as well.
    let other = generator(0);
    other.set_state(&state).unwrap();
    assert_eq!(one_of_each(&other), expected);
    assert_eq!(other.state().unwrap(), noise.state().unwrap());
}

#[test]
fn reseeding_goes_to_the_start_of_the_stream() {
    let noise = generator(12);
    let start = noise.state().unwrap();
    let expected = one_of_each(&noise);
    let _ = noise.normal(&[1], FLOAT);
    noise.reseed(12).unwrap();
    assert_eq!(noise.state().unwrap(), start);
    assert_eq!(one_of_each(&noise), expected);
}

#[test]
fn what_is_no_state_is_refused_and_changes_nothing() {
    let noise = generator(1);
    let before = noise.state().unwrap();
    for wrong in [
        Tensor::zeros([10], (Kind::Uint8, Device::Cpu)),
        Tensor::zeros([2, 5], (Kind::Uint8, Device::Cpu)),
        Tensor::zeros([5056], (FLOAT, Device::Cpu)),
        Tensor::zeros(before.size(), (Kind::Uint8, Device::Cpu)),
    ] {
        let message = noise.set_state(&wrong).unwrap_err().to_string();
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        assert_eq!(noise.state().unwrap(), before);
    }
}

#[test]
fn a_generator_may_move_to_another_thread() {
    let expected = one_of_each(&generator(8));
    let noise = generator(8);
    let drawn = std::thread::spawn(move || {
        single_thread();
        one_of_each(&noise)
    });
    assert_eq!(drawn.join().unwrap(), expected);
}

/// N = 10⁶ draws; the bounds are five standard errors of each moment: √(1/N), √(2/N), √(15/N), √(96/N).
#[test]
fn the_moments_of_normal_draws_are_0_1_0_3() {
    for kind in [FLOAT, Kind::Double] {
        let x = f64s(&generator(2).normal(&[1000, 1000], kind));
        let n = x.len() as f64;
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let moment = mean(&x.iter().map(|v| v.powi(power)).collect::<Vec<_>>());
            let error = 5.0 * f64::sqrt(variance / n);
            assert!((moment - expected).abs() < error, "moment {power}: {moment}");
        }
        // Successive draws are uncorrelated.
        let lagged = mean(&x.windows(2).map(|pair| pair[0] * pair[1]).collect::<Vec<_>>());
        assert!(lagged.abs() < 5.0 / n.sqrt(), "{lagged}");
    }
}

/// Mean 1/2 with variance 1/12, never 1, and a tenth of the draws in each tenth.
#[test]
fn uniform_draws_fill_the_half_open_unit_interval() {
    let x = f64s(&generator(2).uniform(&[1_000_000], FLOAT));
    assert!(x.iter().all(|v| (0.0..1.0).contains(v)));
    assert!((mean(&x) - 0.5).abs() < 5.0 * f64::sqrt(1.0 / 12.0 / 1e6));
    let mut tenths = [0_u32; 10];
    for v in &x {
        tenths[(v * 10.0) as usize] += 1;
    }
    for count in tenths {
        assert!((f64::from(count) - 1e5).abs() < 5.0 * f64::sqrt(0.09 * 1e6), "{tenths:?}");
    }
}

#[test]
fn bernoulli_draws_are_0_or_1_as_often_as_asked() {
    let probability = Tensor::from_slice(&[0.0_f32, 0.1, 0.5, 0.9, 1.0]).unsqueeze(0).repeat([200_000, 1]);
    let x = generator(2).bernoulli(&probability);
    assert_eq!((x.size(), x.kind()), (vec![200_000, 5], FLOAT));
    assert!(f64s(&x).iter().all(|v| *v == 0.0 || *v == 1.0));
    let ones = f64s(&x.mean_dim(0, false, Kind::Double));
    assert_eq!((ones[0], ones[4]), (0.0, 1.0));
    for (found, p) in ones.iter().zip([0.0_f64, 0.1, 0.5, 0.9, 1.0]) {
        assert!((found - p).abs() <= 5.0 * f64::sqrt(p * (1.0 - p) / 200_000.0), "{found} for {p}");
    }
}

#[test]
fn nothing_drawn_requires_a_gradient() {
    let probability = Tensor::full([3], 0.5, (FLOAT, Device::Cpu)).set_requires_grad(true);
    let noise = generator(1);
    assert!(!noise.bernoulli(&probability).requires_grad());
    assert!(one_of_each(&noise).iter().all(|drawn| !drawn.requires_grad()));
}

#[test]
fn a_permutation_has_every_index_once() {
    let noise = generator(1);
    for n in [0, 1, 2, 1000] {
        let drawn = noise.permutation(n);
        assert_eq!((drawn.kind(), drawn.size()), (Kind::Int64, vec![n]));
        assert_eq!(drawn.sort(0, false).0, Tensor::arange(n, (Kind::Int64, Device::Cpu)));
    }
}

/// Each of the 3! orders with probability 1/6; five standard errors.
#[test]
fn all_permutations_are_equally_likely() {
    let noise = generator(1);
    let mut counts = std::collections::BTreeMap::<Vec<i64>, u32>::new();
    for _ in 0..12_000 {
        *counts.entry(noise.permutation(3).try_into().unwrap()).or_default() += 1;
    }
    assert_eq!(counts.len(), 6);
    let error = 5.0 * f64::sqrt(12_000.0 / 6.0 * 5.0 / 6.0);
    assert!(counts.values().all(|&count| (f64::from(count) - 2000.0).abs() < error), "{counts:?}");
}

#[test]
fn a_permutation_refilled_in_place_is_the_same_one_at_the_same_address() {
    let (a, b) = (generator(1), generator(1));
    let mut order = Tensor::zeros([50], (Kind::Int64, Device::Cpu));
    let address = order.data_ptr();
    for _ in 0..3 {
        a.permutation_into(&mut order).unwrap();
        assert_eq!(order, b.permutation(50));
        assert_eq!(order.data_ptr(), address);
    }
}

#[test]
fn a_permutation_goes_into_nothing_else() {
    let noise = generator(1);
    let int64 = (Kind::Int64, Device::Cpu);
    let mut column = Tensor::zeros([5, 2], int64).select(1, 0);
    for wrong in [&mut Tensor::zeros([5], (FLOAT, Device::Cpu)), &mut Tensor::zeros([5, 2], int64), &mut column] {
        let message = noise.permutation_into(wrong).unwrap_err().to_string();
        assert!(message.contains("contiguous Int64 [n]"), "{message}");
    }
}

#[test]
fn integers_are_uniform_below_the_bound() {
    let x = generator(1).integers(5, &[100_000]);
    assert_eq!(x.kind(), Kind::Int64);
    let counts = f64s(&x.bincount::<Tensor>(None, 5));
    assert_eq!(counts.len(), 5);
    for count in counts {
        assert!((count - 20_000.0).abs() < 5.0 * f64::sqrt(1e5 * 0.2 * 0.8), "{count}");
    }
}

#[test]
#[should_panic(expected = "Int64 is not a floating-point kind")]
fn normal_draws_of_integers_are_a_mistake() {
    let _ = generator(1).normal(&[2], Kind::Int64);
}

#[test]
#[should_panic(expected = "negative")]
fn a_negative_size_is_a_mistake() {
    let _ = generator(1).normal(&[-2], FLOAT);
}

/// With CUDA its generators obey the same contract; without, the error is the line that `initialise` gives.
#[test]
fn a_cuda_generator_works_or_says_why_not() {
    single_thread();
    let status = initialise();
    let made = Generator::new(Device::Cuda(0), 3);
    if !matches!(status, CudaStatus::Loaded(_)) || tch::Cuda::device_count() == 0 {
        let message = made.unwrap_err().to_string();
        assert!(status.is_loaded() || message == status.to_string(), "{message}");
        return;
    }
    let (a, b) = (made.unwrap(), Generator::new(Device::Cuda(0), 3).unwrap());
    let state = a.state().unwrap();
    assert_eq!(state.device(), Device::Cpu);
    let on_device =
        |noise: &Generator| vec![noise.normal(&[9], FLOAT), noise.uniform(&[9], FLOAT), noise.permutation(9)];
    let expected = on_device(&a);
    assert!(expected.iter().all(|drawn| drawn.device() == Device::Cuda(0)));
    assert_eq!(on_device(&b), expected);
    a.set_state(&state).unwrap();
    assert_eq!(on_device(&a), expected);
}

#[test]
fn a_cuda_device_that_cannot_be_is_refused() {
    single_thread();
    for index in [126, 1 << 20] {
        assert!(Generator::new(Device::Cuda(index), 3).is_err());
    }
    assert!(Generator::new(Device::Mps, 3).unwrap_err().to_string().contains("not supported"));
}
