//! What the tests share: files made by hand, configurations, and the data that lie beside the repository on some machines.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use elbo_data::{DataConfig, DataError, Dataset, Source, Splits};
use elbo_native::Generator;
use flate2::Compression;
use flate2::write::GzEncoder;
use tch::{Device, Kind, Tensor};

/// Loads on the CPU, without a cache.
pub(crate) fn load(config: &DataConfig) -> Result<Splits, DataError> {
    config.load_with(Device::Cpu, None, &mut |_| {})
}

/// A source at a path, with batches of one.
pub(crate) fn at(source: Source, path: &Path) -> DataConfig {
    DataConfig { path: Some(path.to_owned()), ..DataConfig::new(source, 1) }
}

/// All images of a data set, as `gather` gives them, `[N, C, H, W]`.
pub(crate) fn all(dataset: &Dataset) -> Tensor {
    let noise = Generator::new(Device::Cpu, 0).unwrap();
    dataset.images.gather(&Tensor::arange(dataset.len(), (Kind::Int64, Device::Cpu)), &noise)
}

/// The values of a tensor, one after the other.
pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_kind(Kind::Float).reshape(-1).try_into().unwrap()
}

pub(crate) fn integers(tensor: &Tensor) -> Vec<i64> {
    tensor.to_kind(Kind::Int64).reshape(-1).try_into().unwrap()
}

/// An IDX file of unsigned bytes.
pub(crate) fn idx(sizes: &[u32], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    bytes.extend(sizes.iter().flat_map(|size| size.to_be_bytes()));
    bytes.extend(data);
    bytes
}

pub(crate) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An `.npy` array.
pub(crate) fn npy(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes.extend(data);
    bytes
}

/// A `.npz` file of named arrays.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = if compressed { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    for (name, array) in arrays {
        zip.start_file(format!("{name}.npy"), zip::write::FileOptions::default().compression_method(method)).unwrap();
        zip.write_all(array).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A file with this content in a folder of its own.
pub(crate) struct OneFile {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl OneFile {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        Self { _folder: folder, path }
    }

    pub(crate) fn replace(&self, content: &[u8]) {
        fs::write(&self.path, content).unwrap();
    }
}

/// The file `name` of the data that lie beside the repository, or a printed reason and nothing.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = std::env::var_os("ELBO_SHARED_DATA").map_or(workspace.join("../shared/data"), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is not here (ELBO_SHARED_DATA names the folder)", path.display());
    None
}
