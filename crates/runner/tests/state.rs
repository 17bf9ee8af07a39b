//! What a resume stands on: checkpoints, windows, the latch, the lock.

use elbo_core::{NamedTensors, Scalars};
use elbo_native::testing::single_thread;
use elbo_runner::checkpoint::{self, Checkpoint, Metadata};
use elbo_runner::directory::{Found, RunDirectory};
use elbo_runner::latch::Latch;
use elbo_runner::window::Window;
use std::fs;
use tch::{Device, Kind, Tensor};

fn tensors() -> NamedTensors {
    vec![
        ("encoder.weight".to_owned(), Tensor::from_slice(&[1.0_f32, -2.5, f32::MIN_POSITIVE]).reshape([3, 1])),
        ("run.step".to_owned(), Tensor::from(7_i64)),
        ("run.generator".to_owned(), Tensor::from_slice(&[1_u8, 2, 255])),
        ("run.window".to_owned(), Tensor::zeros([0], (Kind::Double, Device::Cpu))),
    ]
}

fn blank() -> NamedTensors {
    tensors().into_iter().map(|(name, tensor)| (name, tensor.zeros_like())).collect()
}

#[test]
fn a_checkpoint_gives_back_every_bit() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let metadata = Metadata::from([("step".to_owned(), "7".to_owned())]);
    let file = checkpoint::write(folder.path(), 7, &tensors(), metadata).expect("written");
    let read = Checkpoint::read(&file).expect("read");
    assert_eq!(read.counter("step").expect("a counter"), 7);
    let live = blank();
    read.restore(&live).expect("restored");
    for ((name, restored), (_, original)) in live.iter().zip(tensors()) {
        assert_eq!(restored, &original, "{name}");
    }
}

/// What a run's checkpoint says beside its tensors.
fn metadata() -> Metadata {
    let texts = [("step", "7"), ("window_steps", "3"), ("window_layout", "[[\"loss\",[]]]"), ("wall_seconds", "1.25")];
    texts.map(|(name, text)| (name.to_owned(), text.to_owned())).into()
}

/// The file is about 1 kB, so every bit can be tried: no flip goes unnoticed, whether it hits a length, the header, a counter, a value
/// or the checksum, and nothing panics.
#[test]
fn every_flipped_bit_and_every_truncation_of_a_checkpoint_is_noticed() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let file = checkpoint::write(folder.path(), 7, &tensors(), metadata()).expect("written");
    let whole = fs::read(&file).expect("bytes");
    for length in 0..whole.len() {
        fs::write(&file, &whole[..length]).expect("truncated");
        assert!(Checkpoint::read(&file).is_err(), "cut to {length} of {} bytes", whole.len());
    }
    for (position, bit) in (0..whole.len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << bit;
        fs::write(&file, &flipped).expect("flipped");
        let error = Checkpoint::read(&file).expect_err(&format!("bit {bit} of byte {position}")).to_string();
        assert!(error.starts_with(&format!("{}: is damaged: ", file.display())), "{error}");
    }
}

/// Checkpoints written before the checksum covered more than names and contents are still read, and damaged ones still refused. The
/// checksum here is zlib's `crc32` of the name, its data's length as eight bytes, and the data, computed with Python.
#[test]
fn a_checkpoint_with_the_earlier_checksum_is_read() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("step-7.safetensors");
    let data = 7_i64.to_le_bytes();
    let write = |checksum: &str| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::I64, vec![], &data).expect("a view");
        let metadata = Metadata::from([("crc32".to_owned(), checksum.to_owned()), ("step".to_owned(), "7".to_owned())]);
        let content = safetensors::serialize([("run.step", view)], Some(metadata)).expect("serialised");
        fs::write(&file, content).expect("written");
    };
    write("62130a26");
    assert_eq!(Checkpoint::read(&file).expect("read").counter("step").expect("a counter"), 7);
    write("00000000");
    assert!(Checkpoint::read(&file).is_err());
}

#[test]
fn a_checkpoint_that_does_not_fit_changes_nothing() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let file = checkpoint::write(folder.path(), 7, &tensors(), Metadata::new()).expect("written");
    let mut live = blank();
    live[1].1 = Tensor::zeros([2], (Kind::Int64, Device::Cpu));
    let error = Checkpoint::read(&file).expect("read").restore(&live).expect_err("a refusal").to_string();
    assert!(error.ends_with("tensor run.step: expected (Int64, [2]), got (Int64, [])"), "{error}");
    assert_eq!(live[0].1, blank()[0].1);
}

#[test]
fn the_newest_checkpoints_are_kept() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    for step in [5, 10, 100, 20] {
        checkpoint::write(folder.path(), step, &tensors(), Metadata::new()).expect("written");
    }
    checkpoint::prune(folder.path(), 2).expect("pruned");
    let kept: Vec<u64> = checkpoint::list(folder.path()).expect("a list").into_iter().map(|(step, _)| step).collect();
    assert_eq!(kept, [100, 20]);
}

