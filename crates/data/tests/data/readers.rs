//! IDX files: what is read, what is refused, and in which words.

use std::fs;
use std::path::Path;

use elbo_data::{DataConfig, DataError, ImageShape, Source};
use elbo_native::testing::single_thread;

use crate::setting::{OneFile, all, at, gzipped, idx, integers, load, shared, values};

fn refusal(config: &DataConfig) -> String {
    load(config).unwrap_err().to_string()
}

#[test]
fn plain_and_gzipped_files_read_alike() {
    single_thread();
    let pixels: Vec<u8> = (0..2 * 3 * 4).map(|value| value * 7).collect();
    let plain = idx(&[2, 3, 4], &pixels);
    for content in [plain.clone(), gzipped(&plain)] {
        let file = OneFile::new("some-idx3-ubyte", &content);
        let data = load(&at(Source::Idx, &file.path)).unwrap();
        assert!(data.test.is_none());
        assert_eq!(data.train.name, "some-idx3-ubyte");
        assert_eq!(data.train.images.shape(), ImageShape { channels: 1, height: 3, width: 4 });
        assert_eq!(values(&all(&data.train)), pixels.iter().map(|&p| f32::from(p) / 255.0).collect::<Vec<_>>());
    }
}

#[test]
fn the_last_dimension_may_hold_colours() {
    single_thread();
    let file = OneFile::new("colour.idx4", &idx(&[1, 2, 1, 3], &[10, 20, 30, 40, 50, 60]));
    let data = load(&at(Source::Idx, &file.path)).unwrap().train;
    assert_eq!(data.images.shape(), ImageShape { channels: 3, height: 2, width: 1 });
    assert_eq!(values(&(all(&data) * 255.0).round()), [10.0, 40.0, 20.0, 50.0, 30.0, 60.0]);
}

#[test]
fn padding_centres_images_in_squares_of_zeros() {
    single_thread();
    let file = OneFile::new("grey", &idx(&[1, 2, 3], &[1, 2, 3, 4, 5, 6]));
    let data = load(&DataConfig { image_size: Some(5), ..at(Source::Idx, &file.path) }).unwrap().train;
    #[rustfmt::skip]
    let expected = [
        0., 0., 0., 0., 0.,
        0., 1., 2., 3., 0.,
        0., 4., 5., 6., 0.,
        0., 0., 0., 0., 0.,
        0., 0., 0., 0., 0.,
    ];
    assert_eq!(values(&(all(&data) * 255.0).round()), expected);
    let small = DataConfig { image_size: Some(2), ..at(Source::Idx, &file.path) };
    let message = "image_size: expected 3 or more, because images of 2 × 3 are padded, never shrunk; got 2";
    assert_eq!(refusal(&small), message);
}

/// White may turn out late: images kept as bits so far become bytes, with the values they had.
#[test]
fn grey_after_many_black_and_white_images_loses_nothing() {
    single_thread();
    for white in [1, 255] {
        let mut pixels = vec![white, 0, white, 0, 0, white, white, 0, 0, 0, 0, white];
        pixels.extend([0, 7, 0, white]);
        let file = OneFile::new("late", &idx(&[4, 2, 2], &pixels));
        let data = load(&at(Source::Idx, &file.path)).unwrap().train;
        assert!(!data.images.is_binary());
        assert_eq!(values(&all(&data)), pixels.iter().map(|&p| f32::from(p) / 255.0).collect::<Vec<_>>());
    }
}

/// A folder as MNIST's: train and t10k, images and labels, one gzipped and one not.
fn mnist_like(folder: &Path) {
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).unwrap();
    write("train-images-idx3-ubyte", &idx(&[3, 2, 2], &[1, 20, 30, 40, 5, 6, 7, 8, 9, 9, 9, 9]));
    write("train-labels-idx1-ubyte.gz", &gzipped(&idx(&[3], &[7, 0, 9])));
    write("t10k-images-idx3-ubyte.gz", &gzipped(&idx(&[1, 2, 2], &[1, 1, 1, 40])));
    write("t10k-labels-idx1-ubyte", &idx(&[1], &[4]));
    write("README", b"not an IDX file");
}

