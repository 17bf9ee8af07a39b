//! Named arrays: `.npz` archives as data sets and as codes, safetensors as codes.

use super::meter::{Bound, file, within};
use super::one_line;
use elbo_data::{ArrayFile, DataConfig, Source};
use elbo_experiments::codes::{CodeFile, FactorFile, informative};
use std::io::{Cursor, Write};
use std::path::Path;
use tch::Device;
use zip::write::{FileOptions, ZipWriter};

/// What the readers look for in an archive.
const NAMES: [&str; 16] = [
    "imgs",
    "x_train",
    "y_train",
    "x_test",
    "labels",
    "factors",
    "factor_names",
    "factor_values",
    "attributes",
    "attribute_names",
    "codes",
    "mean",
    "log_var",
    "z",
    "own",
    "latents_classes",
];

/// A file that begins as a zip archive does, as it is.
pub fn npz(bytes: &[u8]) {
    if !bytes.starts_with(b"PK") {
        return;
    }
    let path = file("some.npz", bytes);
    read_all(&path, bytes.len());
    read_data(&path, bytes.len());
    read_codes(&path, bytes.len());
}

/// An archive put together from the input, so that its directory and checksums are sound and its arrays are not: for each array a
/// byte that chooses its name, two for its length, and the array.
pub fn assembled(bytes: &[u8]) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut rest = bytes;
    while let Some((&[name, low, high], after)) = rest.split_first_chunk::<3>() {
        let (array, after) = after.split_at(after.len().min(usize::from(u16::from_le_bytes([low, high]))));
        let options = FileOptions::default().compression_method(zip::CompressionMethod::Stored);
        let name = NAMES[usize::from(name) % NAMES.len()];
        zip.start_file(format!("{name}.npy"), options).and_then(|()| Ok(zip.write_all(array)?)).expect("a zip archive");
        rest = after;
    }
    let archive = zip.finish().expect("a zip archive").into_inner();
    let path = file("assembled.npz", &archive);
    read_all(&path, archive.len());
    read_data(&path, archive.len());
    read_codes(&path, archive.len());
}

/// A file that is no zip archive: safetensors, as codes.
pub fn codes(bytes: &[u8]) {
    if bytes.starts_with(b"PK") {
        return;
    }
    let path = file("codes", bytes);
    read_all(&path, bytes.len());
    read_codes(&path, bytes.len());
}

/// Parts of an input of [`assembled`].
pub fn member(name: &str, array: &[u8]) -> Vec<u8> {
    let place = NAMES.iter().position(|other| *other == name).expect("a known name");
    let length = u16::try_from(array.len()).expect("a short array").to_le_bytes();
    [&[place as u8], &length[..], array].concat()
}

/// Every array through every kind of read: the sizes are those of the values.
fn read_all(path: &Path, input: usize) {
    let mut file = match within(Bound::Deflated, input, || ArrayFile::open(path)) {
        Ok(file) => file,
        Err(error) => return one_line(&error),
    };
    for name in file.names() {
        match within(Bound::Deflated, input, || file.numbers(&name)) {
            Ok(array) => {
                assert_eq!(array.shape.iter().product::<i64>(), array.values.len() as i64, "{name}");
                assert_eq!(array.tensor().size(), array.shape, "{name}");
                assert!(array.values.iter().all(|value| value.is_finite()), "{name}");
            }
            Err(error) => one_line(&error),
        }
        match within(Bound::Deflated, input, || file.integers(&name)) {
            Ok(array) => assert_eq!(array.shape.iter().product::<i64>(), array.values.len() as i64, "{name}"),
            Err(error) => one_line(&error),
        }
        match within(Bound::Deflated, input, || file.words(&name, 2)) {
            Ok(words) => assert_eq!(words.len(), 2, "{name}"),
            Err(error) => one_line(&error),
        }
    }
}

fn read_data(path: &Path, input: usize) {
    let config = DataConfig { path: Some(path.to_owned()), ..DataConfig::new(Source::Npz, 1) };
    let splits = match within(Bound::Deflated, input, || config.load_with(Device::Cpu, None, &mut |_| {})) {
        Ok(splits) => splits,
        Err(error) => return one_line(&error),
    };
    let data = splits.train;
    assert_eq!(super::images::values(&data.images).len() as i64, data.len() * data.images.shape().pixels());
    if let Some(labels) = &data.labels {
        assert_eq!(labels.size(), [data.len()]);
    }
    if let Some(attributes) = &data.attributes {
        assert_eq!(attributes.values.size(), [data.images.len(), attributes.names.len() as i64]);
    }
    if let Some(factors) = &data.factors {
        assert_eq!(factors.classes.size(), [data.images.len(), factors.names.len() as i64]);
    }
}

fn read_codes(path: &Path, input: usize) {
    match within(Bound::Deflated, input, || CodeFile::read(path, Device::Cpu)) {
        Ok(codes) => {
            assert_eq!(codes.posterior.mean.size(), codes.posterior.log_var.size());
            assert_eq!(codes.z.size(), [codes.samples(), codes.posterior.mean.size()[1]]);
            assert_eq!(codes.own.size(), [codes.samples()]);
            let rows = codes.posterior.mean.index_select(0, &codes.own);
            assert_eq!(rows.size(), codes.z.size());
        }
        Err(error) => one_line(&error),
    }
    match within(Bound::Deflated, input, || FactorFile::read(path)) {
        Ok(file) => assert_eq!(file.factors.classes.size(), [file.codes.size()[0], file.factors.names.len() as i64]),
        Err(error) => one_line(&error),
    }
    match within(Bound::Deflated, input, || informative(path)) {
        Ok(columns) => assert!(columns.windows(2).all(|pair| pair[0].len() == pair[1].len())),
        Err(error) => one_line(&error),
    }
}