fn scalars(loss: f64, kl: [f64; 2]) -> Scalars {
    Scalars::new().with("loss", &Tensor::from(loss)).with("kl_per_dimension", &Tensor::from_slice(&kl))
}

#[test]
fn a_window_gives_means_by_name_and_goes_on_from_its_state() {
    single_thread();
    let mut window = Window::new(Device::Cpu);
    let _ = window.add(&scalars(1.0, [10.0, 20.0])).expect("added");
    window.count();
    let mut again = Window::restored(Device::Cpu, window.sums(), &window.describe(), window.steps()).expect("fits");
    for window in [&mut window, &mut again] {
        let _ = window.add(&scalars(2.0, [30.0, 0.0])).expect("added");
        window.count();
        let means = window.take().expect("means");
        let expected = [("loss", 1.5), ("kl_per_dimension/0", 20.0), ("kl_per_dimension/1", 10.0)];
        assert_eq!(means, expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(window.steps(), 0);
    }
    assert!(Window::restored(Device::Cpu, window.sums(), "loss:0\n", 1).is_err());
}

/// As when a program that reports something new goes on with an older one's run: between log points its means would be of other values.
#[test]
fn a_window_takes_other_scalars_only_while_it_is_empty() {
    single_thread();
    let mut window = Window::new(Device::Cpu);
    let _ = window.add(&scalars(1.0, [10.0, 20.0])).expect("added");
    window.count();
    let more = scalars(2.0, [30.0, 0.0]).with("capacity", &Tensor::from(0.5));
    let shorter = Scalars::new().with("loss", &Tensor::from(1.0)).with("kl_per_dimension", &Tensor::from_slice(&[1.0]));
    let turned =
        Scalars::new().with("kl_per_dimension", &Tensor::from_slice(&[1.0, 2.0])).with("loss", &Tensor::from(1.0));
    for (other, reason) in [
        (&more, "with capacity"),
        (&shorter, "with kl_per_dimension [1] and without kl_per_dimension [2]"),
        (&turned, "they come in another order"),
    ] {
        let error = window.add(other).expect_err("other scalars").to_string();
        let wanted = "a step reports other scalars than the steps since the last log point (1 of them)";
        assert_eq!(error, format!("{wanted}: {reason}"));
    }
    assert_eq!(window.take().expect("means").len(), 3);
    let _ = window.add(&more).expect("an empty window");
    window.count();
    let last = window.take().expect("means").pop().expect("values");
    assert_eq!(last, ("capacity".to_owned(), 0.5));
}

#[test]
fn the_latch_keeps_the_first_bad_step() {
    single_thread();
    let mut latch = Latch::new(&Tensor::zeros([2], (Kind::Int64, Device::Cpu)));
    let steps = [(0_i64, 0.0_f32, [1_i64, 2], 1.0), (1, 1.0, [3, 4], f64::NAN), (2, 1.0, [5, 6], f64::INFINITY)];
    for (step, bad, indices, value) in steps {
        let values = Tensor::from_slice(&[value, 0.5]);
        latch.update(&Tensor::from(bad), &Tensor::from(step), &Tensor::from_slice(&indices), &values);
        let kept = latch.read().expect("read");
        assert_eq!(kept.is_some(), step > 0);
    }
    let kept = latch.read().expect("read").expect("a bad step");
    assert_eq!((kept.step, kept.indices), (1, vec![3, 4]));
    assert!(kept.values[0].is_nan() && kept.values[1].to_bits() == 0.5_f64.to_bits());
}

#[test]
fn a_directory_is_for_one_run_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("deep/run");
    assert_eq!(RunDirectory::look(&path), Ok(Found::Nothing));
    RunDirectory::probe(&path).expect("writable");
    assert!(!folder.path().join("deep").exists(), "a probe leaves nothing behind");
    let held = RunDirectory::open(&path).expect("opened");
    assert_eq!(RunDirectory::look(&path), Ok(Found::Unfinished));
    let line =
        format!("{}: is in use by another process; wait for it, or give this run another --run-dir", path.display());
    assert_eq!(RunDirectory::open(&path).expect_err("in use").to_string(), line);
    assert_eq!(RunDirectory::refuse_locked(&path).expect_err("in use").to_string(), line);
    drop(held);
    RunDirectory::refuse_locked(&path).expect("free");
    RunDirectory::open(&path).expect("free");
    fs::write(path.join("notes.txt"), "mine").expect("written");
    let line = format!("{}: expected a new or empty directory, or a run's; found other files", path.display());
    assert_eq!(RunDirectory::look(&path).expect_err("not ours").to_string(), line);
    let below_a_file = path.join("notes.txt/run");
    assert!(RunDirectory::probe(&below_a_file).is_err());
}
