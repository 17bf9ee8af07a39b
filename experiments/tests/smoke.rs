//! Every binary starts, explains itself and does its work; every shipped configuration trains.

mod common;

use common::{Bench, binary, small, write_mnist};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[test]
fn every_binary_explains_itself() {
    for (name, words) in [
        ("train", &["--set", "--resume", "beta-tcvae", "Exit codes"][..]),
        ("traverse", &["--out", "Examples"]),
        ("encode", &["--out", "numpy"]),
        ("decompose", &["--data-size", "--estimators", "numpy.savez"]),
        ("estimators", &["--batch-sizes", "Examples", "gradient"]),
        ("avb-toy", &["--settings", "published", "Exit codes"]),
        ("eight-schools", &["--settings", "published", "--check"]),
        ("proposition-1", &["--sigma", "--sweep", "Examples"]),
        ("attributes", &["--attributes", "--strengths", "Examples"]),
        ("sharpness", &["--examples", "Laplacian"]),
        ("sweep", &["--slurm", "--collect", "zip", "Exit codes"]),
        ("evaluate", &["--scores", "--likelihood", "--exact"]),
        ("score", &["--scores"]),
        ("identities", &["--models", "Examples"]),
        ("render-sprites", &["--packed", "--npz", "--subset"]),
    ] {
        let output = binary(name).arg("--help").assert().success();
        let help = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
        for word in words {
            assert!(help.contains(word), "{name} --help does not mention {word}:\n{help}");
        }
        binary(name).arg("--version").assert().success();
        binary(name).arg("--no-such-flag").assert().code(2);
    }
}

/// 100 pictures of 64×60 in one IDX file, and a table of one attribute: whether the upper half is bright.
fn write_faces(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let mut images = vec![0, 0, 8, 3];
    images.extend([100_u32, 60, 64].iter().flat_map(|size| size.to_be_bytes()));
    let mut table = "index,bright\n".to_owned();
    for index in 0..100_usize {
        images.extend((0..60 * 64).map(|pixel| if index % 2 == 1 && pixel < 30 * 64 { 220_u8 } else { 30 }));
        writeln!(table, "{index},{}", index % 2).expect("a line");
    }
    fs::write(folder.join("faces-idx3-ubyte"), images).expect("written");
    fs::write(folder.join("attributes.csv"), table).expect("written");
}

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("configs").map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    files
}

#[test]
fn every_shipped_configuration_trains() {
    let bench = Bench::new();
    write_mnist(&bench.path("mnist"));
    write_faces(&bench.path("faces"));
    let files = shipped();
    assert!(files.len() >= 30);
    for file in files {
        let config: Value = serde_json::from_slice(&fs::read(&file).expect("bytes")).expect("JSON");
        let name = config["name"].as_str().expect("a name").to_owned();
        assert_eq!(
            file.file_stem().and_then(|stem| stem.to_str()),
            Some(name.as_str()),
            "a configuration is named after its file"
        );
        let path = |name: &str| bench.path(name).display().to_string();
        let data = match config["data"]["source"].as_str() {
            Some("sprites") => vec![format!("data.subset={}", small()["data"]["subset"])],
            Some("idx") => vec![
                format!("data.path={}", path("faces/faces-idx3-ubyte")),
                format!("data.attributes={}", path("faces/attributes.csv")),
            ],
            _ => vec![format!("data.path={}", path("mnist"))],
        };
        let mut command = binary("train");
        command.arg(&file).arg("--run-dir").arg(bench.path(&name)).args(["--quiet", "--device", "cpu"]);
        for change in &data {
            command.args(["--set", change]);
        }
        for change in ["train.steps=4", "train.log_every=2", "train.evaluate_subset=64", "train.evaluate_samples=32"] {
            command.args(["--set", change]);
        }
        if config["data"]["batch_size"].as_i64().expect("a size") > 64 {
            command.args(["--set", "data.batch_size=64"]);
        }
        if config["method"]["target"] == "mutual-information" {
            // No code carries more than the logarithm of the few examples here.
            command.args(["--set", "method.max_capacity=3"]);
        }
        if config["model"]["network"] == "vae-gan" {
            // The same layers, fewer channels.
            command.args(["--set", "model.width=0.1"]);
            if config["method"]["name"] == "vae-gan" {
                command.args(["--set", "method.discriminator_width=0.1"]);
            }
        }
        command.assert().success();
        let summary: Value =
            serde_json::from_slice(&fs::read(bench.path(&name).join("summary.json")).expect("a summary"))
                .expect("JSON");
        assert_eq!((&summary["status"], &summary["steps"]), (&json!("finished"), &json!(4)), "{name}");
        // An implicit posterior has no ELBO of its own, nor has a method of many players a loss: all have a reconstruction.
        assert!(summary["scalars"]["train/reconstruction"].as_f64().expect("a reconstruction") > 0.0, "{name}");
    }
}

