//! Two ranks, each on a thread of this process: they meet over TCP as two processes would.

use elbo_native::testing::single_thread;
use elbo_native::{ProcessGroup, Store};
use std::thread;
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

const TIMEOUT: Duration = Duration::from_secs(20);
const HOST: &str = "127.0.0.1";

/// Runs `work` on every rank of `size`, and returns what each returned.
fn ranks<T: Send + 'static>(size: i64, timeout: Duration, work: fn(Store, ProcessGroup) -> T) -> Vec<T> {
    single_thread();
    let (server, port) = Store::serve(HOST, 0, "test", TIMEOUT).expect("a store");
    let threads: Vec<_> = (0..size)
        .map(|rank| {
            thread::spawn(move || {
                let store = Store::join(HOST, port, "test", TIMEOUT).expect("a store");
                let group = ProcessGroup::gloo(&store, rank, size, Some("lo"), timeout).expect("a group");
                work(store, group)
            })
        })
        .collect();
    let results = threads.into_iter().map(|thread| thread.join().expect("a rank")).collect();
    drop(server);
    results
}

#[test]
fn ranks_sum_gather_and_take_from_the_first() {
    let results = ranks(3, TIMEOUT, |_store, group| {
        let rank = group.rank() as f64;
        let own = Tensor::from_slice(&[rank, 10.0 * rank]);
        let mut sum = own.copy();
        group.sum_(&mut sum).expect("a sum");
        let mut first = &own + 5.0;
        group.broadcast_(&mut first).expect("rank 0's");
        group.meet().expect("all");
        let all = group.gather(&own.reshape([1, 2]).set_requires_grad(true)).expect("all ranks'");
        assert!(!all.requires_grad());
        let values = |tensor: &Tensor| Vec::<f64>::try_from(tensor.reshape([-1])).expect("values");
        (group.size(), values(&sum), values(&first), all.size(), values(&all))
    });
    for result in results {
        assert_eq!(result, (3, vec![3.0, 30.0], vec![5.0; 2], vec![3, 1, 2], vec![0.0, 0.0, 1.0, 10.0, 2.0, 20.0]));
    }
}

#[test]
fn what_is_no_floats_travels_too() {
    for (rank, gathered) in ranks(2, TIMEOUT, |_store, group| {
        let bytes = Tensor::from_slice(&[group.rank() as u8, 7]);
        let mut steps = Tensor::full([], group.rank() + 40, (Kind::Int64, Device::Cpu));
        group.broadcast_(&mut steps).expect("rank 0's");
        assert_eq!(steps.int64_value(&[]), 40);
        (group.rank(), Vec::<u8>::try_from(group.gather(&bytes).expect("bytes").reshape([-1])).expect("values"))
    })
    .into_iter()
    .enumerate()
    .map(|(index, (rank, gathered))| (rank == index as i64, gathered))
    {
        assert!(rank);
        assert_eq!(gathered, [0, 7, 1, 7]);
    }
}

#[test]
fn the_store_keeps_bytes_and_waits_for_them() {
    single_thread();
    let (store, port) = Store::serve(HOST, 0, "run/1", TIMEOUT).expect("a store");
    assert!(!store.has("config").expect("an answer"));
    let waiting = thread::spawn(move || {
        let other = Store::join(HOST, port, "run/1", TIMEOUT).expect("a store");
        other.get("config", TIMEOUT).expect("a value")
    });
    thread::sleep(Duration::from_millis(50));
    store.set("config", &[0, 1, 255]).expect("set");
    assert_eq!(waiting.join().expect("a thread"), [0, 1, 255]);
    assert!(store.has("config").expect("an answer"));
    // Another prefix is another table.
    let elsewhere = Store::join(HOST, port, "run/2", TIMEOUT).expect("a store");
    assert!(!elsewhere.has("config").expect("an answer"));
    assert!(elsewhere.get("config", Duration::from_millis(50)).is_err());
}

#[test]
fn a_rank_that_is_gone_or_late_ends_the_others_wait() {
    let gone = ranks(2, TIMEOUT, |_store, group| {
        if group.rank() == 1 {
            return None;
        }
        let started = Instant::now();
        let error = group.meet().expect_err("the other is gone");
        assert!(started.elapsed() < TIMEOUT / 2, "it took {:?}", started.elapsed());
        Some(error.to_string())
    });
    assert!(gone[0].as_ref().is_some_and(|message| !message.is_empty()), "{gone:?}");
    let late = ranks(2, Duration::from_millis(300), |_store, group| {
        if group.rank() == 1 {
            thread::sleep(Duration::from_secs(2));
            return None;
        }
        Some(group.meet().expect_err("the other is late").to_string())
    });
    assert!(late[0].is_some(), "{late:?}");
}

#[test]
fn what_cannot_work_is_an_error_in_one_line() {
    single_thread();
    let (_server, port) = Store::serve(HOST, 0, "test", TIMEOUT).expect("a store");
    let taken = Store::serve(HOST, port, "test", TIMEOUT).expect_err("the port is taken").to_string();
    assert!(!taken.contains('\n') && taken.contains("in use"), "{taken}");
    let nobody = Store::join(HOST, 1, "test", Duration::from_millis(200)).expect_err("nobody is there").to_string();
    assert!(!nobody.contains('\n'), "{nobody}");
    assert!(Store::serve("no\0host", 0, "test", TIMEOUT).is_err());
}
