//! Every reader on damaged files: cut short at every byte, every bit turned, and random bytes. An error or sound data, never a panic.

use std::fs;
use std::path::Path;

use elbo_data::{DataConfig, Source};
use elbo_native::testing::single_thread;
use image::{Rgb, RgbImage};
use proptest::prelude::*;

use crate::setting::{OneFile, all, at, gzipped, idx, load, npy, npz, values};

/// What a format promises about a turned bit.
#[derive(Clone, Copy, PartialEq)]
enum Protection {
    /// A checksum covers the images: either an error, or the same images.
    Checksum,
    /// None: other values, if the file is still sound.
    None,
}

/// Loads `content` at `path` and returns the images, if it is data.
fn images(config: &DataConfig, path: &Path, content: &[u8]) -> Option<Vec<f32>> {
    fs::write(path, content).unwrap();
    match load(config) {
        Ok(data) => {
            let values = values(&all(&data.train));
            assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
            Some(values)
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
            None
        }
    }
}

fn damage(config: &DataConfig, path: &Path, sound: &[u8], protection: Protection) {
    single_thread();
    let expected = images(config, path, sound).expect("the undamaged file is sound");
    for length in 0..sound.len() {
        let cut = images(config, path, &sound[..length]);
        assert!(cut.is_none(), "cut to {length} of {} bytes and still read", sound.len());
    }
    let mut turned = sound.to_vec();
    for bit in 0..8 * sound.len() {
        turned[bit / 8] ^= 1 << (bit % 8);
        let found = images(config, path, &turned);
        if protection == Protection::Checksum && found.is_some() {
            assert_eq!(found.as_ref(), Some(&expected), "bit {bit} changed the images unnoticed");
        }
        turned[bit / 8] ^= 1 << (bit % 8);
    }
    let mut longer = sound.to_vec();
    longer.extend([0; 7]);
    images(config, path, &longer);
}

#[test]
fn damaged_idx_files() {
    let sound = idx(&[3, 2, 4], &(0..24).collect::<Vec<u8>>());
    let file = OneFile::new("images", &sound);
    damage(&at(Source::Idx, &file.path), &file.path, &sound, Protection::None);
}

#[test]
fn damaged_gzipped_idx_files() {
    let sound = gzipped(&idx(&[3, 2, 4], &(0..24).collect::<Vec<u8>>()));
    let file = OneFile::new("images", &sound);
    damage(&at(Source::Idx, &file.path), &file.path, &sound, Protection::Checksum);
}

#[test]
fn damaged_labels() {
    let folder = tempfile::tempdir().unwrap();
    let (path, labels) = (folder.path().join("images"), folder.path().join("labels"));
    fs::write(&path, idx(&[3, 1, 1], &[1, 2, 3])).unwrap();
    let config = DataConfig { labels: Some(labels.clone()), ..at(Source::Idx, &path) };
    for sound in [idx(&[3], &[4, 5, 6]), gzipped(&idx(&[3], &[4, 5, 6]))] {
        damage(&config, &labels, &sound, Protection::Checksum);
    }
}

