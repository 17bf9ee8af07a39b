//! Memory that runs out in the middle of work: one line in the place of a panic.

use crate::InputError;
use anyhow::Result;
use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

/// Runs `work`. Where libtorch finds no memory, tch's plain operators panic; that becomes an error of one line. Every other panic is a
/// mistake in a program, and goes on as one.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |information| {
        if explain(text(information.payload())).is_none() {
            usual(information);
        }
    }));
    let result =
        panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| match explain(text(payload.as_ref())) {
            Some(line) => Err(InputError::new(line).into()),
            None => panic::resume_unwind(payload),
        });
    result.map_err(|error| match explain(&format!("{error:#}")) {
        Some(line) => InputError::new(line).into(),
        None => error,
    })
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let owned = payload.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("")
}

/// The line for what libtorch says where an allocation fails, on the CPU or on CUDA.
fn explain(message: &str) -> Option<String> {
    let advice = "a smaller data.batch_size, or --batch-size, takes less; nothing that was saved is lost";
    if message.contains("DefaultCPUAllocator: ") {
        let bytes = message.split("you tried to allocate ").nth(1).and_then(|rest| rest.split(' ').next());
        let wanted = bytes.map_or("an allocation".to_owned(), |bytes| format!("an allocation of {bytes} bytes"));
        return Some(format!("out of memory: {wanted} failed; {advice}"));
    }
    message.contains("CUDA out of memory").then(|| format!("out of memory on the GPU; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_says_becomes_one_line() {
        let panicked = caught::<()>(|| {
            panic!(
                "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 4194304000 bytes. Error code 12\")"
            )
        });
        let line = panicked.expect_err("an error").to_string();
        assert!(line.starts_with("out of memory: an allocation of 4194304000 bytes failed; "), "{line}");
        let returned = caught::<()>(|| anyhow::bail!("CUDA out of memory. Tried to allocate 2.00 GiB"));
        assert!(returned.expect_err("an error").to_string().starts_with("out of memory on the GPU; "));
        assert_eq!(caught(|| Ok(3)).expect("a result"), 3);
        assert_eq!(caught::<()>(|| anyhow::bail!("other")).expect_err("an error").to_string(), "other");
    }

    #[test]
    #[should_panic(expected = "a mistake")]
    fn other_panics_go_on() {
        let _ = caught::<()>(|| panic!("a mistake"));
    }
}
