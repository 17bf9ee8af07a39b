//! `.npz` files, `NumPy`'s own and those made here.

use std::path::{Path, PathBuf};

use elbo_data::{DataConfig, ImageShape, Source};
use elbo_native::testing::single_thread;

use crate::setting::{OneFile, all, at, integers, load, npy, npz, values};

/// Element type, sizes and data of an array, size and values of the batch.
type ArrayCase = (&'static str, &'static str, Vec<u8>, [i64; 4], &'static [f32]);

/// Named arrays, and what the refusal says.
type RefusalCase = (Vec<(&'static str, Vec<u8>)>, &'static str);

fn refusal(config: &DataConfig) -> String {
    load(config).unwrap_err().to_string()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn floats(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn what_numpy_stores_is_read_with_factors() {
    single_thread();
    let data = load(&at(Source::Npz, &fixture("numpy_stored.npz"))).unwrap().train;
    assert_eq!(data.name, "numpy_stored");
    assert!(data.images.is_binary());
    let expected = (0..6).flat_map(|image| (0..20).map(move |at| f32::from(u8::from(at <= image))));
    assert_eq!(values(&all(&data)), expected.collect::<Vec<_>>());
    let factors = data.factors.unwrap();
    // `color` has one level and is left out; `posX` is what the rendered sprites call position_x.
    assert_eq!(
        (factors.names.as_slice(), factors.sizes.as_slice()),
        (["shape", "position_x"].map(String::from).as_slice(), [2, 3].as_slice())
    );
    assert_eq!(integers(&factors.classes), [0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2]);
    assert_eq!(values(&factors.values)[..4], [1.0, 1.0, 1.0, 1.5]);
    assert!(factors.is_full_grid());
}

#[test]
fn what_numpy_compresses_is_read_with_labels_and_attributes() {
    single_thread();
    let data = load(&at(Source::Npz, &fixture("numpy_compressed.npz"))).unwrap().train;
    assert_eq!(data.images.shape(), ImageShape { channels: 3, height: 4, width: 5 });
    assert_eq!(values(&(all(&data) * 255.0).round()), (0..120_u8).map(f32::from).collect::<Vec<_>>());
    assert_eq!(integers(&data.labels.unwrap()), [3, -1]);
    let attributes = data.attributes.unwrap();
    assert_eq!(attributes.names, ["smiling", "hat"]);
    assert_eq!(integers(&attributes.values), [1, 0, 0, 1]);
}

#[test]
fn images_of_every_kind_and_layout() {
    single_thread();
    let cases: [ArrayCase; 7] = [
        ("|u1", "(2, 1, 2)", vec![0, 255, 51, 102], [2, 1, 1, 2], &[0.0, 1.0, 0.2, 0.4]),
        ("|b1", "(2, 1, 2)", vec![0, 1, 1, 0], [2, 1, 1, 2], &[0.0, 1.0, 1.0, 0.0]),
        ("<i8", "(1, 1, 2)", [1_i64.to_le_bytes(), 0_i64.to_le_bytes()].concat(), [1, 1, 1, 2], &[1.0, 0.0]),
        (">u2", "(1, 1, 2)", vec![0, 255, 0, 51], [1, 1, 1, 2], &[1.0, 0.2]),
        ("<f8", "(1, 1, 2)", floats(&[0.2, 1.0]), [1, 1, 1, 2], &[0.2, 1.0]),
        ("|u1", "(1, 3, 1, 2)", vec![0, 51, 102, 153, 204, 255], [1, 3, 1, 2], &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ("|u1", "(1, 1, 2, 3)", vec![0, 51, 102, 153, 204, 255], [1, 1, 2, 3], &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ];
    for (dtype, shape, data, size, expected) in cases {
        for compressed in [false, true] {
            let file = OneFile::new("made.npz", &npz(&[("images", npy(dtype, shape, &data))], compressed));
            let data = load(&at(Source::Npz, &file.path)).unwrap().train;
            let x = all(&data);
            assert_eq!(x.size(), size, "{dtype} {shape}");
            let close = values(&x).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
            assert!(close, "{dtype} {shape}: {:?}", values(&x));
        }
    }
    let last = OneFile::new("made.npz", &npz(&[("images", npy("|u1", "(1, 1, 2, 3)", &[1, 2, 3, 4, 5, 6]))], true));
    let data = load(&at(Source::Npz, &last.path)).unwrap().train;
    assert_eq!(data.images.shape(), ImageShape { channels: 1, height: 2, width: 3 }, "channels first where both fit");
}

#[test]
fn keras_archives_bring_their_own_test_split() {
    single_thread();
    let arrays = [
        ("x_train", npy("|u1", "(2, 1, 2)", &[1, 2, 3, 4])),
        ("y_train", npy("|u1", "(2,)", &[8, 9])),
        ("x_test", npy("|u1", "(1, 1, 2)", &[5, 6])),
        ("y_test", npy("|u1", "(1,)", &[7])),
    ];
    let file = OneFile::new("mnist.npz", &npz(&arrays, true));
    let data = load(&at(Source::Npz, &file.path)).unwrap();
    let test = data.test.unwrap();
    assert_eq!((data.train.len(), test.len()), (2, 1));
    assert_eq!(integers(&data.train.labels.unwrap()), [8, 9]);
    assert_eq!(integers(&test.labels.unwrap()), [7]);
}

#[test]
fn an_array_can_be_named() {
    single_thread();
    let arrays = [("imgs", npy("|u1", "(1, 1, 1)", &[9])), ("faces", npy("|u1", "(2, 1, 1)", &[3, 4]))];
    let file = OneFile::new("two.npz", &npz(&arrays, false));
    let named = |name: &str| DataConfig { array: Some(name.to_owned()), ..at(Source::Npz, &file.path) };
    assert_eq!(load(&named("faces")).unwrap().train.len(), 2);
    assert_eq!(load(&at(Source::Npz, &file.path)).unwrap().train.len(), 1);
    let message = format!("array: expected an array hands in {}, which has: faces, imgs", file.path.display());
    assert_eq!(refusal(&named("hands")), message);
    file.replace(&npz(&[("other", npy("|u1", "(1, 1, 1)", &[9]))], false));
    assert!(
        refusal(&at(Source::Npz, &file.path))
            .starts_with("array: expected an array imgs, images, x_train, x, data or arr_0 in")
    );
}

#[test]
fn arrays_that_are_not_what_they_should_be_are_refused_in_words() {
    single_thread();
    let image = || ("imgs", npy("|u1", "(2, 1, 1)", &[0, 1]));
    let cases: Vec<RefusalCase> = vec![
        (vec![("imgs", npy("|u1", "(4,)", &[0; 4]))], "imgs: expected images [N, H, W], [N, C, H, W] or [N, H, W, C]"),
        (vec![("imgs", npy("|u1", "(0, 2, 2)", &[]))], "imgs: expected images [N, H, W]"),
        (
            vec![("imgs", npy("<f8", "(1, 1, 2)", &floats(&[0.5, 1.5])))],
            "imgs: expected values from 0 to 1, got 1.5 in image 0",
        ),
        (
            vec![("imgs", npy("<f8", "(1, 1, 1)", &floats(&[f64::NAN])))],
            "imgs: expected values from 0 to 1, got NaN in image 0",
        ),
        (vec![("imgs", npy("|i1", "(2, 1, 1)", &[0, 0xff]))], "imgs: expected values from 0 to 255, got -1 in image 1"),
        (vec![("imgs", npy("<U1", "(1, 1, 1)", &[65, 0, 0, 0]))], "imgs: expected numbers, got text"),
        (
            vec![("imgs", npy("|O", "(1, 1, 1)", &[0; 8]))],
            "imgs: expected an array of integers, booleans, floats or text, got dtype '|O'",
        ),
        (
            vec![("imgs", npy("|u1", "(9999999999, 64, 64)", &[0; 8]))],
            "bytes of the array, got sizes [9999999999, 64, 64] of 1 bytes each",
        ),
        (
            vec![("imgs", npy("<f8", "(4294967296, 4294967296, 2)", &[0; 8]))],
            "got sizes [4294967296, 4294967296, 2] of 8 bytes each",
        ),
        (vec![("imgs", npy("|u1", "(1, 1, 1)", &[0; 2]))], "got sizes [1, 1, 1] of 1 bytes each"),
        (
            vec![image(), ("latents_classes", npy("|u1", "(3, 2)", &[0; 6]))],
            "latents_classes: expected [2] or [2, K], got [3, 2]",
        ),
        (
            vec![image(), ("factors", npy("<f8", "(2,)", &floats(&[0.0, 1.0])))],
            "factors: expected whole numbers in row 0",
        ),
        (vec![image(), ("factors", npy("|u1", "(2, 0)", &[]))], "factors: expected [2] or [2, K], got [2, 0]"),
        (
            vec![
                image(),
                ("factors", npy("|u1", "(2, 2)", &[0, 1, 2, 3])),
                ("factor_values", npy("<f8", "(2,)", &floats(&[0.0, 1.0]))),
            ],
            "factor_values: expected 2 columns, one for each factor, got 1",
        ),
        (
            vec![image(), ("factors", npy("|u1", "(2, 2)", &[0, 1, 2, 3])), ("factor_names", npy("|S1", "(1,)", b"a"))],
            "factor_names: expected [2] or [2, K], got [1]",
        ),
        (vec![image(), ("labels", npy("|u1", "(2, 2)", &[0; 4]))], "labels: expected labels [2], got 2 columns"),
        (vec![image(), ("attributes", npy("|u1", "(2, 1)", &[0, 2]))], "attributes: expected 0, 1 or -1, got 2"),
    ];
    for (arrays, expected) in cases {
        for compressed in [false, true] {
            let file = OneFile::new("bad.npz", &npz(&arrays, compressed));
            let message = refusal(&at(Source::Npz, &file.path));
            assert!(message.starts_with(&format!("{}: ", file.path.display())), "{message}");
            assert!(message.contains(expected), "{message}\nshould contain: {expected}");
            assert!(!message.contains('\n'), "{message}");
        }
    }
}

/// A bomb: 64 MB of zeros in 64 KB are fine where the header says so, a claim beyond what deflate can hold is not, and a
/// directory that claims 2⁴⁰ entries is refused before room is made for them.
#[test]
fn sizes_are_believed_only_as_far_as_the_file_can_hold_them() {
    single_thread();
    let zeros = vec![0; 1 << 26];
    let bytes = npz(&[("imgs", npy("|u1", "(16384, 64, 64)", &zeros))], true);
    let file = OneFile::new("zeros.npz", &bytes);
    assert_eq!(load(&at(Source::Npz, &file.path)).unwrap().train.len(), 16384);
    // Sizes in the central directory: compressed at +20, uncompressed at +24 of the entry.
    let directory = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let mut lying = bytes.clone();
    lying[directory + 20..directory + 24].copy_from_slice(&1000_u32.to_le_bytes());
    file.replace(&lying);
    let message = refusal(&at(Source::Npz, &file.path));
    assert!(message.contains("expected a size that 1000 compressed bytes can hold, got 67108"), "{message}");

    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06").unwrap();
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44_u64.to_le_bytes());
    record.extend([0; 12]);
    for number in [1_u64 << 40, 1 << 40, 56, directory as u64] {
        record.extend(number.to_le_bytes());
    }
    let mut locator = b"PK\x06\x07\0\0\0\0".to_vec();
    locator.extend((end as u64).to_le_bytes());
    locator.extend(1_u32.to_le_bytes());
    let mut lying = bytes[..end].to_vec();
    lying.extend(record);
    lying.extend(locator);
    lying.extend(&bytes[end..]);
    file.replace(&lying);
    let message = refusal(&at(Source::Npz, &file.path));
    assert!(message.contains("a directory that is misplaced or claims too many entries"), "{message}");
}
