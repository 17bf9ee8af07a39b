//! Sampling without replacement, its state, and the step contract.

use std::collections::BTreeSet;

use elbo_data::{BatchOrder, DataError};
use elbo_native::Generator;
use elbo_native::recorder::record;
use elbo_native::testing::single_thread;
use tch::{Device, Tensor};

use crate::setting::integers;

fn generator(seed: u64) -> Generator {
    Generator::new(Device::Cpu, seed).unwrap()
}

/// One step as a run makes it.
fn step(order: &mut BatchOrder, noise: &Generator) -> Vec<i64> {
    let indices = integers(&order.next_indices());
    order.advance();
    if order.end_of_epoch() {
        order.refill(noise).unwrap();
    }
    indices
}

#[test]
fn an_epoch_reads_each_image_once_and_drops_the_short_batch() {
    single_thread();
    let noise = generator(1);
    let mut order = BatchOrder::new(23, 5, &noise).unwrap();
    assert_eq!((order.steps_per_epoch(), order.len(), order.batch()), (4, 23, 5));
    let mut epochs = Vec::new();
    for epoch in 0..3 {
        assert_eq!((order.epoch(), order.position()), (epoch, 0));
        let read: Vec<i64> = (0..4).flat_map(|_| step(&mut order, &noise)).collect();
        let distinct: BTreeSet<_> = read.iter().copied().collect();
        assert_eq!((distinct.len(), distinct.iter().all(|index| (0..23).contains(index))), (20, true));
        epochs.push(read);
    }
    assert!(epochs[0] != epochs[1] && epochs[1] != epochs[2], "each epoch is shuffled anew");
}

#[test]
fn a_batch_as_large_as_the_data_is_an_epoch_and_a_larger_one_is_refused() {
    single_thread();
    let noise = generator(1);
    let mut order = BatchOrder::new(4, 4, &noise).unwrap();
    for _ in 0..3 {
        let mut all = step(&mut order, &noise);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
    }
    for batch in [5, 0, -1] {
        let Err(DataError::Field { field, message }) = BatchOrder::new(4, batch, &noise) else { panic!() };
        assert_eq!(field, "batch_size");
        assert_eq!(message, format!("expected 1 to 4, the number of training images, got {batch}"));
    }
}

/// Three epochs of three steps.
const STEPS: usize = 9;

/// Resumed at every step of two epochs, the rest of the sequence is the one that was never interrupted.
#[test]
fn state_restored_in_place_continues_bit_for_bit() {
    single_thread();
    let noise = generator(3);
    let mut order = BatchOrder::new(10, 3, &noise).unwrap();
    let mut saved = Vec::new();
    let mut sequence = Vec::new();
    for _ in 0..STEPS {
        let tensors: Vec<Tensor> = order.state().iter().map(|(_, tensor)| tensor.copy()).collect();
        saved.push((tensors, noise.state().unwrap()));
        sequence.push(step(&mut order, &noise));
    }
    for (start, (tensors, state)) in saved.iter().enumerate() {
        let noise = generator(99);
        let mut order = BatchOrder::new(10, 3, &noise).unwrap();
        for ((_, mut live), saved) in order.state().into_iter().zip(tensors) {
            live.copy_(saved);
        }
        noise.set_state(state).unwrap();
        order.sync_from_state().unwrap();
        assert_eq!(order.epoch(), start as i64 / 3);
        let rest: Vec<_> = (start..STEPS).map(|_| step(&mut order, &noise)).collect();
        assert_eq!(rest, sequence[start..]);
    }
}

#[test]
fn a_state_that_is_none_is_refused_in_words() {
    single_thread();
    let refusal = |name: &str, value: &Tensor| {
        let mut order = BatchOrder::new(6, 2, &generator(1)).unwrap();
        for (other, mut live) in order.state() {
            if other == name {
                live.copy_(value);
            }
        }
        order.sync_from_state().unwrap_err().to_string()
    };
    let cursor = "data order: expected a cursor that is a multiple of the batch of 2 from 0 to 6, got";
    assert_eq!(refusal("cursor", &Tensor::from(3_i64)), format!("{cursor} 3"));
    assert_eq!(refusal("cursor", &Tensor::from(8_i64)), format!("{cursor} 8"));
    assert_eq!(refusal("cursor", &Tensor::from(-2_i64)), format!("{cursor} -2"));
    assert_eq!(refusal("epochs", &Tensor::from(-1_i64)), "data order: expected a number of epochs ≥ 0, got -1");
    let twice = Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 4]);
    assert_eq!(refusal("order", &twice), "data order: expected a permutation of 0 to 5");
}

/// What a captured step would replay: the same operators, nothing that waits, and the same tensors throughout.
#[test]
fn a_step_runs_the_same_operators_and_refilling_keeps_the_tensors() {
    single_thread();
    let noise = generator(1);
    let mut order = BatchOrder::new(6, 2, &noise).unwrap();
    let address = |order: &BatchOrder| order.state().iter().map(|(_, tensor)| tensor.data_ptr()).collect::<Vec<_>>();
    let before = address(&order);
    let mut records = Vec::new();
    for _ in 0..7 {
        records.push(record(|| order.next_indices()).unwrap().1);
        order.advance();
        if order.end_of_epoch() {
            order.refill(&noise).unwrap();
        }
    }
    assert!(records.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(!records[0].is_empty() && !records[0].iter().any(elbo_native::recorder::Operator::synchronises));
    assert_eq!(address(&order), before);
}

/// Each image is equally likely in each place: 2000 first batches of 1 among 4 images, counts within five standard deviations (√(2000 · 3/16) = 19).
#[test]
fn orders_are_uniform() {
    single_thread();
    let noise = generator(8);
    let mut order = BatchOrder::new(4, 1, &noise).unwrap();
    let mut counts = [0_i32; 4];
    for _ in 0..2000 {
        counts[integers(&order.next_indices())[0] as usize] += 1;
        order.refill(&noise).unwrap();
    }
    assert!(counts.iter().all(|count| (count - 500).abs() < 97), "{counts:?}");
}
