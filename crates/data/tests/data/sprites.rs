//! The renderer against the published data set.

use std::fs;
use std::path::Path;

use elbo_data::sprites::{self, COUNT, Grid, IMAGE_BYTES, SHA256, Subset};
use elbo_data::{DataConfig, DataError, Source};
use elbo_native::testing::single_thread;
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use crate::setting::{all, at, integers, load, shared, values};

fn subset(json: &str) -> Subset {
    serde_json::from_str(json).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The one published number that covers every pixel of the 737 280 images.
#[test]
fn the_full_grid_has_the_published_sha256() {
    let packed = Grid::full().render().unwrap();
    assert_eq!(packed.len(), 377_487_360);
    assert_eq!(hex(&packed), SHA256);
}

/// Holds packed images, listed in a table whose columns `index`, … place them in the grid, against the rendered ones.
fn compare(bits: &Path, table: &Path, columns: [&str; 5]) -> usize {
    let bits = fs::read(bits).unwrap();
    let mut table = csv::Reader::from_path(table).unwrap();
    let header = table.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|other| other == name).unwrap();
    let (index, places) = (column("index"), columns.map(column));
    let mut count = 0;
    for (record, real) in table.records().zip(bits.chunks_exact(IMAGE_BYTES)) {
        let record = record.unwrap();
        let levels = places.map(|place| record[place].parse::<usize>().unwrap());
        let mut one = Subset::default();
        for (name, level) in sprites::FACTORS.iter().zip(levels) {
            one.set(name, level.to_string().parse().unwrap()).unwrap();
        }
        assert_eq!(one.grid().unwrap().render().unwrap(), real, "{levels:?}");
        assert_eq!(Grid::full().levels_of(record[index].parse().unwrap()), levels);
        count += 1;
    }
    assert_eq!(count * IMAGE_BYTES, bits.len(), "as many rows as images");
    count
}

#[test]
fn twelve_real_images_are_rendered_bit_for_bit() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let (bits, table) = (fixtures.join("real_sprites.bits"), fixtures.join("real_sprites.csv"));
    assert_eq!(compare(&bits, &table, sprites::FACTORS), 12);
}

#[test]
fn all_401_real_images_are_rendered_bit_for_bit_where_present() {
    let (Some(bits), Some(table)) = (shared("dsprites/real_images.bits"), shared("dsprites/real_images.csv")) else {
        return;
    };
    assert_eq!(compare(&bits, &table, ["shape", "scale", "orient", "posX", "posY"]), 401);
}