/// A turned bit in the name of an array, or in their number, must not make a data set without its factors or labels: in the directory of
/// the archive, which no checksum covers, as little as elsewhere.
#[test]
fn a_damaged_npz_is_refused_or_has_all_that_it_had() {
    single_thread();
    let arrays = [
        ("imgs", npy("|u1", "(4, 1, 2)", &[1, 2, 3, 4, 5, 6, 7, 8])),
        ("factors", npy("|u1", "(4, 2)", &[0, 0, 0, 1, 1, 0, 1, 1])),
        ("factor_names", npy("<U1", "(2,)", &[97, 0, 0, 0, 98, 0, 0, 0])),
        ("factor_values", npy("<f4", "(4, 2)", &[0, 0, 128, 63].repeat(8))),
        ("labels", npy("|u1", "(4,)", &[3, 1, 2, 0])),
    ];
    let sound = npz(&arrays, true);
    let file = OneFile::new("sound.npz", &sound);
    let everything = || {
        let data = load(&at(Source::Npz, &file.path)).ok()?.train;
        let labels = data.labels.as_ref().map(values);
        let factors = data
            .factors
            .as_ref()
            .map(|factors| (factors.names.clone(), values(&factors.classes), values(&factors.values)));
        let images = values(&all(&data));
        Some((images, factors, labels))
    };
    let expected = everything().expect("the undamaged file is sound");
    assert!(expected.1.is_some() && expected.2.is_some());
    let mut turned = sound.clone();
    // Two bits of every byte.
    for bit in (0..sound.len()).flat_map(|byte| [8 * byte + byte % 8, 8 * byte + (byte + 3) % 8]) {
        turned[bit / 8] ^= 1 << (bit % 8);
        fs::write(&file.path, &turned).unwrap();
        let found = everything();
        assert!(found.is_none_or(|found| found == expected), "bit {bit} changed the data unnoticed");
        turned[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn damaged_npz_files() {
    let arrays = [
        ("imgs", npy("|u1", "(4, 2, 3)", &(0..24).collect::<Vec<u8>>())),
        ("latents_classes", npy("|u1", "(4, 2)", &[0, 0, 0, 1, 1, 0, 1, 1])),
        ("latents_names", npy("<U1", "(2,)", &[97, 0, 0, 0, 98, 0, 0, 0])),
    ];
    for compressed in [false, true] {
        let sound = npz(&arrays, compressed);
        let file = OneFile::new("some.npz", &sound);
        damage(&at(Source::Npz, &file.path), &file.path, &sound, Protection::Checksum);
    }
}

#[test]
fn damaged_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let picture = RgbImage::from_fn(6, 5, |x, y| Rgb([40 * x as u8, 50 * y as u8, 99]));
    let config = DataConfig { image_size: Some(5), ..at(Source::Images, folder.path()) };
    let png = folder.path().join("a.png");
    picture.save(&png).unwrap();
    damage_picture(&config, &png);
    fs::remove_file(png).unwrap();
    let jpeg = folder.path().join("a.jpg");
    picture.save(&jpeg).unwrap();
    damage_picture(&config, &jpeg);
}

/// As `damage`, but decoders forgive a missing end.
fn damage_picture(config: &DataConfig, path: &Path) {
    single_thread();
    let sound = fs::read(path).unwrap();
    assert!(images(config, path, &sound).is_some());
    for length in 0..sound.len() {
        images(config, path, &sound[..length]);
    }
    for bit in 0..8 * sound.len() {
        let mut turned = sound.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        images(config, path, &turned);
    }
}

#[test]
fn damaged_tables() {
    let folder = tempfile::tempdir().unwrap();
    let (path, table) = (folder.path().join("images"), folder.path().join("table"));
    fs::write(&path, idx(&[3, 1, 1], &[1, 2, 3])).unwrap();
    let config = DataConfig { attributes: Some(table.clone()), ..at(Source::Idx, &path) };
    single_thread();
    for sound in ["index,hat,who\n0,1,a\n1,-1,b\n2,0,\"c\"\n", "3\nhat smile\na 1 -1\nb -1 1\nc 1 1\n"] {
        let sound = sound.as_bytes();
        assert!(images(&config, &table, sound).is_some());
        for bit in 0..8 * sound.len() {
            let mut turned = sound.to_vec();
            turned[bit / 8] ^= 1 << (bit % 8);
            images(&config, &table, &turned);
            images(&config, &table, &turned[..bit / 8]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random bytes behind each format's beginning reach deeper than random bytes alone.
    #[test]
    fn random_bytes_are_an_error_or_data(
        format in 0..5_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        single_thread();
        let (source, start): (Source, &[u8]) = [
            (Source::Idx, &b"\x00\x00\x08\x03\x00\x00\x00"[..]),
            (Source::Idx, b"\x1f\x8b\x08\x00"),
            (Source::Npz, b"PK\x03\x04"),
            (Source::Npz, b""),
            (Source::Idx, b""),
        ][format];
        let file = OneFile::new("random", &[]);
        images(&at(source, &file.path), &file.path, &[start, &bytes].concat());
    }

    /// Random headers in a sound archive.
    #[test]
    fn random_npy_headers_are_an_error_or_data(
        header in "[ '{}(),:0-9a-z<>|_]{0,40}",
        descr in "[<>|=]?[buifcSUVO][0-9]{0,3}",
        sizes in prop::collection::vec(any::<u64>(), 0..5),
        whole in any::<bool>(),
    ) {
        single_thread();
        let text = if whole { header } else { format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {sizes:?}}}").replace('[', "(").replace(']', ")") };
        let mut array = b"\x93NUMPY\x01\x00".to_vec();
        array.extend((text.len() as u16).to_le_bytes());
        array.extend(text.bytes());
        array.extend([1; 16]);
        let content = npz(&[("imgs", array)], true);
        let file = OneFile::new("random.npz", &content);
        images(&at(Source::Npz, &file.path), &file.path, &content);
    }

    /// Several bytes of a sound archive overwritten.
    #[test]
    fn overwritten_archives_are_an_error_or_data(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        compressed in any::<bool>(),
    ) {
        single_thread();
        let mut content = npz(&[("imgs", npy("<f4", "(2, 1, 2)", &[0; 16])), ("factors", npy("<i2", "(2, 2)", &[7; 8]))], compressed);
        for (place, value) in changes {
            let place = place.index(content.len());
            content[place] = value;
        }
        let file = OneFile::new("some.npz", &content);
        images(&at(Source::Npz, &file.path), &file.path, &content);
    }
}
