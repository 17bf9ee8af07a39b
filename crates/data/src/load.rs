//! From a configuration to data sets on a device.

use std::fs;
use std::path::{Path, PathBuf};

use tch::{Device, Tensor};

use crate::attributes::AttributeTable;
use crate::config::{Binarize, DataConfig, Source};
use crate::dataset::{Attributes, Dataset, Factors, Split, Splits};
use crate::error::DataError;
use crate::files::{cache_folder, chosen_cache_folder};
use crate::images::{ImageShape, Images};
use crate::npz::NpzFile;
use crate::order::check_batch;
use crate::pictures::{PictureLayout, read_folder};
use crate::pixels::tensor;
use crate::{idx, sprites};

impl DataConfig {
    /// Reads (or renders) the data and moves the images to `device`. `progress` is told in words what takes time, and warnings.
    ///
    /// Pictures are kept in [`cache_folder`]; rendered sprites only where `ELBO_CACHE` names a folder, because on most machines
    /// rendering all of them is faster (0.15 to 0.3 s on two cores) than reading their 377 MB.
    ///
    /// # Errors
    /// [`DataError`]: a field that does not fit the source or the data, a file that is missing or damaged, no memory.
    pub fn load(&self, device: Device, progress: &mut dyn FnMut(&str)) -> Result<Splits, DataError> {
        let cache = if self.source == Source::Sprites { chosen_cache_folder() } else { cache_folder() };
        self.load_with(device, cache.as_deref(), progress)
    }

    /// As [`load`](Self::load), with `cache` for the folder of what can be made again; `None`: none.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(
        &self,
        device: Device,
        cache: Option<&Path>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Splits, DataError> {
        self.check()?;
        let (train, test) = match self.source {
            Source::Sprites => (self.sprites(cache, progress)?, None),
            Source::Npz => self.npz()?,
            Source::Idx | Source::Mnist | Source::FashionMnist => self.idx()?,
            Source::Images => (self.pictures(cache, progress)?, None),
        };
        let train = self.binarized(train);
        let splits = match (self.test_fraction, test) {
            (Some(_), Some(_)) => {
                return Err(DataError::field(
                    "test_fraction",
                    format!("is not for {}, which has a test split of its own", train.name),
                ));
            }
            (Some(fraction), None) => train.split(fraction, self.split_seed.unwrap_or(0))?,
            (None, test) => Splits { train, test: test.map(|test| self.binarized(test)) },
        };
        check_batch(splits.train.len(), self.batch_size)?;
        let moved = |dataset: Dataset| -> Result<Dataset, DataError> {
            Ok(Dataset { images: dataset.images.to_device(device)?, ..dataset })
        };
        Ok(Splits { train: moved(splits.train)?, test: splits.test.map(moved).transpose()? })
    }

    fn binarized(&self, dataset: Dataset) -> Dataset {
        let images = match self.binarize {
            Binarize::None => dataset.images,
            Binarize::Threshold => dataset.images.binarized_by_threshold(),
            Binarize::Dynamic => dataset.images.binarized_dynamically(),
        };
        Dataset { images, ..dataset }
    }

    fn sprites(&self, cache: Option<&Path>, progress: &mut dyn FnMut(&str)) -> Result<Dataset, DataError> {
        let grid = self.subset.clone().unwrap_or_default().grid()?;
        let packed = sprites::load(&grid, cache, progress)?;
        let packed = tensor(&packed, &[grid.len() as i64, sprites::IMAGE_BYTES as i64])?;
        let images = Images::from_packed(packed, ImageShape { channels: 1, height: 64, width: 64 })?;
        let (mut levels, mut values) = (Vec::with_capacity(grid.len() * 5), Vec::with_capacity(grid.len() * 5));
        for index in 0..grid.len() {
            for (factor, level) in grid.levels_of(index).into_iter().enumerate() {
                levels.push(level as i64);
                values.push(sprites::factor_value(factor, level));
            }
        }
        let factors = Factors::new(&sprites::FACTORS.map(str::to_owned), &levels, Some(&values))?;
        Ok(Dataset { factors, ..Dataset::new("sprites", images, Split::Train) })
    }

