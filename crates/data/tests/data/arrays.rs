//! Arrays of other frameworks: `.npz` and safetensors, read alike, refused alike.

use std::collections::BTreeMap;

use elbo_data::ArrayFile;
use safetensors::{Dtype, serialize, tensor::TensorView};

use crate::setting::{OneFile, npy, npz};

fn bytes<const W: usize, T: Copy>(values: &[T], to: impl Fn(T) -> [u8; W]) -> Vec<u8> {
    values.iter().flat_map(|&value| to(value)).collect()
}

fn safetensors(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, kind, shape, data)| (*name, TensorView::new(*kind, shape.to_vec(), data).expect("a tensor")))
        .collect();
    serialize(views, None).expect("bytes")
}

/// The same four arrays in either format.
fn files() -> [OneFile; 2] {
    let (wide, narrow) =
        (bytes(&[0.5, -1.25, 3.0, 4.0, 5.0, 6.0], f64::to_le_bytes), bytes(&[0.1_f32, 2.0], f32::to_le_bytes));
    let (rows, small) = (bytes(&[2_i64, 0], i64::to_le_bytes), vec![7_u8, 255]);
    let zip = npz(
        &[
            ("wide", npy("<f8", "(2, 3)", &wide)),
            ("narrow", npy("<f4", "(2,)", &narrow)),
            ("rows", npy("<i8", "(2,)", &rows)),
            ("small", npy("|u1", "(2, 1)", &small)),
        ],
        true,
    );
    let tensors = safetensors(&[
        ("wide", Dtype::F64, &[2, 3], wide),
        ("narrow", Dtype::F32, &[2], narrow),
        ("rows", Dtype::I64, &[2], rows),
        ("small", Dtype::U8, &[2, 1], small),
    ]);
    [OneFile::new("made.npz", &zip), OneFile::new("made.safetensors", &tensors)]
}

#[test]
fn both_formats_read_alike() {
    for file in files() {
        let mut arrays = ArrayFile::open(&file.path).unwrap();
        assert_eq!(arrays.names(), ["narrow", "rows", "small", "wide"]);
        let wide = arrays.numbers("wide").unwrap();
        assert_eq!((wide.shape, wide.values), (vec![2, 3], vec![0.5, -1.25, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!(arrays.numbers("narrow").unwrap().values, [f64::from(0.1_f32), 2.0]);
        assert_eq!(arrays.integers("rows").unwrap().tensor().size(), [2]);
        assert_eq!(arrays.integers("small").unwrap().values, [7, 255]);
        assert_eq!(arrays.numbers("rows").unwrap().values, [2.0, 0.0]);
    }
}

#[test]
fn what_is_missing_or_of_another_kind_is_named() {
    for file in files() {
        let mut arrays = ArrayFile::open(&file.path).unwrap();
        let path = file.path.display();
        let missing = arrays.numbers("mean").unwrap_err().to_string();
        assert_eq!(missing, format!("{path}: expected an array named mean, got narrow, rows, small, wide"));
        let line = arrays.integers("wide").unwrap_err().to_string();
        assert!(line.starts_with(&format!("{path}: wide: expected ")), "{line}");
    }
}

#[test]
fn numbers_that_are_not_finite_are_named_with_their_place() {
    let values = bytes(&[0.0, 1.0, f64::NAN, 3.0], f64::to_le_bytes);
    let zip = OneFile::new("a.npz", &npz(&[("z", npy("<f8", "(2, 2)", &values))], false));
    let tensors = OneFile::new("a.safetensors", &safetensors(&[("z", Dtype::F64, &[2, 2], values)]));
    for file in [zip, tensors] {
        let line = ArrayFile::open(&file.path).unwrap().numbers("z").unwrap_err().to_string();
        assert_eq!(line, format!("{}: z: expected finite numbers, got NaN at [1, 0]", file.path.display()));
    }
}

/// Every prefix, and every single byte changed, of either format: an error of one line or a readable file, never a panic.
#[test]
fn damage_of_any_byte_is_an_error_or_harmless() {
    for (whole, file) in files().map(|file| (std::fs::read(&file.path).unwrap(), file)) {
        let attempt = |content: &[u8]| {
            file.replace(content);
            let mut names = vec!["wide".to_owned()];
            let outcome = ArrayFile::open(&file.path).and_then(|mut arrays| {
                names.extend(arrays.names());
                names.iter().try_for_each(|name| arrays.numbers(name).and(arrays.integers(name)).map(|_| ()))
            });
            if let Err(error) = &outcome {
                assert_eq!(error.to_string().lines().count(), 1, "{error}");
            }
            outcome.is_ok()
        };
        for length in 0..whole.len() {
            assert!(!attempt(&whole[..length]), "{length} of {} bytes pass for whole", whole.len());
        }
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x55;
            attempt(&damaged);
        }
    }
}
