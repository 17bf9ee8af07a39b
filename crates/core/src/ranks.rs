//! Several processes that train one model.
//!
//! Every rank holds the whole model and sees the whole batch, draws the noise of the whole batch, and computes networks for its own rows
//! only. What the networks return is exchanged, so that every rank evaluates the loss of the whole batch, its own rows being variables
//! and the others' constants:
//!
//! ```text
//! ∂L/∂θ = Σ_r ∂L(o_1, …, o_R)/∂o_r · ∂o_r/∂θ          the chain rule; o_r is what the networks return for rank r's rows
//! ```
//!
//! A rank computes one summand, and one sum over ranks makes the gradient: exact for every loss of a forward pass, also for those that
//! set the examples of a batch against each other, as the estimators of the total correlation do. Averaging the gradients of R losses of
//! B/R examples, as data-parallel training usually does, would be another loss there.

use elbo_native::{Lookout, ProcessGroup, Store};
use std::sync::atomic::{AtomicU64, Ordering};
use tch::{Device, Kind, Tensor};

/// This process among those that train one model.
#[derive(Debug)]
pub struct Ranks {
    group: ProcessGroup,
    exchanges: AtomicU64,
}

/// The ranks did not come together: one of them is lost, or late.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the processes did not come together: {0}")]
pub struct ExchangeFailed(#[from] elbo_native::Error);

type Result<T> = std::result::Result<T, ExchangeFailed>;

impl Ranks {
    /// The ranks of a process group.
    pub fn new(group: ProcessGroup) -> Self {
        Self { group, exchanges: AtomicU64::new(0) }
    }

    /// This process, from 0.
    pub fn rank(&self) -> i64 {
        self.group.rank()
    }

    /// How many processes there are.
    pub fn size(&self) -> i64 {
        self.group.size()
    }

    /// How often this rank has come to an exchange: the same number on all ranks, but for those that are behind.
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Ordering::Relaxed)
    }

    fn come(&self) -> &ProcessGroup {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        &self.group
    }

    /// This rank's rows: `[.., B, ..]` → `[.., B/R, ..]` along `dimension`, which may be counted from the end.
    ///
    /// # Panics
    /// R does not divide B.
    pub fn own(&self, all: &Tensor, dimension: i64) -> Tensor {
        let length = all.size()[index(all, dimension)];
        assert_eq!(length % self.size(), 0, "{} ranks cannot share {length} rows evenly", self.size());
        let rows = length / self.size();
        all.narrow(dimension, self.rank() * rows, rows)
    }

    /// The rows of all ranks, `[.., B/R, ..]` → `[.., B, ..]` along the dimension that stands beside each tensor. Its own rows are part
    /// of autograd's graph, the others constants. One exchange.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn gather(&self, own: &[(&Tensor, i64)]) -> Result<Vec<Tensor>> {
        let flat: Vec<Tensor> = own.iter().map(|(tensor, _)| tensor.detach().reshape([-1])).collect();
        let all = self.come().gather(&Tensor::cat(&flat, 0))?;
        let mut start = 0;
        let mut gathered = Vec::with_capacity(own.len());
        for &(tensor, dimension) in own {
            let length = tensor.numel() as i64;
            let mut parts = all.narrow(1, start, length).unbind(0);
            for part in &mut parts {
                *part = part.reshape(tensor.size());
            }
            parts[self.rank() as usize] = tensor.shallow_clone();
            gathered.push(Tensor::cat(&parts, dimension));
            start += length;
        }
        Ok(gathered)
    }

    /// The sums of gradients over all ranks, in one exchange; the same bits on every rank.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn sum(&self, gradients: &[Tensor]) -> Result<Vec<Tensor>> {
        let flat: Vec<Tensor> = gradients.iter().map(|gradient| gradient.reshape([-1])).collect();
        let mut bucket = Tensor::cat(&flat, 0);
        self.come().sum_(&mut bucket)?;
        let lengths: Vec<i64> = flat.iter().map(|part| part.size()[0]).collect();
        let parts = bucket.split_with_sizes(&lengths, 0);
        Ok(parts.iter().zip(gradients).map(|(part, gradient)| part.view_as(gradient)).collect())
    }

    /// Replaces `tensor` by rank 0's.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn take_first(&self, tensor: &Tensor) -> Result<()> {
        // Through a copy: a parameter must not change behind autograd's back.
        let mut copy = tensor.detach().copy();
        self.come().broadcast_(&mut copy)?;
        tch::no_grad(|| tensor.shallow_clone().copy_(&copy));
        Ok(())
    }

    /// How many ranks say yes.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn count(&self, yes: bool) -> Result<i64> {
        let mut sum = Tensor::from(i64::from(yes)).reshape([1]);
        self.come().sum_(&mut sum)?;
        Ok(i64::try_from(sum.get(0)).expect("one number"))
    }

    /// From now on CUDA tensors go from GPU to GPU, where every rank has one to itself; returns whether they do. All ranks call it.
    ///
    /// # Errors
    /// A rank is lost, or the GPUs cannot be connected.
    pub fn join_gpus(&self, store: &Store, host: &str, device: Device) -> Result<bool> {
        Ok(self.group.join_gpus(store, host, device)?)
    }

    /// Whom to ask whether a rank is lost, while the host waits for the device.
    pub fn look_out(&self, lookout: Lookout) {
        self.group.look_out(lookout);
    }

    /// Waits until the device has done all exchanges: before the host reads anything that depends on them.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn settle(&self) -> Result<()> {
        Ok(self.group.settle()?)
    }

    /// Waits until every rank is here.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn meet(&self) -> Result<()> {
        self.count(true).map(drop)
    }

    /// The ranks whose `tensors` are not bit for bit rank 0's: compared by two sums of each.
    ///
    /// # Errors
    /// A rank is lost, or late.
    pub fn differing(&self, tensors: &[Tensor]) -> Result<Vec<i64>> {
        let sums: Vec<Tensor> = tensors.iter().flat_map(fingerprint).collect();
        let all = self.come().gather(&Tensor::stack(&sums, 0))?;
        self.settle()?;
        let first = all.get(0);
        Ok((1..self.size()).filter(|&rank| !all.get(rank).equal(&first)).collect())
    }
}

/// Two sums in float64: of the values, and of their squares under a weight that grows along the tensor.
fn fingerprint(tensor: &Tensor) -> [Tensor; 2] {
    let values = tensor.detach().reshape([-1]).to_kind(Kind::Double);
    let places = Tensor::arange(values.size()[0], (Kind::Double, values.device())) + 1.0;
    [values.sum(Kind::Double), (values.square() * places).sum(Kind::Double)]
}

fn index(tensor: &Tensor, dimension: i64) -> usize {
    let dimensions = tensor.dim() as i64;
    (if dimension < 0 { dimension + dimensions } else { dimension }) as usize
}
