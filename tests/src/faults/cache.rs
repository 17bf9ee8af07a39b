//! Damaged cache files: noticed, said, and made anew.

use super::damage::{FILES, RUNS, damaged};
use super::{Bench, Chance, Verdict, same, succeed, words};
use elbo_data::{DataConfig, Images};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Each is made anew, 377 MB, which takes seconds.
const SPRITE_FILES: u64 = 10;
/// Bytes of one packed image.
const IMAGE_BYTES: u64 = 512;

/// The images that `source` gives with this cache, and what was said.
fn load(source: &Value, cache: &Path) -> Result<(Images, Vec<String>), String> {
    let config: DataConfig = serde_json::from_value(source.clone()).map_err(|error| error.to_string())?;
    let mut said = Vec::new();
    let splits = config.load_with(Device::Cpu, Some(cache), &mut |text| said.push(text.to_owned()));
    Ok((splits.map_err(|error| error.to_string())?.train.images, said))
}

/// Values of the images of these indices.
fn values(images: &Images, indices: &Tensor) -> Result<Tensor, String> {
    let noise = elbo_core::Generator::new(Device::Cpu, 0).map_err(|error| error.to_string())?;
    Ok(images.gather(indices, &noise))
}

/// What a damaged cache file must come to: a warning of one line, sound images, a sound file.
fn mended(said: &[String], equal: bool, sound: bool) -> Result<(), String> {
    let warned = said.first().is_some_and(|line| {
        line.starts_with("warning: ") && line.contains("damaged cache") && !line.trim().contains('\n')
    });
    match (warned, equal, sound) {
        (true, true, true) => Ok(()),
        (false, ..) => Err(format!("was not noticed: {said:?}")),
        (_, false, _) => Err("was used: other images".to_owned()),
        (.., false) => Err("was left as it was".to_owned()),
    }
}

/// The one file in `folder` whose name begins so.
fn only_file(folder: &Path, prefix: &str) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?.flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        _ => Err(format!("{}: expected one file {prefix}…", folder.display())),
    }
}

/// The cache of decoded pictures, by the reader and by whole runs.
pub(super) fn pictures(bench: &Bench) -> Verdict {
    let folder = bench.path("pictures");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut chance = Chance(5);
    for number in 0..32 {
        let picture = RgbImage::from_fn(20, 16, |_, _| Rgb([0; 3].map(|_: u8| chance.below(256) as u8)));
        picture.save(folder.join(format!("{number}.png"))).map_err(|error| error.to_string())?;
    }
    let source = json!({ "source": "images", "path": folder, "image_size": 16, "channels": 3, "batch_size": 8 });
    let cache = bench.path("picture-cache");
    let (expected, _) = load(&source, &cache)?;
    let all = Tensor::arange(expected.len(), (Kind::Int64, Device::Cpu));
    let expected = values(&expected, &all)?;
    let file = only_file(&cache, "pictures-")?;
    let whole = fs::read(&file).map_err(|error| error.to_string())?;
    for number in 0..FILES {
        fs::write(&file, damaged(&whole, &mut chance)).map_err(|error| error.to_string())?;
        let (images, said) = load(&source, &cache)?;
        let equal = values(&images, &all)?.equal(&expected);
        let sound = fs::read(&file).is_ok_and(|bytes| bytes == whole);
        mended(&said, equal, sound).map_err(|problem| format!("damage {number}, of {}, {problem}", file.display()))?;
    }

    let config = bench.configuration("picture-cache-run", 8);
    let data = format!("data={source}");
    let undisturbed = bench.path("picture-cache-undisturbed");
    succeed(bench.command(&config, &undisturbed).args(["--set", &data]))?;
    let expected = super::end(&undisturbed)?;
    let file = only_file(&bench.path("cache"), "pictures-")?;
    for number in 0..RUNS {
        fs::write(&file, damaged(&whole, &mut chance)).map_err(|error| error.to_string())?;
        let run = bench.path(&format!("picture-cache-{number}"));
        let output = bench.command(&config, &run).args(["--set", &data]).output().map_err(|error| error.to_string())?;
        if !output.status.success() || !words(&output).contains("damaged cache") {
            return Err(format!("run {number}, on a damaged cache: {}: {}", output.status, words(&output)));
        }
        same(&run, &expected)?;
    }
    Ok(format!(
        "{FILES} damaged files, all noticed, said and made anew; {RUNS} runs on damaged ones came to the same end"
    ))
}

/// The cache of the whole of dSprites, rendered.
pub(super) fn sprites(bench: &Bench) -> Verdict {
    let source = json!({ "source": "sprites", "batch_size": 64 });
    let cache = bench.path("sprite-cache");
    let (images, _) = load(&source, &cache)?;
    let file = only_file(&cache, "sprites-")?;
    let length = fs::metadata(&file).map_err(|error| error.to_string())?.len();
    let sound = checksum(&file)?;
    let mut chance = Chance(6);
    for number in 0..SPRITE_FILES {
        let place = chance.below(length);
        damage_in_place(&file, place, number % 2 == 0, &mut chance).map_err(|error| error.to_string())?;
        let (again, said) = load(&source, &cache)?;
        // A sample, and the image that was damaged.
        let sample = Tensor::arange_start_step(0, images.len(), 997, (Kind::Int64, Device::Cpu));
        let chosen = Tensor::cat(&[sample, Tensor::from_slice(&[(place / IMAGE_BYTES) as i64])], 0);
        let equal = values(&again, &chosen)?.equal(&values(&images, &chosen)?);
        mended(&said, equal, checksum(&file)? == sound)
            .map_err(|problem| format!("damage {number}, at byte {place} of {}, {problem}", file.display()))?;
    }
    fs::remove_dir_all(&cache).map_err(|error| error.to_string())?;
    Ok(format!("{SPRITE_FILES} damaged files of {} MB, all noticed, said and made anew", length / 1_000_000))
}

/// Flips a bit of the byte at `place`, or cuts the file off before it.
fn damage_in_place(file: &Path, place: u64, flip: bool, chance: &mut Chance) -> std::io::Result<()> {
    let mut file = File::options().read(true).write(true).open(file)?;
    if !flip {
        return file.set_len(place);
    }
    let mut byte = [0];
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(&mut byte)?;
    file.seek(SeekFrom::Start(place))?;
    file.write_all(&[byte[0] ^ (1 << chance.below(8))])
}

fn checksum(file: &Path) -> Result<u32, String> {
    fs::read(file).map(|bytes| crc32fast::hash(&bytes)).map_err(|error| error.to_string())
}