    fn npz(&self) -> Result<(Dataset, Option<Dataset>), DataError> {
        let path = self.given_path();
        let mut file = NpzFile::open(&path)?;
        let found = match &self.array {
            Some(name) => file.first_of(&[name]),
            None => file.first_of(&["imgs", "images", "x_train", "x", "data", "arr_0"]),
        };
        let Some(array) = found else {
            let expected = self.array.as_deref().unwrap_or("imgs, images, x_train, x, data or arr_0");
            let message = format!("expected an array {expected} in {}, which has: {}", path.display(), file.listing());
            return Err(DataError::field("array", message));
        };
        let name = stem(&path);
        let train = Dataset::new(&name, file.images(&array, self.image_size)?, Split::Train);
        let count = train.len();
        if array == "x_train" {
            let labels = npz_labels(&mut file, &["y_train"], count)?;
            let test = match file.first_of(&["x_test"]) {
                None => None,
                Some(array) => {
                    let test = Dataset::new(name, file.images(&array, self.image_size)?, Split::Test);
                    let labels = npz_labels(&mut file, &["y_test"], test.len())?;
                    Some(Dataset { labels, ..test })
                }
            };
            return Ok((Dataset { labels, ..train }, test));
        }
        let factors = npz_factors(&mut file, count)?;
        let attributes = npz_attributes(&mut file, count)?;
        let labels = npz_labels(&mut file, &["labels", "y"], count)?;
        Ok((Dataset { factors, attributes, labels, ..train }, None))
    }

    fn idx(&self) -> Result<(Dataset, Option<Dataset>), DataError> {
        let path = self.idx_path()?;
        let name = if self.source == Source::Idx { stem(&path) } else { self.source.to_string() };
        let read = |images: &Path, labels: Option<&Path>, split| -> Result<Dataset, DataError> {
            let dataset = Dataset::new(&name, idx::read_images(images, self.image_size)?, split);
            let labels = labels.map(|path| idx_labels(path, dataset.len())).transpose()?;
            Ok(Dataset { labels, ..dataset })
        };
        let (train, test) = if path.is_dir() {
            if self.labels.is_some() {
                return Err(DataError::field("labels", "is for a path that is one file, not a folder"));
            }
            let folder = IdxFolder::list(&path)?;
            let train = read(&folder.train, folder.train_labels.as_deref(), Split::Train)?;
            let test = folder.test.map(|test| read(&test, folder.test_labels.as_deref(), Split::Test)).transpose()?;
            (train, test)
        } else {
            (read(&path, self.labels.as_deref(), Split::Train)?, None)
        };
        let attributes = match &self.attributes {
            Some(table) => Some(AttributeTable::read(table)?.in_order(train.len())?),
            None => None,
        };
        Ok((Dataset { attributes, ..train }, test))
    }

    /// The path of an IDX source, known ones for MNIST and Fashion-MNIST.
    fn idx_path(&self) -> Result<PathBuf, DataError> {
        let known: &[&str] = match self.source {
            Source::Mnist => &["data/mnist"],
            Source::FashionMnist => &["data/fashion-mnist", "/usr/share/datasets/fashion-mnist"],
            _ => &[],
        };
        let candidates: Vec<PathBuf> = self.path.iter().cloned().chain(known.iter().map(PathBuf::from)).collect();
        let candidates = if self.path.is_some() { &candidates[..1] } else { &candidates };
        match candidates.iter().find(|path| path.exists()) {
            Some(path) => Ok(path.clone()),
            None if self.source == Source::Idx => Ok(self.given_path()),
            None => {
                let message = format!(
                    "expected a folder of IDX files, found no {}: `make fetch-data DATA={}` fetches it",
                    candidates[0].display(),
                    self.source
                );
                Err(DataError::field("path", message))
            }
        }
    }

    fn pictures(&self, cache: Option<&Path>, progress: &mut dyn FnMut(&str)) -> Result<Dataset, DataError> {
        let folder = self.given_path();
        let layout = PictureLayout {
            image_size: self.image_size.unwrap_or(64),
            crop: self.crop,
            channels: self.channels.unwrap_or(3),
        };
        // A table that does not fit is told before the pictures take their time.
        let table = self.attributes.as_deref().map(AttributeTable::read).transpose()?;
        let (images, files) = read_folder(&folder, layout, cache, progress)?;
        let attributes = table.map(|table| table.by_name(&files)).transpose()?;
        Ok(Dataset { attributes, ..Dataset::new(stem(&folder), images, Split::Train) })
    }

    fn given_path(&self) -> PathBuf {
        self.path.clone().expect("check() refuses this source without a path")
    }
}

/// A file's or folder's name up to its first dot.
fn stem(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(&name).to_owned()
}

/// The IDX files of a folder by what their names say: `idx3` or `idx4` images, `idx1` labels; `t10k` or `test` is the test
/// split, `valid` is left alone.
struct IdxFolder {
    train: PathBuf,
    train_labels: Option<PathBuf>,
    test: Option<PathBuf>,
    test_labels: Option<PathBuf>,
}

