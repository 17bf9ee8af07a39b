// Ranks with a GPU each, which exchange tensors by NCCL. Part of the CUDA object.
//
// libtorch's own functions over NCCL are declared here as in torch/csrc/cuda/nccl.h, which asks for the headers of cuBLAS and cuSOLVER.
// c10d's process group over NCCL is not used: its watchdog ends the process with a backtrace where a rank is late.
#include "../shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <dlfcn.h>

#include <cstring>
#include <deque>
#include <optional>
#include <string>

namespace at::cuda {
using c10::cuda::CUDAStream;
}

namespace torch::cuda::nccl {

typedef void* ncclComm_t;
typedef struct {
  char internal[128];
} ncclUniqueId;

using comm_list = std::vector<ncclComm_t>;
using stream_list = std::vector<std::optional<at::cuda::CUDAStream>>;

struct TORCH_CUDA_CPP_API AutoNcclGroup {
  AutoNcclGroup();
  AutoNcclGroup(ncclComm_t comm, bool comm_nonblocking);
  ~AutoNcclGroup() noexcept(false);
  ncclComm_t comm_;
  bool comm_nonblocking_;
};

TORCH_CUDA_CPP_API void get_unique_id(ncclUniqueId& id);
TORCH_CUDA_CPP_API ncclComm_t comm_init_rank(int nranks, const ncclUniqueId& comm_id, int rank);
TORCH_CUDA_CPP_API void comm_destroy(ncclComm_t comm);
TORCH_CUDA_CPP_API void broadcast(at::TensorList tensors, const stream_list& streams, const comm_list& user_comms);
TORCH_CUDA_CPP_API void all_reduce(
    const std::vector<at::Tensor>& inputs, std::vector<at::Tensor>& outputs, int32_t op, const stream_list& streams,
    const comm_list& user_comms);
TORCH_CUDA_CPP_API void send(const at::Tensor& input, ncclComm_t comm, at::cuda::CUDAStream stream, int dst);
TORCH_CUDA_CPP_API void recv(at::Tensor& output, ncclComm_t comm, at::cuda::CUDAStream stream, int src);

}  // namespace torch::cuda::nccl

namespace {

namespace nccl = torch::cuda::nccl;
constexpr int32_t SUM = 0;

struct Ring {
  nccl::ncclComm_t communicator;
  c10::DeviceIndex device;
  // One for each exchange that the device may not have done yet, oldest first.
  std::deque<cudaEvent_t> pending;
};

// A function of NCCL itself, which libtorch_cuda has loaded.
template <class Function>
Function of_nccl(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

// Remembers when the device will be done with what the current stream was given.
void mark(Ring* ring) {
  cudaEvent_t event;
  C10_CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  ring->pending.push_back(event);
  C10_CUDA_CHECK(cudaEventRecord(event, c10::cuda::getCurrentCUDAStream(ring->device).stream()));
}

void forget_oldest(Ring* ring) {
  const cudaEvent_t event = ring->pending.front();
  ring->pending.pop_front();
  C10_CUDA_CHECK(cudaEventDestroy(event));
}

}  // namespace

extern "C" {

// What rank 0 makes and every rank joins by: 128 bytes.
int elbo_nccl_id(uint8_t* out) {
  return elbo::guarded([&] {
    nccl::ncclUniqueId id;
    nccl::get_unique_id(id);
    std::memcpy(out, id.internal, sizeof id.internal);
  });
}

// Waits until all ranks are here.
int elbo_nccl_new(const uint8_t* id, int rank, int size, int device, Ring** out) {
  return elbo::guarded([&] {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    nccl::ncclUniqueId unique;
    std::memcpy(unique.internal, id, sizeof unique.internal);
    *out = new Ring{nccl::comm_init_rank(size, unique, rank), static_cast<c10::DeviceIndex>(device), {}};
  });
}

// `abort`: the other ranks are gone, and what waits for them on the device is given up.
void elbo_nccl_free(Ring* ring, int abort) {
  elbo::guarded([&] {
    const c10::cuda::CUDAGuard guard(ring->device);
    if (!abort) {
      nccl::comm_destroy(ring->communicator);
    } else if (auto give_up = of_nccl<int (*)(void*)>("ncclCommAbort")) {
      give_up(ring->communicator);
    }
    while (!ring->pending.empty()) forget_oldest(ring);
  });
  delete ring;
}

int elbo_nccl_sum(Ring* ring, at::Tensor* tensor) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> tensors{tensor->detach()};
    nccl::all_reduce(tensors, tensors, SUM, {}, {ring->communicator});
    mark(ring);
  });
}

int elbo_nccl_broadcast(Ring* ring, at::Tensor* tensor) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    const std::vector<at::Tensor> tensors{tensor->detach()};
    nccl::broadcast(tensors, {}, {ring->communicator});
    mark(ring);
  });
}

// [..] of every rank, in their order: [R, ..].
int elbo_nccl_gather(Ring* ring, int size, at::Tensor* tensor, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    const auto own = tensor->detach().contiguous();
    auto shape = own.sizes().vec();
    shape.insert(shape.begin(), size);
    auto all = at::empty(shape, own.options());
    auto rows = all.unbind(0);
    const auto stream = c10::cuda::getCurrentCUDAStream(ring->device);
    {
      const nccl::AutoNcclGroup together;
      for (int rank = 0; rank < size; ++rank) {
        nccl::send(own, ring->communicator, stream, rank);
        nccl::recv(rows[rank], ring->communicator, stream, rank);
      }
    }
    mark(ring);
    *out = new at::Tensor(std::move(all));
  });
}

// Looks, without waiting, how many exchanges the device has not done.
int elbo_nccl_pending(Ring* ring, size_t* out) {
  return elbo::guarded([&] {
    const c10::cuda::CUDAGuard guard(ring->device);
    if (auto get_error = of_nccl<int (*)(void*, int*)>("ncclCommGetAsyncError")) {
      int error = 0;
      constexpr int in_progress = 7;
      const int asked = get_error(ring->communicator, &error);
      TORCH_CHECK(asked == 0 && (error == 0 || error == in_progress), "NCCL reports error ", asked ? asked : error);
    }
    while (!ring->pending.empty()) {
      const cudaError_t state = cudaEventQuery(ring->pending.front());
      if (state == cudaErrorNotReady) {
        (void)cudaGetLastError();  // not an error, and not to be found by the next check
        break;
      }
      C10_CUDA_CHECK(state);
      forget_oldest(ring);
    }
    *out = ring->pending.size();
  });
}

}  // extern "C"
