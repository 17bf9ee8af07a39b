//! Sound inputs of every reader, and a few hostile ones: what fuzzing starts from. `fuzz-seeds` writes them to `fuzz/seeds`.

use super::arrays::member;
use elbo_runner::checkpoint;
use elbo_runner::records::events::EventWriter;
use elbo_runner::records::hparams::HParams;
use elbo_runner::records::summary::Status;
use flate2::{Compression, write::GzEncoder};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use tch::Tensor;
use zip::write::{FileOptions, ZipWriter};

/// Reader, name of the seed, content.
type Seed = (&'static str, &'static str, Vec<u8>);

/// The folder in the repository: a folder of seeds for each reader.
pub fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds")
}

/// All of them.
pub fn all() -> Vec<Seed> {
    [images(), tables(), arrays(), states(), configurations(), records()].concat()
}

/// A picture of 2 × 2 pixels.
pub fn png() -> Vec<u8> {
    encoded(&DynamicImage::from(RgbImage::from_pixel(2, 2, Rgb([9, 99, 200]))), ImageFormat::Png)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("a picture");
    bytes.into_inner()
}

/// A PNG file that declares its size and has next to nothing behind it.
pub fn png_of(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind, data].concat();
        let checksum = crc32fast::hash(&body).to_be_bytes();
        [&(data.len() as u32).to_be_bytes()[..], &body, &checksum].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let data = [0x78, 0x9c, 0x63, 0x00, 0x00, 0x00, 0x01, 0x00, 0x01];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &header), chunk(b"IDAT", &data), chunk(b"IEND", &[])].concat()
}

fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let sizes_bytes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
    [&[0, 0, 8, sizes.len() as u8], &sizes_bytes[..], data].concat()
}

/// Gzipped.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory")
}

fn images() -> Vec<Seed> {
    let grey = idx(&[3, 2, 4], &(0..24).collect::<Vec<u8>>());
    let colour = idx(&[2, 2, 2, 3], &(0..24).map(|value| 10 * value).collect::<Vec<u8>>());
    let binary = idx(&[2, 3, 3], &[0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1]);
    let labels = idx(&[5], &[3, 1, 4, 1, 5]);
    let lying = idx(&[4], &vec![0; 1 << 16]);
    let picture = RgbImage::from_fn(9, 7, |x, y| Rgb([20 * x as u8, 30 * y as u8, 99]));
    let picture = DynamicImage::from(picture);
    vec![
        ("idx_gz", "grey", gzipped(&grey)),
        ("idx_gz", "colour", gzipped(&colour)),
        ("idx_gz", "labels", gzipped(&labels)),
        ("idx_gz", "more-than-declared", gzipped(&lying)),
        ("idx_gz", "declares-too-much", gzipped(&idx(&[u32::MAX, 4096, 4096], &[1; 64]))),
        ("idx", "declares-too-much", idx(&[u32::MAX, 4096, 4096], &[1; 64])),
        ("idx", "grey", grey),
        ("idx", "colour", colour),
        ("idx", "binary", binary),
        ("idx", "labels", labels),
        ("picture", "png", encoded(&picture, ImageFormat::Png)),
        ("picture", "png-grey", encoded(&DynamicImage::from(picture.to_luma8()), ImageFormat::Png)),
        ("picture", "png-deep", encoded(&DynamicImage::from(picture.to_rgba16()), ImageFormat::Png)),
        ("picture", "jpeg", encoded(&picture, ImageFormat::Jpeg)),
        ("picture", "png-of-100000", png_of(100_000, 100_000)),
        ("picture", "png-of-16000", png_of(16_000, 16_000)),
    ]
}

fn tables() -> Vec<Seed> {
    vec![
        ("attributes", "names", b"file,Smiling,Male,note\na.png,1,-1,seen\nb.png,0,1,\"a, b\"\n".to_vec()),
        ("attributes", "numbers", b"index, hat ,scarf\n0,1,0\n1,-1,1\n".to_vec()),
        ("attributes", "celeba", b"2\nSmiling Male\na.png  1 -1\nb.png -1  1\n".to_vec()),
    ]
}

/// An `.npy` array.
pub fn npy(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), data].concat()
}

/// A zip archive of these files.
pub fn archive(files: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let method = if compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = FileOptions::default().compression_method(method);
        zip.start_file(*name, options).and_then(|()| Ok(zip.write_all(content)?)).expect("a zip archive");
    }
    zip.finish().expect("a zip archive").into_inner()
}

