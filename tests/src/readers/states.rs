//! Tensors that become a model's: checkpoints, and weights of other frameworks.

use super::meter::{Bound, file, in_folder, within};
use super::one_line;
use elbo_runner::checkpoint::{self, Checkpoint};
use elbo_runner::weights::{Head, Weights};
use safetensors::SafeTensors;
use std::collections::HashMap;
use tch::{Kind, Tensor};

type Named = Vec<(String, Tensor)>;

/// Parameters as a small model has them, all 0.5.
fn parameters() -> Named {
    let filled = |name: &str, size: &[i64]| (name.to_owned(), Tensor::full(size, 0.5, (Kind::Float, tch::Device::Cpu)));
    vec![filled("encoder.head.weight", &[4, 3]), filled("encoder.head.bias", &[4]), filled("decoder.weight", &[2, 2])]
}

fn untouched(parameters: &Named) -> bool {
    parameters.iter().all(|(_, tensor)| tensor.eq(0.5).all().int64_value(&[]) == 1)
}

/// A checkpoint: the file as it is, and once more with the checksum that its content asks for.
pub fn checkpoint(bytes: &[u8]) {
    read_checkpoint(bytes);
    if let Some(resealed) = resealed(bytes) {
        read_checkpoint(&resealed);
    }
}

fn read_checkpoint(bytes: &[u8]) {
    let path = file("step-7.safetensors", bytes);
    let checkpoint = match within(Bound::Text, bytes.len(), || Checkpoint::read(&path)) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return one_line(&error),
    };
    let live = parameters();
    match checkpoint.restore(&live) {
        Ok(()) => {
            for (name, tensor) in &live {
                assert!(same(tensor, checkpoint.tensor(name).expect("a tensor")), "{name}");
            }
        }
        Err(error) => {
            one_line(&error);
            assert!(untouched(&live), "refused, and changed");
        }
    }
    if let Err(error) = checkpoint.counter("step") {
        one_line(&error);
    }
    // Written again, it is read as the same.
    let names: Vec<String> =
        SafeTensors::deserialize(bytes).expect("sound").names().into_iter().map(str::to_owned).collect();
    let tensor = |name: &String| checkpoint.tensor(name).map(Tensor::shallow_clone).expect("every tensor of the file");
    let tensors: Named = names.iter().map(|name| (name.clone(), tensor(name))).collect();
    in_folder(|folder| {
        let written = checkpoint::write(folder, 7, &tensors, checkpoint.metadata.clone()).expect("a checkpoint");
        let again = Checkpoint::read(&written).expect("what was written");
        assert_eq!(again.metadata, checkpoint.metadata);
        assert!(tensors.iter().all(|(name, tensor)| same(again.tensor(name).expect("a tensor"), tensor)));
    });
}

/// Equal to the bit.
fn same(one: &Tensor, other: &Tensor) -> bool {
    let bytes = |tensor: &Tensor| {
        let flat = tensor.contiguous();
        let mut bytes = vec![0_u8; flat.numel() * flat.kind().elt_size_in_bytes()];
        flat.copy_data_u8(&mut bytes, flat.numel());
        bytes
    };
    one.kind() == other.kind() && one.size() == other.size() && bytes(one) == bytes(other)
}

/// A sound safetensors file under the checksum of names and contents that first checkpoints have.
fn resealed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(bytes).ok()?;
    let tensors = SafeTensors::deserialize(bytes).ok()?;
    let mut metadata: HashMap<String, String> = header.metadata().clone().unwrap_or_default();
    let mut views = tensors.tensors();
    views.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut hasher = crc32fast::Hasher::new();
    for (name, view) in &views {
        hasher.update(name.as_bytes());
        hasher.update(&(view.data().len() as u64).to_le_bytes());
        hasher.update(view.data());
    }
    metadata.insert("crc32".to_owned(), format!("{:08x}", hasher.finalize()));
    metadata.remove("checksum");
    safetensors::serialize(views, Some(metadata)).ok()
}

/// A JSON object of names (or nothing), a zero byte, and a safetensors file.
pub fn weights(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|&byte| byte == 0) else { return };
    let path = file("weights.safetensors", &bytes[end + 1..]);
    let names = (end > 0).then(|| file("names.json", &bytes[..end]));
    for head in [Head::Halves, Head::Interleaved] {
        let live = parameters();
        let weights = Weights { file: path.clone(), names: names.clone(), head };
        match within(Bound::Text, bytes.len(), || weights.restore(&live)) {
            Ok(_) => {
                let finite = live.iter().all(|(_, tensor)| tensor.isfinite().all().int64_value(&[]) == 1);
                assert!(finite, "accepted weights that are not finite");
            }
            Err(error) => {
                one_line(&error);
                assert!(untouched(&live), "refused, and changed");
            }
        }
    }
}
