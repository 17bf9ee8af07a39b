//! A loss that is not finite ends the run, with what is needed to find out why.

use super::Run;
use crate::Diverged;
use crate::latch::BadStep;
use crate::method::Method;
use crate::records::summary::Status;
use anyhow::Result;
use serde_json::{Map, Value, json};

impl<M: Method> Run<M> {
    /// Asks the device whether a step was bad: at log points and before checkpoints only.
    pub(super) fn stop_if_diverged(&mut self) -> Result<()> {
        let Some(bad) = self.trainer.latch.read()? else { return Ok(()) };
        let report = self.report(&bad)?;
        Self::write_file(&self.directory.divergence(), &report)?;
        self.close(Status::Diverged)?;
        Err(Diverged { step: bad.step + 1, report: self.directory.divergence() }.into())
    }

    fn report(&self, bad: &BadStep) -> Result<Value> {
        let terms: Map<String, Value> =
            self.trainer.window.names().into_iter().zip(bad.values.iter().map(|&value| number(value))).collect();
        Ok(json!({
            "step": bad.step + 1,
            "batch_indices": bad.indices,
            "terms": terms,
            "last_good_checkpoint": self.last_checkpoint()?,
        }))
    }

    /// The loss was finite, yet a parameter or a moment of the optimiser is not: the update itself overflowed.
    pub(super) fn diverged_in_state(&self, tensor: &str) -> Result<Diverged> {
        let report = json!({
            "step": self.step(),
            "tensor": tensor,
            "last_good_checkpoint": self.last_checkpoint()?,
        });
        Self::write_file(&self.directory.divergence(), &report)?;
        Ok(Diverged { step: self.step(), report: self.directory.divergence() })
    }
}

/// JSON has no NaN: a value that is not finite is written as a word.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}
