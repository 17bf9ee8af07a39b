//! How long data take: rendering, loading, and the batch of a step.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use elbo_data::sprites::{Grid, Subset};
use elbo_data::{BatchOrder, DataConfig, Images, Source};
use elbo_native::Generator;
use elbo_native::testing::single_thread;
use tch::{Device, Kind};

/// Images in a batch.
const BATCH: i64 = 64;

fn rendering(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("render");
    group.sample_size(10);
    group.bench_function("all 737280 sprites, verified", |bencher| bencher.iter(|| Grid::full().render().unwrap()));
    let hearts = Subset { shape: "2".parse().ok(), scale: "5".parse().ok(), ..Subset::default() }.grid().unwrap();
    group.bench_function("40960 hearts", |bencher| bencher.iter(|| hearts.render().unwrap()));
    let config = DataConfig::new(Source::Sprites, BATCH);
    group.bench_function("load all sprites with their factors", |bencher| {
        bencher.iter(|| config.load_with(Device::Cpu, None, &mut |_| {}).unwrap());
    });
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    single_thread();
    let noise = Generator::new(Device::Cpu, 1).unwrap();
    let pixels = |high: i64| noise.integers(high, &[20_000, 1, 64, 64]).to_kind(Kind::Uint8);
    let grey = || Images::from_bytes(&pixels(256)).unwrap();
    let kinds = [
        ("packed", Images::from_bytes(&pixels(2)).unwrap()),
        ("bytes", grey()),
        ("dynamic", grey().binarized_dynamically()),
    ];
    let mut group = criterion.benchmark_group("gather 64 of 64 x 64");
    for (name, images) in kinds {
        let mut order = BatchOrder::new(images.len(), BATCH, &noise).unwrap();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let indices = order.next_indices();
                order.advance();
                if order.end_of_epoch() {
                    order.refill(&noise).unwrap();
                }
                black_box(images.gather(&indices, &noise))
            });
        });
    }
    group.finish();
}

criterion_group!(data, rendering, batches);
criterion_main!(data);