fn arrays() -> Vec<Seed> {
    let doubles = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let longs = |values: &[i64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (mean, log_var) = (doubles(&[0.5, -1.0, 2.0, 0.0, 1.5, -0.5]), doubles(&[0.0, -2.0, 0.1, -0.3, 0.2, -4.0]));
    let (z, own) = (doubles(&[0.4, -1.1, 1.6, -0.4]), longs(&[0, 2]));
    let levels = longs(&[0, 0, 1, 0, 1, 1]);
    let names: Vec<u8> = "ab".chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    let of_codes = [
        ("mean", npy("<f8", "(3, 2)", &mean)),
        ("log_var", npy("<f8", "(3, 2)", &log_var)),
        ("z", npy("<f8", "(2, 2)", &z)),
        ("own", npy("<i8", "(2,)", &own)),
        ("factors", npy("<i8", "(3, 2)", &levels)),
        ("factor_names", npy("<U1", "(2,)", &names)),
    ];
    let of_data = [
        ("imgs", npy("|u1", "(3, 2, 4)", &(0..24).collect::<Vec<u8>>())),
        ("factors", npy("|u1", "(3, 2)", &[0, 0, 0, 1, 1, 0])),
        ("factor_names", npy("<U1", "(2,)", &names)),
        ("attributes", npy("|i1", "(3, 2)", &[1, 255, 0, 1, 255, 255])),
        ("labels", npy("<i4", "(3,)", &[7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0])),
    ];
    let halves = [("x_train", npy("<f2", "(2, 1, 1)", &[0, 0x3c, 0, 0x38])), ("y_train", npy("|b1", "(2,)", &[0, 1]))];
    let empty_rows = [("mean", npy("<f8", "(1000000000000000000, 0)", &[]))];
    let assembled =
        |members: &[(&str, Vec<u8>)]| members.iter().flat_map(|(name, array)| member(name, array)).collect::<Vec<u8>>();
    let zipped = |members: &[(&str, Vec<u8>)], compressed| {
        let names: Vec<String> = members.iter().map(|(name, _)| format!("{name}.npy")).collect();
        let files: Vec<_> =
            names.iter().zip(members).map(|(name, (_, array))| (name.as_str(), array.clone())).collect();
        archive(&files, compressed)
    };
    let view =
        |dtype, shape: &[usize], bytes: &'static [u8]| TensorView::new(dtype, shape.to_vec(), bytes).expect("a view");
    let leak = |bytes: &[u8]| -> &'static [u8] { bytes.to_vec().leak() };
    let tensors = vec![
        ("mean", view(Dtype::F64, &[3, 2], leak(&mean))),
        ("log_var", view(Dtype::F64, &[3, 2], leak(&log_var))),
        ("z", view(Dtype::F32, &[1, 2], &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf])),
        ("factors", view(Dtype::U8, &[3, 2], &[0, 0, 1, 0, 1, 1])),
        ("kinds", view(Dtype::BF16, &[1, 0, 2], &[])),
    ];
    vec![
        ("npz", "codes", zipped(&of_codes, true)),
        ("npz", "data", zipped(&of_data, true)),
        ("npz", "data-stored", zipped(&of_data, false)),
        (
            "npz",
            "outside",
            archive(
                &[("../outside.npy", npy("|u1", "(1,)", &[1])), ("/etc/outside.npy", npy("|u1", "(1,)", &[1]))],
                false,
            ),
        ),
        ("arrays", "codes", assembled(&of_codes)),
        ("arrays", "data", assembled(&of_data)),
        ("arrays", "halves", assembled(&halves)),
        ("arrays", "empty-rows", assembled(&empty_rows)),
        ("codes", "safetensors", safetensors::serialize(tensors, None).expect("safetensors")),
    ]
}

fn states() -> Vec<Seed> {
    let named = |name: &str, size: &[i64]| {
        let count = size.iter().product::<i64>();
        (name.to_owned(), (Tensor::arange(count, (tch::Kind::Float, tch::Device::Cpu)) * 0.25).view(size))
    };
    let model =
        vec![named("encoder.head.weight", &[4, 3]), named("encoder.head.bias", &[4]), named("decoder.weight", &[2, 2])];
    let folder = tempfile::tempdir().expect("a folder");
    let metadata = HashMap::from([("step".to_owned(), "7".to_owned())]);
    let file = checkpoint::write(folder.path(), 7, &model, metadata).expect("a checkpoint");
    let ours = fs::read(file).expect("bytes");
    let f32s = |count: usize| -> &'static [u8] {
        (0..count).flat_map(|value| (value as f32).to_le_bytes()).collect::<Vec<_>>().leak()
    };
    let view =
        |shape: &[usize]| TensorView::new(Dtype::F32, shape.to_vec(), f32s(shape.iter().product())).expect("a view");
    let theirs = vec![
        ("fc_mu.weight", view(&[2, 3])),
        ("fc_var.weight", view(&[2, 3])),
        ("bias", view(&[4])),
        ("out", view(&[2, 2])),
    ];
    let theirs = safetensors::serialize(theirs, None).expect("safetensors");
    let names = json!({ "fc_mu.weight": "encoder.head.weight:mean", "fc_var.weight": "encoder.head.weight:log_var",
                        "bias": "encoder.head.bias", "out": "decoder.weight" });
    vec![
        ("weights", "ours", [&[0], &ours[..]].concat()),
        ("weights", "theirs", [names.to_string().as_bytes(), &[0], &theirs].concat()),
        ("checkpoint", "ours", ours),
        ("checkpoint", "pickle", pickle()),
    ]
}

