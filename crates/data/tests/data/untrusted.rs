//! Files that mean harm: they promise little and hold much, promise much and hold nothing, name places that are not theirs.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use elbo_data::{ArrayFile, DataConfig, Source, idx};
use elbo_native::testing::single_thread;
use flate2::Compression;
use flate2::write::GzEncoder;
use zip::write::{FileOptions, ZipWriter};

use crate::setting::{OneFile, at, idx as idx_file, load, npy, npz};

fn refusal(config: &DataConfig) -> String {
    load(config).unwrap_err().to_string()
}

/// Gzipped: `start`, and then `megabytes` of zeros.
fn bomb(start: &[u8], megabytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(start).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..megabytes {
        encoder.write_all(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

/// A header of 8 × 8 images × 16, and 512 MB behind them: about half a second to inflate, and nothing to read up to the refusal.
#[test]
fn a_gzipped_file_that_goes_on_after_its_images_is_not_inflated() {
    single_thread();
    let start = idx_file(&[16, 8, 8], &[7; 1024]);
    let file = OneFile::new("images-idx3.gz", &bomb(&start, 512));
    let started = Instant::now();
    let message = refusal(&at(Source::Idx, &file.path));
    assert!(message.ends_with("expected the end of the data after sizes 16 × 8 × 8, got more bytes"), "{message}");
    let refused = started.elapsed();
    // Against inflating it, so that a slow machine is slow at both.
    let started = Instant::now();
    let mut inflated = flate2::read::GzDecoder::new(fs::File::open(&file.path).unwrap());
    assert!(std::io::copy(&mut inflated, &mut std::io::sink()).unwrap() > 512 << 20);
    assert!(refused * 10 < started.elapsed(), "refused after {refused:?}, inflated after {:?}", started.elapsed());
}

/// 2³² − 1 labels, promised by a file of a few hundred bytes.
#[test]
fn a_gzipped_file_cannot_promise_more_than_it_can_hold() {
    let mut start = vec![0, 0, 8, 1];
    start.extend(u32::MAX.to_be_bytes());
    let file = OneFile::new("labels-idx1.gz", &bomb(&start, 1));
    let message = idx::read_labels(&file.path).unwrap_err().to_string();
    assert!(message.contains("expected sizes that") && message.ends_with("got 4294967295"), "{message}");
}

/// The array says 16 bytes, the archive's directory says so too, and 64 MB are behind it.
#[test]
fn an_array_that_goes_on_after_its_size_is_not_inflated() {
    single_thread();
    let (short, long) = (npy("|u1", "(1, 4, 4)", &[1; 16]), npy("|u1", "(1, 4, 4)", &vec![1; 64 << 20]));
    let mut bytes = npz(&[("imgs", long)], true);
    let directory = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    // The uncompressed size: at +24 of the entry in the directory, at +22 of the local header.
    bytes[directory + 24..directory + 28].copy_from_slice(&(short.len() as u32).to_le_bytes());
    bytes[22..26].copy_from_slice(&(short.len() as u32).to_le_bytes());
    let file = OneFile::new("some.npz", &bytes);
    let message = refusal(&at(Source::Npz, &file.path));
    assert!(message.ends_with("imgs: expected the end of the array, got more bytes"), "{message}");
}

/// A directory may lie about the compressed size, too: 400 MB for one image were taken on its word.
#[test]
fn a_compressed_size_beyond_the_file_is_not_believed() {
    single_thread();
    let header = npy("<f8", "(1, 3, 4096, 4096)", &[]);
    let mut bytes = npz(&[("imgs", header.clone())], true);
    let directory = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    let whole = (header.len() + 8 * 3 * 4096 * 4096) as u32;
    for (place, value) in [(20, whole), (24, whole)] {
        bytes[directory + place..directory + place + 4].copy_from_slice(&value.to_le_bytes());
    }
    let file = OneFile::new("some.npz", &bytes);
    let message = refusal(&at(Source::Npz, &file.path));
    assert!(message.contains(&format!("expected a size that {} compressed bytes can hold", bytes.len())), "{message}");
}

/// 10¹⁸ rows of no bytes each: a loop over them would end in some decades.
#[test]
fn rows_without_bytes_are_not_counted_one_by_one() {
    for (shape, read) in [("(1000000000000000000, 0)", true), ("(18446744073709551615, 0)", false)] {
        let file = OneFile::new("some.npz", &npz(&[("mean", npy("<f8", shape, &[]))], false));
        let array = ArrayFile::open(&file.path).unwrap().numbers("mean");
        assert_eq!(array.is_ok(), read, "{shape}: {array:?}");
        if let Ok(array) = array {
            assert_eq!((array.shape, array.values), (vec![1_000_000_000_000_000_000, 0], vec![]));
        }
    }
}

/// bzip2 (12) and zstd (93), whose growth nothing bounds; numpy writes neither.
#[test]
fn arrays_are_stored_or_deflated() {
    for method in [12_u16, 93] {
        let mut bytes = npz(&[("mean", npy("|u1", "(1,)", &[1]))], false);
        let directory = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
        for place in [8, directory + 10] {
            bytes[place..place + 2].copy_from_slice(&method.to_le_bytes());
        }
        let file = OneFile::new("some.npz", &bytes);
        let message = ArrayFile::open(&file.path).unwrap().numbers("mean").unwrap_err().to_string();
        assert!(message.contains("expected stored or deflated data") || message.contains("not supported"), "{message}");
    }
}

/// Everything below a folder, by name, with links as what they are.
fn everything(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(everything(&path));
        }
        found.push(path.display().to_string());
    }
    found.sort();
    found
}

/// Members are looked up by name and read into memory. One that is named `../x.npy` or `/tmp/x.npy`, or that is a link to a file of
/// someone else's, makes no file and opens none; the link's content is the text that it holds, which is no array.
#[test]
fn names_and_links_in_an_archive_are_never_followed() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret.npy");
    fs::write(&secret, npy("|u1", "(1, 1, 1)", &[77])).unwrap();
    let absolute = folder.path().join("absolute").display().to_string();
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let image = npy("|u1", "(1, 2, 2)", &[1, 2, 3, 4]);
    let names = ["imgs.npy".to_owned(), "../outside.npy".to_owned(), format!("{absolute}.npy")];
    for name in &names {
        zip.start_file(name.as_str(), FileOptions::default()).unwrap();
        zip.write_all(&image).unwrap();
    }
    zip.add_symlink("link.npy", secret.display().to_string(), FileOptions::default()).unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("some.npz");
    fs::write(&path, zip.finish().unwrap().into_inner()).unwrap();

    let before = everything(folder.path());
    assert_eq!(load(&at(Source::Npz, &path)).unwrap().train.len(), 1);
    let mut file = ArrayFile::open(&path).unwrap();
    for name in [absolute.as_str(), "../outside", "imgs"] {
        assert_eq!(file.numbers(name).unwrap().values, [1.0, 2.0, 3.0, 4.0], "a name is a name");
    }
    let link = DataConfig { array: Some("link".to_owned()), ..at(Source::Npz, &path) };
    let message = refusal(&link);
    assert!(message.contains("link: expected an npy array"), "{message}");
    assert_eq!(everything(folder.path()), before, "reading writes nothing");
}

