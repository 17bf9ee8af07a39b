//! Folders of pictures and their cache.

use std::fs;
use std::path::Path;

use elbo_data::{DataConfig, ImageShape, Source};
use elbo_native::testing::single_thread;
use image::{Rgb, RgbImage};
use tch::{Device, Kind};

use crate::setting::{all, at, integers, load, values};

/// A picture whose left half is red and whose right half is blue, with a green frame of `frame` columns.
fn picture(width: u32, height: u32, frame: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| {
        if x < frame || x >= width - frame {
            Rgb([0, 255, 0])
        } else if x < width / 2 {
            Rgb([255, 0, 0])
        } else {
            Rgb([0, 0, 200])
        }
    })
}

fn config(folder: &Path, size: i64) -> DataConfig {
    DataConfig { image_size: Some(size), ..at(Source::Images, folder) }
}

#[test]
fn pictures_are_cropped_to_the_centre_and_resized() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    picture(24, 16, 4).save(folder.path().join("b.png")).unwrap();
    RgbImage::from_pixel(9, 20, Rgb([10, 20, 30])).save(folder.path().join("a.png")).unwrap();
    fs::write(folder.path().join("notes.txt"), "no picture").unwrap();
    let data = load(&config(folder.path(), 8)).unwrap().train;
    assert_eq!(data.images.shape(), ImageShape { channels: 3, height: 8, width: 8 });
    let x = (all(&data) * 255.0).round();
    // In the order of the names: a is one colour throughout.
    for (channel, value) in [10.0, 20.0, 30.0].into_iter().enumerate() {
        assert!(values(&x.get(0).get(channel as i64)).iter().all(|&other| (other - value).abs() <= 1.0));
    }
    // b: the frame is outside the centred square; red left, blue right.
    let b = x.get(1);
    assert!(values(&b.get(1)).iter().all(|&green| green < 1.0));
    assert!(values(&b.get(0).narrow(1, 0, 3)).iter().all(|&red| red > 250.0));
    assert!(values(&b.get(2).narrow(1, 5, 3)).iter().all(|&blue| blue > 195.0));

    let crop = load(&DataConfig { crop: Some(4), ..config(folder.path(), 4) }).unwrap().train;
    assert_eq!(crop.images.shape().width, 4);
    let grey = load(&DataConfig { channels: Some(1), ..config(folder.path(), 8) }).unwrap().train;
    assert_eq!(grey.images.shape().channels, 1);
    let too_large = load(&DataConfig { crop: Some(10), ..config(folder.path(), 4) }).unwrap_err().to_string();
    assert!(
        too_large.ends_with("a.png: expected a picture of 10 pixels a side at least, for the crop, got 9 × 20"),
        "{too_large}"
    );
}

#[test]
fn jpeg_is_read_and_black_and_white_is_recognised() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    RgbImage::from_pixel(16, 16, Rgb([100, 100, 100])).save(folder.path().join("a.JPG")).unwrap();
    let mean = all(&load(&config(folder.path(), 16)).unwrap().train).mean(None::<Kind>).double_value(&[]) * 255.0;
    assert!((mean - 100.0).abs() < 2.0, "{mean}");
    let folder = tempfile::tempdir().unwrap();
    let board = RgbImage::from_fn(8, 8, |x, y| if (x + y) % 2 == 0 { Rgb([255; 3]) } else { Rgb([0; 3]) });
    board.save(folder.path().join("a.png")).unwrap();
    assert!(load(&config(folder.path(), 8)).unwrap().train.images.is_binary());
}