/// What `torch.save` writes, as far as a reader looks: a zip archive with a pickle in it.
pub fn pickle() -> Vec<u8> {
    archive(
        &[
            ("model/data.pkl", b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.".to_vec()),
            ("model/version", b"3\n".to_vec()),
        ],
        false,
    )
}

fn configurations() -> Vec<Seed> {
    let read = |name: &str| -> Value {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/configs").join(name);
        serde_json::from_slice(&fs::read(file).expect("a configuration")).expect("JSON")
    };
    let with = |name: &str, overrides: &[&str]| {
        let mut bytes = read(name).to_string().into_bytes();
        for text in overrides {
            bytes.push(0);
            bytes.extend(text.bytes());
        }
        bytes
    };
    let mut base = read("elbo_sprites.json");
    base["data"] = json!({ "source": "sprites", "batch_size": 8 });
    let small = json!({ "name": "tc", "base": base, "set": { "train.steps": 20 }, "grids": [
        { "product": { "method": [{ "name": "beta-vae" }], "method.beta": [1, 4.5], "seed": { "from": 3, "to": 7, "step": 2 } } },
        { "zip": { "seed": [1, 2], "optimizer.learning_rate": [1e-3, 5e-4] }, "set": { "train.log_every": 5 } } ] });
    let extremes = json!({ "name": "x", "base": base, "grids": [{ "product": { "seed": { "from": i64::MIN, "to": i64::MAX } } }] });
    let elsewhere = json!({ "name": "x", "base": "no-such-file.json", "grids": [] });
    vec![
        ("config", "first", with("first.json", &["train.steps=4000", "device=cpu"])),
        (
            "config",
            "factor-vae",
            with(
                "factor_vae_sprites.json",
                &["method.tc_weight={\"schedule\":\"linear\",\"from\":1,\"to\":6,\"steps\":9}"],
            ),
        ),
        ("config", "mnist", with("elbo_mnist.json", &["data.image_size=32", "name=\"other\""])),
        ("config", "vae-gan", with("vae_gan_sprites.json", &[])),
        ("config", "deep", with("first.json", &[&format!("{}=1", "a.".repeat(3000) + "a")])),
        ("grid", "small", small.to_string().into_bytes()),
        ("grid", "extremes", extremes.to_string().into_bytes()),
        ("grid", "elsewhere", elsewhere.to_string().into_bytes()),
    ]
}

fn records() -> Vec<Seed> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut events = EventWriter::start(folder.path()).expect("a file");
    events.hparams_start(&HParams::from_config(&json!({ "seed": 3, "method": { "name": "elbo" } }))).expect("memory");
    for step in [50, 100, 150] {
        events.scalars(step, &[("train/elbo".to_owned(), -95.5), ("train/kl".to_owned(), f64::NAN)]).expect("memory");
    }
    events.text("about", 0, "words").expect("memory");
    events.hparams_end(150, Status::Finished).expect("memory");
    events.sync().expect("a file");
    let whole = fs::read(events.path()).expect("bytes");
    let within = |key: u8, bytes: &[u8]| [&[key, bytes.len() as u8], bytes].concat();
    let record = |bytes: &[u8]| [&(bytes.len() as u16).to_le_bytes(), bytes].concat();
    let scalar = [within(0x0a, b"tag"), vec![0x15, 0, 0, 0x80, 0x3f]].concat();
    let histogram =
        [within(0x0a, b"tag"), within(0x2a, &[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1])].concat();
    let of = |value: &[u8]| record(&[vec![0x10, 99], within(0x2a, &within(0x0a, value))].concat());
    let version = record(&within(0x1a, b"brain.Event:2"));
    vec![
        ("events", "whole", [&[0], &whole[..]].concat()),
        ("events", "records", [&[1], &version[..], &of(&scalar), &of(&histogram)].concat()),
        (
            "metrics",
            "rows",
            b"step,tag,value\n50,train/elbo,-95.5\n100,\"a, \"\"b\"\"\",NaN\n150,train/kl,inf\n".to_vec(),
        ),
        ("metrics", "torn", b"step,tag,value\n50,train/elbo,-95.5\n100,train/el".to_vec()),
    ]
}