/// 100 000 × 100 000 pixels are beyond the limit a side, 16 000 × 16 000 within it: both are refused for the few bytes behind them, before
/// memory is taken. A thousand of them cost no more.
#[test]
fn a_picture_is_not_larger_than_its_file_can_be() {
    single_thread();
    for (side, expected) in
        [(100_000_u32, "limit"), (16_000, "expected a size that 66 bytes can hold, got 16000 × 16000")]
    {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.png"), png_of(side)).unwrap();
        let config = DataConfig { image_size: Some(8), ..at(Source::Images, folder.path()) };
        let message = refusal(&config);
        assert!(message.contains("a.png: ") && message.to_lowercase().contains(expected), "{message}");
    }
}

/// The bound is no stricter than PNG is: 4000 × 4000 black pixels are 88 kB, and are read.
#[test]
fn a_picture_of_one_colour_is_read() {
    single_thread();
    let folder = tempfile::tempdir().unwrap();
    let mut png = std::io::Cursor::new(Vec::new());
    image::GrayImage::new(4000, 4000).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let size = png.seek(SeekFrom::End(0)).unwrap();
    assert!(size < 100_000, "{size}");
    fs::write(folder.path().join("a.png"), png.into_inner()).unwrap();
    let config = DataConfig { image_size: Some(8), ..at(Source::Images, folder.path()) };
    assert_eq!(load(&config).unwrap().train.len(), 1);
}

/// A PNG file of so many pixels a side, with nine bytes of data.
fn png_of(side: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind, data].concat();
        let checksum = crc32fast::hash(&body).to_be_bytes();
        [&(data.len() as u32).to_be_bytes()[..], &body, &checksum].concat()
    };
    let header = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let data = [0x78, 0x9c, 0x63, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat()
}

/// A pickle is a program: nothing here opens one.
#[test]
fn a_pickle_is_refused_by_its_name() {
    let file = OneFile::new("codes.pt", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.");
    let message = ArrayFile::open(&file.path).unwrap_err().to_string();
    assert!(
        message.contains("expected a sound .npz or safetensors file, got a pickle, which could run code"),
        "{message}"
    );
}
