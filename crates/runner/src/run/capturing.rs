//! Whether a run's steps are captured in a CUDA graph, and what is said of it.

use super::Note;
use crate::InputError;
use crate::capture::Cuda;
use crate::config::Capture;
use crate::trainer::{Stepped, Trainer};
use tch::Device;

/// Prepares the capture that `train.capture` asks for; `alone` where no other process trains with this one. Returns what a person should
/// know.
///
/// # Errors
/// `on`, where there is nothing to capture in.
pub(super) fn prepare(
    trainer: &mut Trainer,
    wanted: Capture,
    device: Device,
    alone: bool,
    origin: &str,
) -> Result<Option<Note>, InputError> {
    let refusal = |reason: String| InputError::new(format!("{origin}: train.capture: {reason}, got \"on\""));
    let recorder = match wanted {
        Capture::Off => return Ok(None),
        _ if !device.is_cuda() => Err("expected \"auto\" or \"off\" on the CPU".to_owned()),
        _ if !alone => {
            Err("expected \"auto\" or \"off\" for several processes, whose exchanges are not captured".to_owned())
        }
        _ => Cuda::on(device).map_err(|error| format!("expected a device that can capture ({error})")),
    };
    match recorder {
        Ok(recorder) => {
            trainer.capture(recorder);
            Ok(None)
        }
        Err(reason) if wanted == Capture::On => Err(refusal(reason)),
        // What is the rule needs no word.
        Err(_) if !device.is_cuda() || !alone => Ok(None),
        Err(reason) => Ok(Some(Note::Warning(format!("steps run one by one: {reason}")))),
    }
}

/// What a person should know of how steps are taken.
///
/// # Errors
/// They cannot be captured, and `on` asks for it.
pub(super) fn note(stepped: Stepped, wanted: Capture) -> Result<Note, InputError> {
    match stepped {
        Stepped::Captured(nodes) => {
            Ok(Note::Information(format!("the training step is captured: one CUDA graph of {nodes} nodes")))
        }
        Stepped::NotCaptured(reason) if wanted == Capture::On => Err(InputError::new(format!(
            "train.capture: expected \"auto\" or \"off\" for a step that cannot be captured ({reason}), got \"on\""
        ))),
        Stepped::NotCaptured(reason) => {
            Ok(Note::Warning(format!("the training step cannot be captured, and runs operator by operator: {reason}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_cannot_be_captured_is_a_warning_or_where_it_has_to_be_an_error() {
        let reason = || Stepped::NotCaptured("aten::nonzero makes the host wait for the device".to_owned());
        let warning = note(reason(), Capture::Auto).expect("a note");
        assert!(
            matches!(warning, Note::Warning(text) if text.ends_with("aten::nonzero makes the host wait for the device"))
        );
        let error = note(reason(), Capture::On).expect_err("a refusal").to_string();
        assert!(
            error.starts_with("train.capture: expected \"auto\" or \"off\"") && error.ends_with("got \"on\""),
            "{error}"
        );
    }
}