#[test]
fn a_subset_holds_the_images_of_its_levels_in_grid_order() {
    let grid =
        subset(r#"{"shape":"0,2","scale":[1,5],"orientation":"0..40/13","position_x":7,"position_y":"3..32/9"}"#)
            .grid()
            .unwrap();
    assert_eq!(grid.levels()[2], [0, 13, 26, 39]);
    assert_eq!((grid.len(), grid.blocks()), (2 * 2 * 4 * 4, 16));
    let packed = grid.render().unwrap();
    for (index, image) in packed.chunks_exact(IMAGE_BYTES).enumerate() {
        let levels = grid.levels_of(index);
        let mut one = Subset::default();
        for (name, level) in sprites::FACTORS.iter().zip(levels) {
            one.set(name, level.to_string().parse().unwrap()).unwrap();
        }
        assert_eq!(one.grid().unwrap().render().unwrap(), image, "{levels:?}");
    }
    assert!(!grid.is_full() && Grid::full().is_full());
    assert_eq!(Grid::full().len(), COUNT);
}

#[test]
fn a_level_that_is_not_there_is_refused_by_its_field() {
    let refusal = |json| match subset(json).grid() {
        Err(DataError::Field { field, message }) => format!("{field}: {message}"),
        other => panic!("{json}: {other:?}"),
    };
    assert_eq!(refusal(r#"{"shape":"3"}"#), "subset.shape: expected levels from 0 to 2, got 3");
    assert_eq!(refusal(r#"{"position_y":"0..33"}"#), "subset.position_y: expected levels from 0 to 31, got 32");
    let error = Subset::default().set("colour", "0".parse().unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "subset: expected one of shape, scale, orientation, position_x, position_y, got \"colour\""
    );
}

#[test]
fn a_data_set_of_sprites_knows_its_factors_and_finds_images_by_them() {
    single_thread();
    let config = DataConfig {
        subset: Some(subset(r#"{"shape":"2","scale":"0,5","orientation":"0..40/20","position_x":"0..32/31"}"#)),
        ..DataConfig::new(Source::Sprites, 4)
    };
    let data = load(&config).unwrap().train;
    let factors = data.factors.as_ref().unwrap();
    // One shape says nothing, so it is no factor.
    assert_eq!(factors.names, ["scale", "orientation", "position_x", "position_y"]);
    assert_eq!(factors.sizes, [2, 2, 2, 32]);
    assert!(factors.is_full_grid());
    let index = factors.index_of(&[1, 0, 1, 16]).unwrap();
    assert_eq!(integers(&factors.classes.get(index)), [1, 0, 1, 16]);
    assert_eq!(factors.index_of(&[1, 0, 2, 16]), None);
    let expected = [1.0, 0.0, 1.0, 16.0 / 31.0];
    for (value, expected) in values(&factors.values.get(index)).into_iter().zip(expected) {
        assert!((value - expected).abs() < 1e-6, "{value} {expected}");
    }
    // The heart of full size at x = 48, y = 16 + 32 · 16/31 = 32.5: its mass is around there.
    let image = all(&data).get(index).get(0);
    let mass = image.sum(None::<Kind>).double_value(&[]);
    let axis = Tensor::arange(64, (Kind::Float, tch::Device::Cpu)) + 0.5;
    let centre =
        |dim: i64| (image.sum_dim_intlist(dim, false, None) * &axis).sum(None::<Kind>).double_value(&[]) / mass;
    assert!((mass - 224.5).abs() < 10.0, "{mass}");
    assert!((centre(0) - 48.0).abs() < 0.5, "{}", centre(0));
    assert!((centre(1) - 32.5).abs() < 2.5, "{}", centre(1));
}

/// What `numpy.load` gives was looked at once by hand; here the archive is read by the reader of the official one.
#[test]
fn an_archive_reads_back_as_the_same_data() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.npz");
    let part = subset(r#"{"scale":"0,3","orientation":"1..40/9","position_x":"0..3","position_y":"5..32/13"}"#);
    let mut counts = Vec::new();
    let written = sprites::write_archive(&part.grid().unwrap(), &path, &mut |done| counts.push(done)).unwrap();
    assert_eq!((written.images, written.bytes), (3 * 2 * 5 * 3 * 3, path.metadata().unwrap().len()));
    assert_eq!(counts.last(), Some(&written.images));
    assert_eq!(written.sha256, hex(&part.grid().unwrap().render().unwrap()));

    let read = load(&at(Source::Npz, &path)).unwrap().train;
    let rendered = load(&DataConfig { subset: Some(part), ..DataConfig::new(Source::Sprites, 1) }).unwrap().train;
    assert!(read.images.is_binary());
    assert_eq!(all(&read), all(&rendered));
    let (read, rendered) = (read.factors.unwrap(), rendered.factors.unwrap());
    assert_eq!((&read.names, &read.sizes), (&rendered.names, &rendered.sizes));
    assert_eq!((&read.classes, &read.values), (&rendered.classes, &rendered.values));
    assert!(read.is_full_grid());
}

#[test]
fn packed_files_are_the_rendered_bytes_and_failures_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let grid = subset(r#"{"shape":"1","scale":"2","position_x":"0..32/8"}"#).grid().unwrap();
    let path = folder.path().join("part.bits");
    let written = sprites::write_packed(&grid, &path, &mut |_| {}).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes == grid.render().unwrap());
    assert_eq!((written.bytes, written.sha256), (bytes.len() as u64, hex(&bytes)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);

    let missing = folder.path().join("missing").join("part.bits");
    let error = sprites::write_packed(&grid, &missing, &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot be written: ", missing.display())), "{error}");
    for in_the_way in [folder.path(), Path::new("/dev/null"), Path::new("..")] {
        let error = sprites::write_archive(&grid, in_the_way, &mut |_| {}).unwrap_err().to_string();
        assert!(error.ends_with("expected a file or a free name, got a folder or a device"), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside");

    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let one =
        subset(r#"{"shape":"0","scale":"0","orientation":"0","position_x":"0","position_y":"0"}"#).grid().unwrap();
    sprites::write_packed(&one, &link, &mut |_| {}).unwrap();
    assert_eq!(path.metadata().unwrap().len(), IMAGE_BYTES as u64, "the file behind the link is the new one");
    assert!(link.is_symlink());
}
