//! The `data` object of a configuration: what it takes, what it refuses, and in which words.

use elbo_data::{Binarize, DataConfig, DataError, Source};
use elbo_native::testing::single_thread;
use tch::Device;

use crate::setting::{OneFile, at, idx, load};

fn parse(json: &str) -> Result<DataConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn the_smallest_configuration_and_every_field() {
    let smallest = parse(r#"{"source":"sprites","batch_size":64}"#).unwrap();
    assert_eq!(smallest, DataConfig::new(Source::Sprites, 64));
    assert_eq!(serde_json::to_string(&smallest).unwrap(), r#"{"source":"sprites","batch_size":64,"binarize":"none"}"#);
    let json = r#"{"source":"idx","batch_size":8,"path":"a","labels":"b","attributes":"c","image_size":32,"binarize":"dynamic","test_fraction":0.1,"split_seed":7}"#;
    let every = parse(json).unwrap();
    assert_eq!((every.binarize, every.split_seed), (Binarize::Dynamic, Some(7)));
    assert_eq!(serde_json::to_string(&every).unwrap(), json);
    every.check().unwrap();
    let sprites =
        r#"{"source":"sprites","batch_size":8,"binarize":"none","subset":{"shape":"0,2","position_x":"0..32/4"}}"#;
    assert_eq!(serde_json::to_string(&parse(sprites).unwrap()).unwrap(), sprites);
}

#[test]
fn what_cannot_be_typed_is_refused_with_what_was_expected() {
    for (json, expected) in [
        (
            r#"{"source":"x","batch_size":1}"#,
            "expected one of sprites, npz, idx, mnist, fashion-mnist, images, got \"x\"",
        ),
        (r#"{"source":["npz"],"batch_size":1}"#, "expected one of sprites, npz,"),
        (r#"{"source":{"npz":1},"batch_size":1}"#, "expected one of sprites, npz,"),
        (r#"{"source":"npz","batch_size":0}"#, "expected an integer ≥ 1, got 0"),
        (r#"{"source":"npz","batch_size":"8"}"#, "expected an integer ≥ 1, got \"8\""),
        (r#"{"source":"npz","batch_size":1.5}"#, "expected an integer ≥ 1, got 1.5"),
        (r#"{"source":"npz"}"#, "missing field `batch_size`"),
        (r#"{"source":"npz","batch_size":1,"pth":"a"}"#, "unknown field `pth`, expected one of"),
        (r#"{"source":"npz","batch_size":1,"binarize":true}"#, "expected one of none, threshold, dynamic, got true"),
        (
            r#"{"source":"sprites","batch_size":1,"subset":{"colour":"1"}}"#,
            "unknown field `colour`, expected one of `shape`",
        ),
        (
            r#"{"source":"sprites","batch_size":1,"subset":{"shape":"a"}}"#,
            "expected levels such as \"0,3,5\", \"0..32\" or \"0..32/4\", got \"a\"",
        ),
        (r#"{"source":"sprites","batch_size":1,"subset":{"shape":true}}"#, "expected levels such as"),
    ] {
        let message = parse(json).unwrap_err();
        assert!(message.contains(expected), "{json}: {message}");
    }
}

#[test]
fn fields_that_do_not_fit_are_refused_by_name_before_any_file_is_read() {
    for (json, expected) in [
        (r#"{"source":"npz","batch_size":1}"#, "path: expected a path, which source npz needs"),
        (r#"{"source":"idx","batch_size":1}"#, "path: expected a path, which source idx needs"),
        (
            r#"{"source":"images","batch_size":1,"path":"a"}"#,
            "image_size: expected a number of pixels, which source images needs",
        ),
        (
            r#"{"source":"sprites","batch_size":1,"path":"a"}"#,
            "path: is for source npz, idx, mnist, fashion-mnist, images, not for sprites",
        ),
        (r#"{"source":"sprites","batch_size":1,"image_size":32}"#, "image_size: is for source npz,"),
        (r#"{"source":"sprites","batch_size":1,"binarize":"dynamic"}"#, "binarize: is for source npz,"),
        (r#"{"source":"npz","batch_size":1,"path":"a","subset":{}}"#, "subset: is for source sprites, not for npz"),
        (r#"{"source":"npz","batch_size":1,"path":"a","labels":"b"}"#, "labels: is for source idx, not for npz"),
        (r#"{"source":"idx","batch_size":1,"path":"a","array":"b"}"#, "array: is for source npz, not for idx"),
        (r#"{"source":"idx","batch_size":1,"path":"a","crop":9}"#, "crop: is for source images, not for idx"),
        (r#"{"source":"idx","batch_size":1,"path":"a","channels":3}"#, "channels: is for source images, not for idx"),
        (
            r#"{"source":"mnist","batch_size":1,"attributes":"a"}"#,
            "attributes: is for source idx, images, not for mnist",
        ),
        (
            r#"{"source":"mnist","batch_size":1,"image_size":0}"#,
            "image_size: expected an integer ≥ 1 and ≤ 4096, got 0",
        ),
        (
            r#"{"source":"images","batch_size":1,"path":"a","image_size":9999}"#,
            "image_size: expected an integer ≥ 1 and ≤ 4096, got 9999",
        ),
        (
            r#"{"source":"images","batch_size":1,"path":"a","image_size":9,"channels":2}"#,
            "channels: expected 1 (grey) or 3 (colour), got 2",
        ),
        (
            r#"{"source":"mnist","batch_size":1,"split_seed":1}"#,
            "split_seed: is for a split: expected test_fraction beside it",
        ),
        (
            r#"{"source":"mnist","batch_size":1,"test_fraction":1.0}"#,
            "test_fraction: expected a number > 0 and < 1, got 1",
        ),
        (
            r#"{"source":"mnist","batch_size":1,"test_fraction":-0.5}"#,
            "test_fraction: expected a number > 0 and < 1, got -0.5",
        ),
        (
            r#"{"source":"sprites","batch_size":1,"subset":{"scale":"6"}}"#,
            "subset.scale: expected levels from 0 to 5, got 6",
        ),
    ] {
        let config = parse(json).unwrap();
        let error = config.check().unwrap_err();
        assert!(matches!(error, DataError::Field { .. }));
        assert!(error.to_string().starts_with(expected), "{json}: {error}");
        assert_eq!(load(&config).unwrap_err().to_string(), error.to_string());
    }
    let none = DataConfig::new(Source::Sprites, 0);
    assert_eq!(none.check().unwrap_err().to_string(), "batch_size: expected an integer ≥ 1, got 0");
}

#[test]
fn binarisation_is_applied_to_both_splits() {
    single_thread();
    let file = OneFile::new("grey", &idx(&[4, 1, 1], &[10, 100, 150, 250]));
    for (binarize, drawn) in [(Binarize::Threshold, false), (Binarize::Dynamic, true)] {
        let config = DataConfig { binarize, test_fraction: Some(0.25), ..at(Source::Idx, &file.path) };
        let data = load(&config).unwrap();
        for images in [&data.train.images, &data.test.as_ref().unwrap().images] {
            assert_eq!((images.is_binary(), images.is_drawn()), (true, drawn));
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    for source in [Source::Npz, Source::Idx, Source::Images] {
        let config =
            DataConfig { image_size: (source == Source::Images).then_some(8), ..at(source, "no/such/file".as_ref()) };
        let error = config.load(Device::Cpu, &mut |_| {}).unwrap_err();
        assert!(matches!(error, DataError::Read { .. }));
        assert!(error.to_string().starts_with("no/such/file: cannot be read: No such file"), "{error}");
    }
}
