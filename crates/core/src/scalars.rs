//! What a training step reports: named device scalars, read by the host only when they are logged.

use tch::Tensor;

/// Named values of one step, on the device, without gradients.
///
/// A value is a scalar, or a vector `[D]` that is logged as `<name>/0`, `<name>/1`, …; names carry no `train/` prefix. An entry whose name
/// starts with `schedule/` is a setting rather than a measurement. The names, their order and the shapes are the same at every step.
#[derive(Debug, Default)]
pub struct Scalars {
    entries: Vec<(String, Tensor)>,
    non_finite: Option<Tensor>,
}

impl Scalars {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value: a scalar, or `[D]`. The gradient's graph is cut here.
    pub fn with(mut self, name: impl Into<String>, value: &Tensor) -> Self {
        self.push(name, value);
        self
    }

    /// [`Scalars::with`] for loops.
    pub fn push(&mut self, name: impl Into<String>, value: &Tensor) {
        let name = name.into();
        assert!(value.dim() <= 1, "scalar '{name}' must have shape [] or [D], got {:?}", value.size());
        assert!(self.entries.iter().all(|(other, _)| *other != name), "scalar '{name}' is reported twice");
        self.entries.push((name, value.detach()));
    }

    /// Says on the device whether this step's loss or gradients were not finite, in which case its update was skipped: a scalar, 0 or 1.
    pub fn with_non_finite(mut self, flag: &Tensor) -> Self {
        self.non_finite = Some(flag.detach());
        self
    }

    /// The values, in the order they were added.
    pub fn entries(&self) -> &[(String, Tensor)] {
        &self.entries
    }

    /// The value called `name`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.entries.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The flag of [`Scalars::with_non_finite`].
    pub fn non_finite(&self) -> Option<&Tensor> {
        self.non_finite.as_ref()
    }
}
