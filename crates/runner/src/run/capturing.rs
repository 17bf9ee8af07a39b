//! Whether a run's steps are captured in a CUDA graph, and what is said of it.

use super::Note;
use crate::InputError;
use crate::capture::Cuda;
use crate::config::Capture;
use crate::trainer::{Stepped, Trainer};
use elbo_native::Stream;
use std::rc::Rc;
use tch::Device;

/// The run's own stream on a CUDA device, and in it the capture that `train.capture` asks for; `alone` where no other process trains with
/// this one. Returns what a person should know, too.
///
/// # Errors
/// `on`, where there is nothing to capture in.
pub(super) fn prepare(
    trainer: &mut Trainer,
    wanted: Capture,
    device: Device,
    alone: bool,
    origin: &str,
) -> Result<(Option<Rc<Stream>>, Option<Note>), InputError> {
    let impossible = if !device.is_cuda() {
        Some("expected \"auto\" or \"off\" on the CPU".to_owned())
    } else if !alone {
        Some("expected \"auto\" or \"off\" for several processes, whose exchanges are not captured".to_owned())
    } else {
        match Stream::new(device) {
            Ok(stream) => {
                let stream = Rc::new(stream);
                if wanted != Capture::Off {
                    trainer.capture(Cuda::new(Rc::clone(&stream)));
                }
                return Ok((Some(stream), None));
            }
            Err(error) if wanted == Capture::Auto => {
                return Ok((None, Some(Note::Warning(format!("steps run one by one: {error}")))));
            }
            Err(error) => Some(format!("expected \"auto\" or \"off\" ({error})")),
        }
    };
    match impossible {
        Some(reason) if wanted == Capture::On => {
            Err(InputError::new(format!("{origin}: train.capture: {reason}, got \"on\"")))
        }
        _ => Ok((None, None)),
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
