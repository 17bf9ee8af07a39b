//! Every reader of bytes from anywhere, on the seeds of the fuzz targets and on what chance makes of them.
//!
//! `make fuzz` runs the same functions for as long as one likes, guided by what the inputs reach; this needs neither that nor another compiler.

use elbo_experiments::sweep::Sweep;
use elbo_tests::readers::{ALL, mutation::mutated, seeds};
use fastrand::Rng;
use peak_alloc::PeakAlloc;
use serde_json::json;
use std::fs;
use std::panic::catch_unwind;
use std::time::Instant;

/// Counts the memory that `readers::meter` holds against the input's size.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The seeds of a reader, in the order of their names.
fn stored(reader: &str) -> Vec<(String, Vec<u8>)> {
    let folder = seeds::folder().join(reader);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let name = |path: &std::path::Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).expect("bytes"))).collect()
}

/// One test, not one for each reader: the memory that is counted is the process's.
#[test]
fn no_bytes_make_a_reader_panic_hang_or_take_more_memory_than_they_may() {
    elbo_native::testing::single_thread();
    let mut failures = Vec::new();
    for reader in ALL {
        let started = Instant::now();
        let seeds = stored(reader.name);
        let bytes: Vec<Vec<u8>> = seeds.iter().map(|(_, bytes)| bytes.clone()).collect();
        for (name, bytes) in &seeds {
            if catch_unwind(|| (reader.check)(bytes)).is_err() {
                failures.push(format!("{}/{name}", reader.name));
            }
        }
        let mut random = Rng::with_seed(7);
        for number in 0..reader.iterations {
            let input = mutated(&bytes, &mut random);
            if catch_unwind(|| (reader.check)(&input)).is_err() {
                let path = std::env::temp_dir().join(format!("elbo-{}-{number}", reader.name));
                fs::write(&path, &input).expect("a file");
                failures.push(format!("{} on mutation {number}: {}", reader.name, path.display()));
                break;
            }
        }
        eprintln!("{}: {} inputs in {:.1?}", reader.name, seeds.len() as u32 + reader.iterations, started.elapsed());
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The counting would be worth nothing without its allocator.
#[test]
fn memory_is_counted() {
    let kept = vec![1_u8; 64 << 20];
    assert!(PeakAlloc.current_usage() >= kept.len());
}

/// The refusal of a grid over an empty configuration.
fn refused(grid: &serde_json::Value) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grid.json");
    fs::write(&path, json!({ "name": "x", "base": {}, "grids": [grid] }).to_string()).expect("written");
    Sweep::read(&path).expect_err("a refusal").to_string()
}

/// A grid of a few bytes can ask for more than there is: a span that overflows, a product with rows beside it, long values many times over.
#[test]
fn a_grid_that_asks_for_too_much_is_refused_before_it_is_made() {
    let line = refused(&json!({ "product": { "seed": { "from": i64::MIN, "to": i64::MAX } } }));
    assert!(line.contains("product.seed: expected from ≤ to, step ≥ 1 and at most 100000 values"), "{line}");
    let range = json!({ "from": 1, "to": 50_000 });
    let line = refused(&json!({ "product": { "seed": range }, "zip": { "a": range } }));
    assert!(line.ends_with("grids[0].zip.a: expected at most 100000 members, got more"), "{line}");
    let line = refused(&json!({ "product": { "a": ["x".repeat(100_000)], "seed": range } }));
    assert!(line.contains("grids[0].product.seed: expected at most 268435456 bytes of configurations"), "{line}");
    let line = refused(&json!({ "set": { (format!("{}z", "a.".repeat(10_000))): 1 } }));
    assert!(line.ends_with("expected a path of at most 32 parts, got 10001"), "{line}");
}

/// A seed that is too large slows every run of every target.
#[test]
fn the_seeds_are_small_and_every_reader_has_some() {
    for reader in ALL {
        let seeds = stored(reader.name);
        assert!(seeds.len() >= 2 || reader.name == "codes", "{}", reader.name);
        for (name, bytes) in seeds {
            assert!(bytes.len() <= 8 << 10, "{}/{name} has {} bytes", reader.name, bytes.len());
        }
    }
}