impl IdxFolder {
    fn list(folder: &Path) -> Result<Self, DataError> {
        let wrap = |cause| DataError::read(folder, cause);
        let mut files: [Vec<PathBuf>; 4] = Default::default();
        for entry in fs::read_dir(folder).map_err(wrap)? {
            let path = entry.map_err(wrap)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            let images = name.contains("idx3") || name.contains("idx4");
            if !(images || name.contains("idx1")) || name.contains("valid") || name.starts_with('.') {
                continue;
            }
            let test = name.contains("t10k") || name.contains("test");
            files[usize::from(test) * 2 + usize::from(!images)].push(path);
        }
        let one = |mut found: Vec<PathBuf>, what: &str| match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => {
                found.sort();
                let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
                let problem =
                    format!("expected one file of {what}, got {}: name one of them as path", names.join(", "));
                Err(DataError::damaged(folder, problem))
            }
        };
        let [train, train_labels, test, test_labels] = files;
        let train = one(train, "training images")?;
        let Some(train) = train else {
            return Err(DataError::damaged(folder, "expected a file of images with idx3 in its name, got none"));
        };
        Ok(Self {
            train,
            train_labels: one(train_labels, "training labels")?,
            test: one(test, "test images")?,
            test_labels: one(test_labels, "test labels")?,
        })
    }
}

fn idx_labels(path: &Path, count: i64) -> Result<Tensor, DataError> {
    let labels = idx::read_labels(path)?;
    if labels.len() as i64 != count {
        return Err(DataError::damaged(
            path,
            format!("expected {count} labels, one for each image, got {}", labels.len()),
        ));
    }
    Ok(Tensor::from_slice(&labels))
}

fn npz_labels(file: &mut NpzFile, names: &[&str], count: i64) -> Result<Option<Tensor>, DataError> {
    let Some(name) = file.first_of(names) else { return Ok(None) };
    let table = file.integers(&name, count)?;
    if table.columns != 1 {
        return Err(file.damaged(&name, format!("expected labels [{count}], got {} columns", table.columns)));
    }
    Ok(Some(Tensor::from_slice(&table.values)))
}

/// `latents_classes` and `latents_values` as the official archive has them, or `factors` and `factor_values`.
fn npz_factors(file: &mut NpzFile, count: i64) -> Result<Option<Factors>, DataError> {
    const OFFICIAL: [&str; 6] = ["color", "shape", "scale", "orientation", "posX", "posY"];
    let Some(array) = file.first_of(&["latents_classes", "factors"]) else { return Ok(None) };
    let levels = file.integers(&array, count)?;
    let official = array == "latents_classes" && levels.columns == OFFICIAL.len();
    let mut names: Vec<String> = match file.first_of(&["latents_names", "factor_names"]) {
        Some(array) => file.strings(&array, levels.columns)?,
        None if official => OFFICIAL.map(str::to_owned).into(),
        None => (0..levels.columns).map(|k| format!("factor_{k}")).collect(),
    };
    for name in &mut names {
        match name.as_str() {
            "posX" => "position_x".clone_into(name),
            "posY" => "position_y".clone_into(name),
            _ => {}
        }
    }
    let values = match file.first_of(&["latents_values", "factor_values"]) {
        None => None,
        Some(array) => {
            let values = file.numbers(&array, count)?;
            if values.columns != levels.columns {
                let problem =
                    format!("expected {} columns, one for each factor, got {}", levels.columns, values.columns);
                return Err(file.damaged(&array, problem));
            }
            Some(values.values)
        }
    };
    Factors::new(&names, &levels.values, values.as_deref())
}

fn npz_attributes(file: &mut NpzFile, count: i64) -> Result<Option<Attributes>, DataError> {
    let Some(array) = file.first_of(&["attributes"]) else { return Ok(None) };
    let table = file.integers(&array, count)?;
    let names = match file.first_of(&["attribute_names"]) {
        Some(array) => file.strings(&array, table.columns)?,
        None => (0..table.columns).map(|k| format!("attribute_{k}")).collect(),
    };
    if let Some(other) = table.values.iter().find(|value| !(-1..=1).contains(*value)) {
        return Err(file.damaged(&array, format!("expected 0, 1 or -1, got {other}")));
    }
    let values: Vec<u8> = table.values.iter().map(|&value| u8::from(value == 1)).collect();
    Ok(Some(Attributes { names, values: Tensor::from_slice(&values).view([count, table.columns as i64]) }))
}
