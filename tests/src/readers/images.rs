//! Images and their attributes: IDX, plain and gzipped, pictures, tables.

use super::meter::{Bound, file, in_folder, within};
use super::one_line;
use elbo_data::pictures::{PictureLayout, read_folder};
use elbo_data::{DataConfig, ImageShape, Images, Source, idx as reader};
use elbo_native::Generator;
use flate2::read::GzDecoder;
use std::fs;
use std::io::Read;
use tch::{Device, Kind, Tensor};

/// Bytes of memory that a deflated picture may cost for a byte of the file: 8 pixels of 3 channels each, decoded, cut out, converted.
const PICTURE: usize = 4 * 8 * 3 * 1032;

/// A plain IDX file, as images and as labels.
pub fn idx(bytes: &[u8]) {
    // What begins as gzip does belongs to the other target.
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    idx_in(bytes, bytes, Bound::Numbers);
}

/// A gzipped IDX file.
pub fn idx_gz(bytes: &[u8]) {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return;
    }
    let mut plain = Vec::new();
    // What is inflated before an error is what the reader saw too.
    let _ = GzDecoder::new(bytes).read_to_end(&mut plain);
    idx_in(bytes, &plain, Bound::Deflated);
}

/// What is accepted is the file, byte by byte.
fn idx_in(stored: &[u8], plain: &[u8], bound: Bound) {
    let path = file("some-idx", stored);
    match within(bound, stored.len(), || reader::read_images(&path, None)) {
        Ok(images) => {
            let header = 4 + 4 * usize::from(plain[3]);
            let pixels = channels_first(&images, &plain[header..]);
            let white = if pixels.iter().all(|&pixel| pixel <= 1) { 255 } else { 1 };
            let found: Vec<u8> = values(&images);
            assert!(
                found.iter().eq(pixels.iter().map(|pixel| pixel * white).collect::<Vec<_>>().iter()),
                "other pixels"
            );
        }
        Err(error) => one_line(&error),
    }
    match within(bound, stored.len(), || reader::read_labels(&path)) {
        Ok(labels) => assert!(labels.iter().copied().eq(plain[8..].iter().map(|&label| i64::from(label)))),
        Err(error) => one_line(&error),
    }
}

/// `[N, H, W, C]` as `[N, C, H, W]`.
fn channels_first(images: &Images, pixels: &[u8]) -> Vec<u8> {
    let ImageShape { channels, height, width } = images.shape();
    let last = Tensor::from_slice(pixels).view([images.len(), height, width, channels]);
    Vec::try_from(last.permute([0, 3, 1, 2]).reshape([-1])).expect("bytes")
}

/// All pixels, 0 to 255.
pub(super) fn values(images: &Images) -> Vec<u8> {
    let noise = Generator::new(Device::Cpu, 0).expect("a generator");
    let all = images.gather(&Tensor::arange(images.len(), (Kind::Int64, Device::Cpu)), &noise);
    Vec::try_from((all * 255.0).round().to_kind(Kind::Uint8).reshape([-1])).expect("bytes")
}

/// A PNG or JPEG file in a folder of its own.
pub fn picture(bytes: &[u8]) {
    in_folder(|folder| {
        fs::write(folder.join("a.png"), bytes).expect("a file");
        for channels in [1, 3] {
            let layout = PictureLayout { image_size: 8, crop: None, channels };
            let bound = Bound::Bytes((16 << 20) + PICTURE * bytes.len());
            match within(bound, bytes.len(), || read_folder(folder, layout, None, &mut |_| {})) {
                Ok((images, names)) => {
                    assert_eq!(images.shape(), ImageShape { channels, height: 8, width: 8 });
                    assert_eq!((images.len(), names), (1, vec!["a.png".to_owned()]));
                }
                Err(error) => one_line(&error),
            }
        }
    });
}

/// A table of attributes, for a picture by its name and for two images by their number.
pub fn attributes(bytes: &[u8]) {
    let table = file("table.csv", bytes);
    let images = file("two-idx3", &[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 3, 200]);
    in_folder(|folder| {
        fs::write(folder.join("a.png"), super::seeds::png()).expect("a file");
        let by_name = DataConfig { image_size: Some(2), ..DataConfig::new(Source::Images, 1) };
        let in_order = DataConfig { path: Some(images.clone()), ..DataConfig::new(Source::Idx, 1) };
        for config in [DataConfig { path: Some(folder.to_owned()), ..by_name }, in_order] {
            let config = DataConfig { attributes: Some(table.clone()), ..config };
            let load = || config.load_with(Device::Cpu, None, &mut |_| {});
            match within(Bound::Text, bytes.len(), load) {
                Ok(splits) => {
                    let attributes = splits.train.attributes.expect("attributes");
                    assert_eq!(attributes.values.size(), [splits.train.images.len(), attributes.names.len() as i64]);
                    assert!(attributes.values.le(1).all().int64_value(&[]) == 1, "neither 0 nor 1");
                }
                Err(error) => one_line(&error),
            }
        }
    });
}
