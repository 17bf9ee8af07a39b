//! Files that mean harm, or that are something else than they are taken for.

use elbo_native::testing::single_thread;
use elbo_runner::checkpoint::{self, Checkpoint, Metadata};
use elbo_runner::config::{Override, read_json};
use elbo_runner::weights::{Head, Weights};
use elbo_runner::{InputError, RunConfig};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use tch::Tensor;

/// `os.system("touch <mark>")`, as a pickle of protocol 2: unpickling runs it.
fn pickle(mark: &Path) -> Vec<u8> {
    let command = format!("touch {}", mark.display());
    [b"\x80\x02cposix\nsystem\nX", &(command.len() as u32).to_le_bytes()[..], command.as_bytes(), b"\x85R."].concat()
}

/// What `torch.save` wrote before PyTorch 1.6, and the first bytes of what it writes since.
#[test]
fn a_pickle_is_refused_in_one_line_that_names_the_format_and_nothing_of_it_runs() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("ran");
    for content in [pickle(&mark), [b"PK\x03\x04\0\0\0\0", &pickle(&mark)[..]].concat()] {
        let file = folder.path().join("model.pt");
        fs::write(&file, content).expect("written");
        let error = format!("{:#}", Checkpoint::read(&file).expect_err("a refusal"));
        assert!(
            error.contains("expected a checkpoint, a safetensors file, got an archive or a pickle of torch.save"),
            "{error}"
        );
        let weights = Weights { file: file.clone(), names: None, head: Head::Halves };
        let error = format!("{:#}", weights.restore(&Vec::new()).expect_err("a refusal"));
        assert!(
            error.contains("model.pt: expected a sound safetensors file, got an archive or a pickle of torch.save"),
            "{error}"
        );
        assert!(!error.contains('\n') && !mark.exists());
    }
}

/// A header of 640 bytes begins with 80 02, as a pickle does; one of 67 324 752 bytes would begin with PK.
#[test]
fn a_safetensors_file_that_begins_like_a_pickle_is_read() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let tensors = vec![("encoder.weight".to_owned(), Tensor::from_slice(&[1.0_f32]))];
    let begins_so = (0..640).any(|length| {
        let metadata = Metadata::from([("padding".to_owned(), "x".repeat(length))]);
        let file = checkpoint::write(folder.path(), 7, &tensors, metadata).expect("written");
        let found = fs::read(&file).expect("bytes").starts_with(&[0x80, 2]);
        if found {
            Checkpoint::read(&file).expect("a checkpoint");
        }
        found
    });
    assert!(begins_so, "no header of 640 bytes among them");
}

/// The names in a header are whatever someone wrote there: they are printed as escapes.
#[test]
fn a_name_with_line_ends_stays_on_one_line() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("step-7.safetensors");
    let view = TensorView::new(Dtype::BF16, vec![1], &[0, 0]).expect("a view");
    let mut hasher = crc32fast::Hasher::new();
    for part in [&b"a\nb"[..], &2_u64.to_le_bytes(), &[0, 0]] {
        hasher.update(part);
    }
    let metadata = Metadata::from([("crc32".to_owned(), format!("{:08x}", hasher.finalize()))]);
    fs::write(&file, safetensors::serialize([("a\nb", view)], Some(metadata)).expect("bytes")).expect("written");
    let error = format!("{:#}", Checkpoint::read(&file).expect_err("a refusal"));
    assert!(error.contains("tensor a\\nb is of type BF16") && !error.contains('\n'), "{error}");
}

#[test]
fn what_a_configuration_says_is_printed_on_one_line() {
    assert_eq!(InputError::new("a\nb\u{1b}[2J").to_string(), "a\\nb\\u{1b}[2J");
    let error = RunConfig::<Value>::from_value(json!({ "name\n": 1 }), "some.json").expect_err("a refusal").to_string();
    assert!(!error.contains('\n'), "{error}");
}

/// Objects are made on the way to a field; a hundred thousand levels of them cannot be read, or even dropped, without recursion.
#[test]
fn an_override_reaches_only_so_deep() {
    assert!("a.b.c.d=1".parse::<Override>().is_ok());
    let deep = format!("{}z=1", "a.".repeat(100_000));
    let error = deep.parse::<Override>().expect_err("a refusal");
    assert_eq!(error, "expected a path of at most 32 parts, got 100001");
}

/// A device says that it has no bytes and has no end.
#[test]
fn a_file_without_an_end_is_not_read_to_it() {
    let error = read_json(Path::new("/dev/zero")).expect_err("a refusal").to_string();
    assert_eq!(error, "/dev/zero: expected a JSON file of at most 1048576 bytes, got more");
}

/// Found by `make fuzz`: what stands in a counter's place was repeated as it was, and could steer a terminal.
#[test]
fn a_counter_that_is_no_number_cannot_steer_a_terminal_or_fill_it() {
    single_thread();
    let folder = tempfile::tempdir().expect("a folder");
    let tensors = vec![("encoder.weight".to_owned(), Tensor::from_slice(&[1.0_f32]))];
    for value in ["7\u{7f}\u{1b}[2J".to_owned(), "9".repeat(100_000)] {
        let metadata = Metadata::from([("step".to_owned(), value)]);
        let file = checkpoint::write(folder.path(), 7, &tensors, metadata).expect("written");
        let error = format!("{:#}", Checkpoint::read(&file).expect("sound").counter("step").expect_err("a refusal"));
        assert!(error.contains("step-7.safetensors: metadata step: expected a whole number, got \""), "{error:?}");
        assert!(!error.chars().any(char::is_control) && error.len() < 400, "{error:?}");
    }
}
