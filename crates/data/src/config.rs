//! The `data` object of a run's configuration.

use std::path::PathBuf;

use elbo_core::{choices, config};
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::sprites::Subset;

choices! {
    /// Where the images come from.
    pub enum Source {
        /// dSprites, rendered: nothing to fetch.
        Sprites = "sprites",
        /// A `.npz` file: the official dSprites archive, or any other with an array of images.
        Npz = "npz",
        /// A folder of IDX files, or one such file.
        Idx = "idx",
        /// MNIST's four IDX files.
        Mnist = "mnist",
        /// Fashion-MNIST's four IDX files.
        FashionMnist = "fashion-mnist",
        /// A folder of PNG or JPEG pictures.
        Images = "images",
    }
}

choices! {
    /// How grey values become 0 and 1.
    pub enum Binarize {
        /// They stay grey.
        None = "none",
        /// 1 from one half on; once, when the data are loaded.
        Threshold = "threshold",
        /// Drawn at every read, the grey value being the probability of a 1.
        Dynamic = "dynamic",
    }
}

/// Where the images come from and how they are read: the `data` object of a run's configuration.
///
/// | field | for | meaning |
/// |---|---|---|
/// | `source` | | `sprites`, `npz`, `idx`, `mnist`, `fashion-mnist` or `images` |
/// | `batch_size` | | images in a batch, at most the number of training images |
/// | `path` | all but `sprites` | file or folder; `mnist` and `fashion-mnist` know where `make fetch-data` puts them |
/// | `array` | `npz` | the array of images; else the first of `imgs`, `images`, `x_train`, `x`, `data`, `arr_0` |
/// | `labels` | `idx` with one file | an IDX file of labels |
/// | `attributes` | `idx`, `images` | a table of yes-or-no attributes: CSV, or CelebA's list |
/// | `image_size` | `images`: needed; `npz`, `idx`, `mnist`, `fashion-mnist` | side of the square images: pictures are resized to it, arrays padded with zeros |
/// | `crop` | `images` | side of the centred square cut out before resizing; else the shorter side |
/// | `channels` | `images` | 1 grey, 3 colour (else 3) |
/// | `binarize` | all but `sprites` | `none` (else), `threshold`, `dynamic` |
/// | `subset` | `sprites` | levels to keep, factor by factor |
/// | `test_fraction`, `split_seed` | sources without a test split of their own | share of the images kept from training, and the seed (else 0) that draws them |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Where the images come from.
    pub source: Source,
    /// Images in a batch.
    #[serde(deserialize_with = "config::count")]
    pub batch_size: i64,
    /// File or folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Name of the array of images in a `.npz` file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub array: Option<String>,
    /// IDX file of labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// Table of attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<PathBuf>,
    /// Side of the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<i64>,
    /// Side of the square cut out of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<i64>,
    /// 1 for grey, 3 for colour pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<i64>,
    /// How grey values become 0 and 1.
    #[serde(default = "no_binarization")]
    pub binarize: Binarize,
    /// Part of dSprites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// Share of the images kept from training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// Seed that draws them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_seed: Option<u64>,
}

fn no_binarization() -> Binarize {
    Binarize::None
}

impl DataConfig {
    /// A source and a batch size, everything else as if it were not said.
    pub fn new(source: Source, batch_size: i64) -> Self {
        Self {
            source,
            batch_size,
            path: None,
            array: None,
            labels: None,
            attributes: None,
            image_size: None,
            crop: None,
            channels: None,
            binarize: Binarize::None,
            subset: None,
            test_fraction: None,
            split_seed: None,
        }
    }

    /// Whether the fields fit the source and each other; no file is looked at.
    ///
    /// # Errors
    /// [`DataError::Field`], which names the field.
    pub fn check(&self) -> Result<(), DataError> {
        use Source::{FashionMnist, Idx, Images, Mnist, Npz, Sprites};
        let given: [(&str, bool, &[Source]); 9] = [
            ("path", self.path.is_some(), &[Npz, Idx, Mnist, FashionMnist, Images]),
            ("array", self.array.is_some(), &[Npz]),
            ("labels", self.labels.is_some(), &[Idx]),
            ("attributes", self.attributes.is_some(), &[Idx, Images]),
            ("image_size", self.image_size.is_some(), &[Npz, Idx, Mnist, FashionMnist, Images]),
            ("crop", self.crop.is_some(), &[Images]),
            ("channels", self.channels.is_some(), &[Images]),
            ("binarize", self.binarize != Binarize::None, &[Npz, Idx, Mnist, FashionMnist, Images]),
            ("subset", self.subset.is_some(), &[Sprites]),
        ];
        for (field, is_given, sources) in given {
            if is_given && !sources.contains(&self.source) {
                let sources = sources.iter().map(|source| source.name()).collect::<Vec<_>>().join(", ");
                return Err(DataError::field(field, format!("is for source {sources}, not for {}", self.source)));
            }
        }
        if self.path.is_none() && matches!(self.source, Npz | Idx | Images) {
            return Err(DataError::field("path", format!("expected a path, which source {} needs", self.source)));
        }
        if self.image_size.is_none() && self.source == Images {
            return Err(DataError::field("image_size", "expected a number of pixels, which source images needs"));
        }
        for (field, value) in
            [("image_size", self.image_size), ("crop", self.crop), ("batch_size", Some(self.batch_size))]
        {
            let most = if field == "batch_size" { i64::MAX } else { 4096 };
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                let upper = if field == "batch_size" { String::new() } else { format!(" and ≤ {most}") };
                let got = value.unwrap_or_default();
                return Err(DataError::field(field, format!("expected an integer ≥ 1{upper}, got {got}")));
            }
        }
        if let Some(channels) = self.channels.filter(|channels| !matches!(channels, 1 | 3)) {
            return Err(DataError::field("channels", format!("expected 1 (grey) or 3 (colour), got {channels}")));
        }
        if let Some(fraction) = self.test_fraction.filter(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            return Err(DataError::field("test_fraction", format!("expected a number > 0 and < 1, got {fraction}")));
        }
        if self.split_seed.is_some() && self.test_fraction.is_none() {
            return Err(DataError::field("split_seed", "is for a split: expected test_fraction beside it"));
        }
        if let Some(subset) = &self.subset {
            subset.grid()?;
        }
        Ok(())
    }
}
