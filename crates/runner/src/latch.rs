//! Remembers, on the device, the first step whose loss or gradients were not finite.

use anyhow::Result;
use tch::{Kind, Tensor};

/// The first bad step's number, batch and terms. The host asks at log points only.
#[derive(Debug)]
pub struct Latch {
    step: Tensor,
    indices: Tensor,
    values: Option<Tensor>,
}

/// What the latch holds, on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct BadStep {
    /// Updates done before the bad step.
    pub step: u64,
    /// Indices of its batch in the training set.
    pub indices: Vec<i64>,
    /// Its scalars, in the window's order.
    pub values: Vec<f64>,
}

impl Latch {
    /// Nothing remembered. `like` is a batch's index tensor.
    pub fn new(like: &Tensor) -> Self {
        let step = Tensor::full([], -1, (Kind::Int64, like.device()));
        Self { step, indices: like.zeros_like(), values: None }
    }

    /// Takes the step's number, indices and values where `non_finite` is 1 and nothing was remembered before.
    pub fn update(&mut self, non_finite: &Tensor, step: &Tensor, indices: &Tensor, values: &Tensor) {
        let first = non_finite.ne(0).logical_and(&self.step.lt(0));
        let remembered = self.values.get_or_insert_with(|| values.zeros_like());
        // `indices` may be a view of the order tensor, so values are copied, never kept.
        remembered.copy_(&values.where_self(&first, remembered));
        self.indices.copy_(&indices.where_self(&first, &self.indices));
        self.step.copy_(&step.where_self(&first, &self.step));
    }

    /// Reads the latch: a transfer.
    ///
    /// # Errors
    /// When libtorch does.
    pub fn read(&self) -> Result<Option<BadStep>> {
        let step = self.step.f_int64_value(&[])?;
        let Some(values) = self.values.as_ref().filter(|_| step >= 0) else { return Ok(None) };
        Ok(Some(BadStep {
            step: step as u64,
            indices: Vec::try_from(&self.indices)?,
            values: Vec::try_from(values.to_kind(Kind::Double))?,
        }))
    }
}