#[test]
fn train_prints_one_json_object_when_asked() {
    let bench = Bench::new();
    let output = bench.train("run").arg("--json").assert().success();
    let printed: Value = serde_json::from_slice(&output.get_output().stdout).expect("one JSON object");
    let stored: Value =
        serde_json::from_slice(&fs::read(bench.path("run/summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(printed["scalars"], stored["scalars"]);
    for tag in [
        "train/elbo",
        "train/kl_per_dimension/2",
        "train/estimate/total_correlation_mws",
        "train/estimate/mutual_information_uniform",
        "evaluate/total_correlation/subset_64",
    ] {
        assert!(printed["scalars"][tag].is_number(), "{tag}: {printed}");
    }
}

#[test]
fn traverse_and_encode_open_a_run() {
    let bench = Bench::new();
    bench.train("run").arg("--quiet").assert().success();
    binary("traverse").arg(bench.path("run")).arg("--out").arg(bench.path("pictures")).assert().success();
    for (name, magic) in [
        ("traversals.png", &b"\x89PNG"[..]),
        ("reconstructions.png", b"\x89PNG"),
        ("prior_samples.png", b"\x89PNG"),
        ("traversals.gif", b"GIF8"),
    ] {
        let bytes = fs::read(bench.path("pictures").join(name)).expect(name);
        assert!(bytes.starts_with(magic), "{name}");
    }
    let out = bench.path("codes.npz");
    binary("encode").arg(bench.path("run")).arg("--out").arg(&out).args(["--first", "100"]).assert().success();
    let mut archive = npyz::npz::NpzArchive::open(&out).expect("an archive");
    let mut shape = |name: &str| archive.by_name(name).expect("readable").expect(name).shape().to_vec();
    assert_eq!(shape("mean"), [100, 3]);
    assert_eq!(shape("log_var"), [100, 3]);
    assert_eq!(shape("z"), [100, 3]);
    assert_eq!(shape("factors"), [100, 5]);
    binary("encode").arg(bench.path("run")).arg("--out").arg(&out).assert().code(2);
    binary("encode").arg(bench.path("nowhere")).arg("--out").arg(bench.path("x.npz")).assert().code(2);
    binary("traverse").arg(bench.path("nowhere")).assert().code(2);
}

#[test]
fn render_sprites_writes_what_it_says() {
    let bench = Bench::new();
    let packed = bench.path("few.bits");
    let mut command = binary("render-sprites");
    command.arg("--packed").arg(&packed);
    for part in ["orientation=0", "position_x=0..4", "position_y=0,31"] {
        command.args(["--subset", part]);
    }
    command.assert().success();
    assert_eq!(fs::metadata(&packed).expect("a file").len(), 3 * 6 * 4 * 2 * 512);
    binary("render-sprites").arg("--packed").arg(&packed).assert().code(2);
}

/// A folder of pictures, from files to a trained run.
#[test]
fn a_folder_of_pictures_trains() {
    let bench = Bench::new();
    let folder = bench.path("pictures");
    fs::create_dir_all(&folder).expect("a folder");
    for index in 0..24_u8 {
        let file = fs::File::create(folder.join(format!("{index:02}.png"))).expect("a file");
        let mut encoder = png::Encoder::new(file, 20, 16);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(&[index * 10; 20 * 16 * 3]).expect("pixels");
    }
    let mut table = fs::File::create(bench.path("attributes.csv")).expect("a file");
    writeln!(table, "file,bright").expect("written");
    for index in 0..24 {
        writeln!(table, "{index:02}.png,{}", i32::from(index > 12)).expect("written");
    }
    bench.configure(&[
        ("data", json!({ "source": "images", "batch_size": 8, "path": folder, "image_size": 32, "attributes": bench.path("attributes.csv"), "test_fraction": 0.25, "split_seed": 1 })),
        ("model", json!({ "network": "burgess", "latent": 3, "likelihood": "gaussian", "sigma": "learnt" })),
        ("method", json!({ "name": "elbo" })),
        ("train.evaluate_subset", json!(0)),
    ]);
    let output = bench.train("run").args(["--json", "--quiet"]).assert().success();
    let printed: Value = serde_json::from_slice(&output.get_output().stdout).expect("one JSON object");
    assert!(printed["scalars"]["evaluate/mutual_information"].is_number(), "{printed}");
    assert!(printed["scalars"]["evaluate/elbo"].is_number(), "{printed}");
}
