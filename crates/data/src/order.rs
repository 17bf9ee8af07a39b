//! Shuffled sampling without replacement, on the device.

use elbo_native::Generator;
use tch::{Device, Kind, Tensor};

use crate::error::DataError;

/// The order in which an epoch reads the images: a permutation of `0..len` and a cursor in it, both on the device, so that a step
/// which takes its batch from here can be captured. The last short batch of an epoch is dropped.
///
/// ```text
/// indices = order[cursor .. cursor + B],   cursor += B          in the step, on the device
/// end of the epoch: order ← a new permutation, cursor ← 0       between steps, in place
/// ```
///
/// The host counts steps instead of reading the cursor: a run calls [`next_indices`](Self::next_indices) inside its step (or
/// replays a captured one), then [`advance`](Self::advance), then, at [`end_of_epoch`](Self::end_of_epoch),
/// [`refill`](Self::refill).
#[derive(Debug)]
pub struct BatchOrder {
    /// Int64 `[len]`.
    order: Tensor,
    /// Int64 scalar: where the next batch starts.
    cursor: Tensor,
    /// Int64 scalar: epochs completed.
    epochs: Tensor,
    /// Int64 `[batch]`: 0, 1, … B − 1.
    offsets: Tensor,
    len: i64,
    batch: i64,
    /// The host's mirror of `cursor` and `epochs`.
    position: i64,
    epoch: i64,
}

impl BatchOrder {
    /// A fresh order of `len` images for batches of `batch`, drawn from `generator`, on its device.
    ///
    /// # Errors
    /// [`DataError::Field`] `batch_size`, if there are fewer images than a batch takes, or if it is not positive.
    pub fn new(len: i64, batch: i64, generator: &Generator) -> Result<Self, DataError> {
        check_batch(len, batch)?;
        let device = generator.device();
        let int = |size: &[i64]| Tensor::zeros(size, (Kind::Int64, device));
        let mut order = Self {
            order: int(&[len]),
            cursor: int(&[]),
            epochs: int(&[]),
            offsets: Tensor::arange(batch, (Kind::Int64, device)),
            len,
            batch,
            position: 0,
            epoch: 0,
        };
        generator.permutation_into(&mut order.order)?;
        Ok(order)
    }

    /// Indices of the next batch, Int64 `[B]`, and the cursor moved past it: operators on the device only. The host's count is
    /// [`advance`](Self::advance)d apart, because a captured step runs this once and replays it often.
    pub fn next_indices(&mut self) -> Tensor {
        let indices = self.order.index_select(0, &(&self.offsets + &self.cursor));
        let _ = self.cursor.g_add_scalar_(self.batch);
        indices
    }

    /// Counts one step on the host. Once for each [`next_indices`](Self::next_indices), run or replayed.
    pub fn advance(&mut self) {
        self.position += self.batch;
    }

    /// Whether what is left is less than a batch, so that [`refill`](Self::refill) is due before the next step.
    pub fn end_of_epoch(&self) -> bool {
        self.position + self.batch > self.len
    }

    /// Begins the next epoch: a new permutation in the same tensor, the cursor at its start. Between steps.
    ///
    /// # Errors
    /// [`DataError::Native`], from libtorch.
    pub fn refill(&mut self, generator: &Generator) -> Result<(), DataError> {
        generator.permutation_into(&mut self.order)?;
        let _ = self.cursor.zero_();
        let _ = self.epochs.g_add_scalar_(1);
        self.position = 0;
        self.epoch += 1;
        Ok(())
    }

    /// Epochs completed.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Images read in this epoch.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Batches in an epoch.
    pub fn steps_per_epoch(&self) -> i64 {
        self.len / self.batch
    }

    /// Images in an epoch's order, those of the dropped last batch included.
    pub fn len(&self) -> i64 {
        self.len
    }

    /// Never: an order has a batch at least.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Images in a batch.
    pub fn batch(&self) -> i64 {
        self.batch
    }

    /// Where the order is.
    pub fn device(&self) -> Device {
        self.order.device()
    }

    /// The live tensors that a resume needs, by name: `order` (Int64 `[len]`), `cursor` and `epochs` (Int64 scalars). Restore them
    /// with `copy_`, then call [`sync_from_state`](Self::sync_from_state).
    pub fn state(&self) -> Vec<(String, Tensor)> {
        [("order", &self.order), ("cursor", &self.cursor), ("epochs", &self.epochs)]
            .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
            .into()
    }

    /// Takes the host's counts from the tensors, after they were restored.
    ///
    /// # Errors
    /// [`DataError::Order`] if they are no state of this order: not a permutation, or a cursor that no number of steps reaches.
    pub fn sync_from_state(&mut self) -> Result<(), DataError> {
        let (position, epoch) = (self.cursor.int64_value(&[]), self.epochs.int64_value(&[]));
        if position < 0 || position > self.len || position % self.batch != 0 {
            let (batch, len) = (self.batch, self.len);
            return Err(DataError::Order(format!(
                "expected a cursor that is a multiple of the batch of {batch} from 0 to {len}, got {position}"
            )));
        }
        if epoch < 0 {
            return Err(DataError::Order(format!("expected a number of epochs ≥ 0, got {epoch}")));
        }
        let identity = Tensor::arange(self.len, (Kind::Int64, self.order.device()));
        if !self.order.sort(0, false).0.equal(&identity) {
            return Err(DataError::Order(format!("expected a permutation of 0 to {}", self.len - 1)));
        }
        (self.position, self.epoch) = (position, epoch);
        Ok(())
    }
}

/// Holds a batch size against the number of images.
pub(crate) fn check_batch(len: i64, batch: i64) -> Result<(), DataError> {
    if (1..=len).contains(&batch) {
        return Ok(());
    }
    Err(DataError::field("batch_size", format!("expected 1 to {len}, the number of training images, got {batch}")))
}
