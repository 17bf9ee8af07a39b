//! CUDA graphs: a piece of work on the device, recorded once and replayed by one call.

use crate::cuda_object::{Functions, functions};
use crate::shim::{RawGraph, RawSide, cuda_index};
use crate::{Error, Generator, Result};
use std::ffi::c_int;
use tch::Device;

/// A stream of its own on a CUDA device: what it is given is done in order, beside what other streams do.
pub struct Stream {
    raw: *mut RawSide,
    functions: &'static Functions,
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `elbo_cuda_side_new` and is freed here only. The stream itself is one of libtorch's pool and stays.
        unsafe { (self.functions.elbo_cuda_side_free)(self.raw) }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Stream {
    /// A stream on `device`.
    ///
    /// # Errors
    /// `device` is no CUDA device that this process can use; the message says why.
    pub fn new(device: Device) -> Result<Self> {
        let Device::Cuda(index) = device else {
            return Err(Error::new(format!("a stream needs a CUDA device, got {device:?}")));
        };
        let functions = functions()?;
        let index = cuda_index(index)?;
        // SAFETY: a plain number in, one new object out.
        let raw = functions.receive(|out| unsafe { (functions.elbo_cuda_side_new)(index, out) })?;
        Ok(Self { raw, functions })
    }

    /// Runs `work` with this stream as the thread's current one: it begins, on the device, after all that was given to the stream that was
    /// current before, and that one goes on after it. The host waits for nothing.
    ///
    /// # Errors
    /// When CUDA does.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        self.with(true, work)
    }

    /// As [`Stream::run`], and no stream waits for another: what `work` reads must be there, and what it leaves behind be looked at in
    /// this stream, or after [`Stream::wait`].
    ///
    /// # Errors
    /// When CUDA does.
    pub fn run_apart<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        self.with(false, work)
    }

    fn with<T>(&self, ordered: bool, work: impl FnOnce() -> T) -> Result<T> {
        let ordered = c_int::from(ordered);
        // SAFETY: `raw` is alive.
        self.functions.check(unsafe { (self.functions.elbo_cuda_side_enter)(self.raw, ordered) })?;
        let entered = Entered(self);
        let value = work();
        std::mem::forget(entered);
        // SAFETY: as above.
        self.functions.check(unsafe { (self.functions.elbo_cuda_side_leave)(self.raw, ordered) })?;
        Ok(value)
    }

    /// Waits until the stream has done all that it was given.
    ///
    /// # Errors
    /// What failed on the device.
    pub fn wait(&self) -> Result<()> {
        // SAFETY: `raw` is alive.
        self.functions.check(unsafe { (self.functions.elbo_cuda_side_wait)(self.raw) })
    }
}

/// Leaves the stream where the work in it panics.
struct Entered<'a>(&'a Stream);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        // SAFETY: the stream is alive. An error has nowhere to go beside the panic under way.
        unsafe { (self.0.functions.elbo_cuda_side_leave)(self.0.raw, 1) };
    }
}

/// Work that was recorded. Replaying it reads and writes the tensors that were there at the recording, at their addresses.
pub struct Graph {
    raw: *mut RawGraph,
    functions: &'static Functions,
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `elbo_cuda_graph_new` and is freed here only. CUDA keeps what a replay under way needs.
        unsafe { (self.functions.elbo_cuda_graph_free)(self.raw) }
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}

impl Graph {
    /// A graph of work that draws from `generators`: each replay draws what running the work would have drawn, and leaves them where
    /// it would have left them.
    ///
    /// # Errors
    /// A generator is not on a CUDA device, or is registered with a graph that is being recorded.
    pub fn new(stream: &Stream, generators: &[&Generator]) -> Result<Self> {
        let functions = stream.functions;
        // SAFETY: one new object out.
        let raw = functions.receive(|out| unsafe { (functions.elbo_cuda_graph_new)(out) })?;
        let graph = Self { raw, functions };
        for generator in generators {
            if !generator.device().is_cuda() {
                return Err(Error::new(format!(
                    "a graph draws from CUDA generators, got one on {:?}",
                    generator.device()
                )));
            }
            // SAFETY: both are alive; the graph keeps a reference of its own to the generator's state.
            functions.check(unsafe { (functions.elbo_cuda_graph_register)(graph.raw, generator.raw()) })?;
        }
        Ok(graph)
    }

    /// Records what `work` gives to `stream`; nothing of it is done yet. Once for each graph.
    ///
    /// The same work should have run in the stream some times before: libraries choose their kernels and memory at the first
    /// calls. Tensors that `work` makes keep their memory for the graph; whoever keeps one reads the last replay's value in it.
    ///
    /// # Errors
    /// `work` did something that cannot be recorded, such as waiting for the device. The generators may then be in the middle of a
    /// recording: go on with new ones, from states taken before.
    pub fn record<T>(&self, stream: &Stream, work: impl FnOnce() -> T) -> Result<T> {
        stream.run(|| {
            // SAFETY: the graph is alive.
            self.functions.check(unsafe { (self.functions.elbo_cuda_graph_begin)(self.raw) })?;
            let recording = Recording(self);
            let value = work();
            std::mem::forget(recording);
            // SAFETY: as above.
            self.functions.check(unsafe { (self.functions.elbo_cuda_graph_end)(self.raw) })?;
            Ok(value)
        })?
    }

    /// Does the work once more, in `stream`: one call, and the host waits for nothing.
    ///
    /// # Errors
    /// When CUDA does.
    pub fn replay(&self, stream: &Stream) -> Result<()> {
        // SAFETY: the graph is alive.
        stream.run(|| self.functions.check(unsafe { (self.functions.elbo_cuda_graph_replay)(self.raw) }))?
    }

    /// How many kernels, copies and fills it has.
    ///
    /// # Errors
    /// When CUDA does.
    pub fn nodes(&self) -> Result<usize> {
        let mut nodes = 0;
        // SAFETY: the graph is alive; one number out.
        self.functions.check(unsafe { (self.functions.elbo_cuda_graph_nodes)(self.raw, &raw mut nodes) })?;
        Ok(nodes)
    }
}

/// Ends the recording where the work in it panics.
struct Recording<'a>(&'a Graph);

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        // SAFETY: the graph is alive. That a broken recording cannot be ended well is no news beside the panic.
        unsafe { (self.0.functions.elbo_cuda_graph_end)(self.0.raw) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_on_the_cpu_is_refused() {
        assert_eq!(Stream::new(Device::Cpu).unwrap_err().to_string(), "a stream needs a CUDA device, got Cpu");
        if !crate::initialise().is_loaded() {
            assert!(Stream::new(Device::Cuda(0)).unwrap_err().to_string().starts_with("CUDA: not used"));
        }
    }
}