#[test]
fn a_folder_is_sorted_by_its_names() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    mnist_like(folder.path());
    for source in [Source::Idx, Source::Mnist, Source::FashionMnist] {
        let data = load(&at(source, folder.path())).unwrap();
        let test = data.test.unwrap();
        assert_eq!((data.train.len(), test.len()), (3, 1));
        assert_eq!(integers(data.train.labels.as_ref().unwrap()), [7, 0, 9]);
        assert_eq!(integers(test.labels.as_ref().unwrap()), [4]);
        assert_eq!((data.train.split.to_string(), test.split.to_string()), ("train".into(), "test".into()));
        if source != Source::Idx {
            assert_eq!(data.train.name, source.name());
        }
    }
    let split = DataConfig { test_fraction: Some(0.5), ..at(Source::Mnist, folder.path()) };
    assert_eq!(refusal(&split), "test_fraction: is not for mnist, which has a test split of its own");
    let batch = DataConfig { batch_size: 4, ..at(Source::Mnist, folder.path()) };
    assert_eq!(refusal(&batch), "batch_size: expected 1 to 3, the number of training images, got 4");
}

#[test]
fn folders_that_are_not_clear_are_refused_in_words() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let config = at(Source::Idx, folder.path());
    let here = folder.path().display();
    assert_eq!(refusal(&config), format!("{here}: expected a file of images with idx3 in its name, got none"));
    mnist_like(folder.path());
    fs::write(folder.path().join("train-labels-idx1-ubyte.gz"), gzipped(&idx(&[2], &[7, 0]))).unwrap();
    assert!(refusal(&config).ends_with("expected 3 labels, one for each image, got 2"));
    fs::write(folder.path().join("more-train.idx3"), b"").unwrap();
    assert_eq!(
        refusal(&config),
        format!(
            "{here}: expected one file of training images, got more-train.idx3, train-images-idx3-ubyte: name one of them as path"
        )
    );
    let missing = at(Source::Idx, &folder.path().join("nowhere"));
    assert!(matches!(load(&missing), Err(DataError::Read { .. })));
}

#[test]
fn mnist_that_is_not_there_says_how_to_get_it() {
    let missing = DataConfig { path: Some("no/such/folder".into()), ..DataConfig::new(Source::Mnist, 1) };
    let message =
        "path: expected a folder of IDX files, found no no/such/folder: `make fetch-data DATA=mnist` fetches it";
    assert_eq!(refusal(&missing), message);
    let default = refusal(&DataConfig::new(Source::Mnist, 1));
    assert!(default.starts_with("path: expected a folder of IDX files, found no data/mnist: `make"), "{default}");
}

#[test]
fn files_that_are_not_what_they_claim_are_refused_in_words() {
    single_thread();
    let file = OneFile::new("some", b"");
    let here = file.path.display().to_string();
    let says = |content: &[u8], expected: &str| {
        file.replace(content);
        assert_eq!(refusal(&at(Source::Idx, &file.path)), format!("{here}: {expected}"));
    };
    says(b"", "the file ends too early: expected more bytes");
    says(
        b"\x00\x00\x0d\x03....",
        "expected an IDX file of unsigned bytes, which begins 00 00 08 and 1 to 4 dimensions, got [00, 00, 0d, 03]",
    );
    says(&idx(&[2, 2, 2], &[0; 7]), "expected 24 bytes for sizes 2 × 2 × 2, got a file of 23");
    says(&idx(&[2, 2, 2], &[0; 9]), "expected 24 bytes for sizes 2 × 2 × 2, got a file of 25");
    says(&gzipped(&idx(&[2, 2, 2], &[0; 7])), "the file ends too early: expected more bytes");
    says(&gzipped(&idx(&[2, 2, 2], &[0; 9])), "expected the end of the data after sizes 2 × 2 × 2, got more bytes");
    says(&idx(&[0, 2, 2], &[]), "expected data, got sizes 0 × 2 × 2");
    says(&idx(&[5], &[0; 5]), "expected images [N, H, W] or [N, H, W, 1 or 3], got sizes 5");
    says(&idx(&[1, 1, 1, 2], &[0; 2]), "expected images [N, H, W] or [N, H, W, 1 or 3], got sizes 1 × 1 × 1 × 2");
    says(&idx(&[1, 1, 5000], &[0; 5000]), "expected images of 1 to 4096 pixels a side, got 1 × 5000");
    // A claim of 4 GiB in a file of a few bytes, and one of 2^96 bytes.
    let big = gzipped(&idx(&[1 << 20, 64, 64], &[0; 5]));
    says(&big, &format!("expected sizes that {} compressed bytes can hold, got 1048576 × 64 × 64", big.len()));
    let big = gzipped(&idx(&[u32::MAX; 3], &[]));
    let sizes = "4294967295 × 4294967295 × 4294967295";
    says(&big, &format!("expected sizes that {} compressed bytes can hold, got {sizes}", big.len()));
}

