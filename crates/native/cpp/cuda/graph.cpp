// Side streams and CUDA graphs. Part of the CUDA object: it is loaded beside libtorch_cuda, never linked to a program.
//
// ATen/cuda/CUDAContext.h and CUDAEvent.h want the headers of cuBLAS, cuSPARSE and cuSOLVER: events come from the runtime here.
#include "../shim.h"

#include <ATen/core/Generator.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <vector>

namespace {

using c10::cuda::CUDAStream;

// `then` waits, on the device, for what `first` has been given so far.
void order(const CUDAStream& first, const CUDAStream& then) {
  cudaEvent_t event;
  C10_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  const cudaError_t recorded = cudaEventRecord(event, first.stream());
  const cudaError_t waits = recorded == cudaSuccess ? cudaStreamWaitEvent(then.stream(), event, 0) : recorded;
  // The runtime keeps it until the device has passed it.
  C10_CUDA_CHECK(cudaEventDestroy(event));
  C10_CUDA_CHECK(waits);
}

struct Side {
  CUDAStream stream;
  // Those that were current before it, once for each time that it was entered and not left.
  std::vector<CUDAStream> outside;
};

}  // namespace

extern "C" {

int elbo_cuda_side_new(int device, Side** out) {
  return elbo::guarded([&] {
    *out = new Side{c10::cuda::getStreamFromPool(/*isHighPriority=*/false, static_cast<c10::DeviceIndex>(device)), {}};
  });
}

void elbo_cuda_side_free(Side* side) {
  delete side;
}

// The side stream becomes the current one of this thread; `ordered`: it waits for the one that was.
int elbo_cuda_side_enter(Side* side, int ordered) {
  return elbo::guarded([&] {
    const auto outside = c10::cuda::getCurrentCUDAStream(side->stream.device_index());
    if (ordered) order(outside, side->stream);
    side->outside.push_back(outside);
    c10::cuda::setCurrentCUDAStream(side->stream);
  });
}

// The stream that was current before is so again; `ordered`: it waits for the side stream.
int elbo_cuda_side_leave(Side* side, int ordered) {
  return elbo::guarded([&] {
    TORCH_CHECK(!side->outside.empty(), "a stream that was not entered is left");
    const auto outside = side->outside.back();
    side->outside.pop_back();
    c10::cuda::setCurrentCUDAStream(outside);
    if (ordered) order(side->stream, outside);
  });
}

// Waits for all that the side stream was given.
int elbo_cuda_side_wait(Side* side) {
  return elbo::guarded([&] { side->stream.synchronize(); });
}

int elbo_cuda_graph_new(at::cuda::CUDAGraph** out) {
  // Kept after it is made executable: its nodes are counted.
  return elbo::guarded([&] { *out = new at::cuda::CUDAGraph(/*keep_graph=*/true); });
}

void elbo_cuda_graph_free(at::cuda::CUDAGraph* graph) {
  // Its destructor resets it, which may throw where the device is lost.
  elbo::guarded([&] { delete graph; });
}

// The generator's draws in the graph go on where its state stands at each replay, and move it as they would have without a graph.
int elbo_cuda_graph_register(at::cuda::CUDAGraph* graph, at::Generator* generator) {
  return elbo::guarded([&] { graph->register_generator_state(*generator); });
}

// From here to the end, what this thread (and autograd on its behalf) gives the current stream goes into the graph and is not run. Thread-local:
// what other threads ask of CUDA meanwhile (a group's watchdog) is none of the capture's business.
int elbo_cuda_graph_begin(at::cuda::CUDAGraph* graph) {
  return elbo::guarded([&] { graph->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal); });
}

int elbo_cuda_graph_end(at::cuda::CUDAGraph* graph) {
  return elbo::guarded([&] {
    graph->capture_end();
    graph->instantiate();
  });
}

int elbo_cuda_graph_replay(at::cuda::CUDAGraph* graph) {
  return elbo::guarded([&] { graph->replay(); });
}

// How many kernels, copies and fills it has.
int elbo_cuda_graph_nodes(at::cuda::CUDAGraph* graph, size_t* out) {
  return elbo::guarded([&] { C10_CUDA_CHECK(cudaGraphGetNodes(graph->raw_cuda_graph(), nullptr, out)); });
}

// Where the device sits in its machine: 16 characters at most, as in 0000:3b:00.0. Two processes with one answer share a GPU.
int elbo_cuda_bus(int device, char* out, int length) {
  return elbo::guarded([&] { C10_CUDA_CHECK(cudaDeviceGetPCIBusId(out, length, device)); });
}

}  // extern "C"