#[test]
fn attributes_are_found_by_the_files_names() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    for (name, grey) in [("000001.png", 1), ("000003.png", 3), ("000002.png", 2)] {
        RgbImage::from_pixel(2, 2, Rgb([grey; 3])).save(folder.path().join(name)).unwrap();
    }
    let table = folder.path().join("list_attr_celeba.txt");
    fs::write(&table, "4\nHat Young\n000002.png 1 -1\n000001.png -1 -1\n000009.png 1 1\n000003.png -1 1\n").unwrap();
    let config = DataConfig { attributes: Some(table.clone()), ..config(folder.path(), 2) };
    let attributes = load(&config).unwrap().train.attributes.unwrap();
    assert_eq!(attributes.names, ["Hat", "Young"]);
    assert_eq!(integers(&attributes.values), [0, 0, 1, 0, 0, 1]);
    fs::write(&table, "file,Hat\n000001.png,1\n000003.png,0\n").unwrap();
    let error = load(&config).unwrap_err().to_string();
    assert!(error.ends_with("list_attr_celeba.txt: expected a row for 000002.png, got none"), "{error}");
}

/// Made once, read back, made anew when a picture, the layout or the cache file itself has changed.
#[test]
fn the_cache_is_kept_keyed_and_rebuilt() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    let cache = folder.path().join("cache");
    fs::create_dir(&pictures).unwrap();
    picture(8, 8, 1).save(pictures.join("a.png")).unwrap();
    let load = |config: &DataConfig, cache: &Path| {
        let mut messages = Vec::new();
        let data = config.load_with(Device::Cpu, Some(cache), &mut |message| messages.push(message.to_owned()));
        (values(&all(&data.unwrap().train)), messages)
    };
    let files = || fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let (first, messages) = load(&config(&pictures, 8), &cache);
    assert!(messages.len() == 1 && messages[0].ends_with("reading pictures 1 to 1 of 1"), "{messages:?}");
    assert_eq!(load(&config(&pictures, 8), &cache), (first.clone(), vec![]));
    assert_eq!(files().len(), 1);

    let path = files().remove(0);
    let sound = fs::read(&path).unwrap();
    let mut damaged = sound.clone();
    damaged[20] ^= 4;
    for (content, reason) in [
        (&damaged[..], "damaged cache: its checksum does not fit"),
        (&sound[..50], "damaged cache: expected 204 bytes, got 50"),
        (&[][..], "damaged cache: expected 204 bytes, got 0"),
    ] {
        fs::write(&path, content).unwrap();
        let (again, messages) = load(&config(&pictures, 8), &cache);
        assert_eq!(again, first);
        assert_eq!(messages[0], format!("warning: {}: {reason}; reading the pictures again", path.display()));
        assert_eq!(fs::read(&path).unwrap(), sound);
    }

    load(&config(&pictures, 4), &cache);
    assert_eq!(files().len(), 2, "another size is another file");
    picture(8, 8, 3).save(pictures.join("a.png")).unwrap();
    picture(8, 8, 3).save(pictures.join("b.png")).unwrap();
    assert_eq!(load(&config(&pictures, 8), &cache).0.len(), 2 * 3 * 64);

    let no_folder = pictures.join("a.png");
    let (_, messages) = load(&config(&pictures, 8), &no_folder);
    assert!(messages.last().unwrap().ends_with("going on without a cache"), "{messages:?}");
}

#[test]
fn folders_without_pictures_and_pictures_that_are_none_are_named() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let error = load(&config(folder.path(), 8)).unwrap_err().to_string();
    assert_eq!(error, format!("{}: expected .png or .jpg pictures in this folder, got none", folder.path().display()));
    for content in [&b""[..], b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"] {
        fs::write(folder.path().join("a.png"), content).unwrap();
        let error = load(&config(folder.path(), 8)).unwrap_err().to_string();
        assert!(error.contains("a.png: expected a sound picture, got: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

/// A header that claims 30 000 × 30 000 pixels in a few bytes.
#[test]
fn a_decompression_bomb_is_refused_by_its_claim() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    picture(8, 8, 1).save(&path).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The header chunk: its name at 12, width and height at 16 and 20, its checksum at 29.
    bytes[16..20].copy_from_slice(&30_000_u32.to_be_bytes());
    bytes[20..24].copy_from_slice(&30_000_u32.to_be_bytes());
    let checksum = crc32fast::hash(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let error = load(&config(folder.path(), 8)).unwrap_err().to_string();
    assert!(error.contains("expected a sound picture") && error.to_lowercase().contains("limit"), "{error}");
}