#[test]
fn a_split_by_seed_is_disjoint_complete_and_repeatable() {
    single_thread();
    let pixels: Vec<u8> = (0..50).map(|value| value * 5).collect();
    let file = OneFile::new("fifty", &idx(&[50, 1, 1], &pixels));
    let split = |seed| {
        let config = DataConfig { test_fraction: Some(0.3), split_seed: seed, ..at(Source::Idx, &file.path) };
        let data = load(&config).unwrap();
        let of = |data| values(&(all(data) * 51.0).round());
        (of(&data.train), of(data.test.as_ref().unwrap()))
    };
    let (train, test) = split(Some(4));
    assert_eq!((train.len(), test.len()), (35, 15));
    assert!(train.is_sorted() && test.is_sorted(), "both keep the order of the file");
    let mut both = [train.clone(), test.clone()].concat();
    both.sort_by(f32::total_cmp);
    assert_eq!(both, (0..50_i16).map(f32::from).collect::<Vec<_>>());
    assert_eq!(split(Some(4)), (train.clone(), test));
    assert_ne!(split(Some(5)).0, train);
    assert_eq!(split(None), split(Some(0)));

    let all_of_it = DataConfig { test_fraction: Some(0.999), ..at(Source::Idx, &file.path) };
    let message = "test_fraction: expected a share that leaves images to train on, got 0.999 of 50 images";
    assert_eq!(refusal(&all_of_it), message);
}

#[test]
fn mnist_is_read_where_present() {
    let Some(folder) = shared("mnist") else { return };
    single_thread();
    let data = load(&DataConfig { image_size: Some(32), ..at(Source::Mnist, &folder) }).unwrap();
    let test = data.test.unwrap();
    assert_eq!((data.train.len(), test.len()), (60_000, 10_000));
    assert_eq!(data.train.images.shape(), ImageShape { channels: 1, height: 32, width: 32 });
    // The mean of MNIST's training pixels is 0.1307 of 28 × 28, as every tutorial has it.
    let mean = values(&all(&test).mean(None::<tch::Kind>))[0] * (32.0 * 32.0) / (28.0 * 28.0);
    assert!((mean - 0.1325).abs() < 0.0005, "{mean}");
    assert_eq!(integers(&data.train.labels.unwrap())[..5], [5, 0, 4, 1, 9]);
}

#[test]
fn other_idx_folders_are_read_where_present() {
    let (Some(frey), Some(binary), Some(faces)) =
        (shared("frey_faces"), shared("mnist_static_binarized"), shared("cmu_faces"))
    else {
        return;
    };
    single_thread();
    let frey = load(&DataConfig { image_size: Some(32), ..at(Source::Idx, &frey) }).unwrap().train;
    assert_eq!((frey.len(), frey.images.is_binary()), (1965, false));
    let binary = load(&at(Source::Idx, &binary)).unwrap();
    assert_eq!((binary.train.len(), binary.test.unwrap().len()), (50_000, 10_000));
    assert!(binary.train.images.is_binary());
    assert_eq!(binary.train.images.stored_bytes(), 50_000 * 98);

    let config = DataConfig {
        image_size: Some(64),
        attributes: Some(faces.join("attributes.csv")),
        ..at(Source::Idx, &faces.join("cmu_faces_64x60-idx3-ubyte.gz"))
    };
    let data = load(&config).unwrap().train;
    let attributes = data.attributes.unwrap();
    assert_eq!(attributes.names[0], "sunglasses");
    assert_eq!(integers(&attributes.values.select(1, 0)).iter().sum::<i64>(), 311);
    assert!(refusal(&at(Source::Idx, &faces)).contains("name one of them as path"));
}
