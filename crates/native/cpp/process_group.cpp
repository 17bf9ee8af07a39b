// Processes that compute together: c10d's store, where they meet, and its process group over gloo.
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <c10/util/Logging.h>

#include <chrono>
#include <cstdlib>
#include <mutex>
#include <string>

namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Group = c10::intrusive_ptr<c10d::Backend>;
using Milliseconds = std::chrono::milliseconds;

// c10d writes what it also throws, with a backtrace, to standard error. Whoever wants that sets TORCH_CPP_LOG_LEVEL.
void say_nothing() {
  if (std::getenv("TORCH_CPP_LOG_LEVEL") == nullptr) FLAGS_caffe2_log_level = c10::GLOG_FATAL;
}

// A group takes its tensors in a vector, which shares their memory.
std::vector<at::Tensor> shared(const at::Tensor& tensor) {
  return {tensor.detach()};
}

// Starts an exchange, and waits for it. c10d notes every start in a table of the process that it looks up without a lock (2.11): groups of
// several threads, as the tests have them, would tear it. Waiting is not under the lock, as the others may be waiting for this thread.
template <class Start>
void exchange(Start&& start) {
  static std::mutex starting;
  auto work = [&] {
    const std::lock_guard<std::mutex> lock(starting);
    return start();
  }();
  work->wait();
}

}  // namespace

extern "C" {

// Joins the store at host:port, or serves it there; port 0 lets the system choose. `port` comes back as it is.
int elbo_store_new(const char* host, uint16_t* port, int serve, const char* prefix, int64_t timeout, Store** out) {
  return elbo::guarded([&] {
    say_nothing();
    c10d::TCPStoreOptions options;
    options.port = *port;
    options.isServer = serve != 0;
    options.waitWorkers = false;
    options.timeout = Milliseconds(timeout);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *port = store->getPort();
    *out = new Store(c10::make_intrusive<c10d::PrefixStore>(prefix, std::move(store)));
  });
}

void elbo_store_free(Store* store) {
  delete store;
}

int elbo_store_set(Store* store, const char* key, const uint8_t* bytes, size_t count) {
  return elbo::guarded([&] { (*store)->set(key, std::vector<uint8_t>(bytes, bytes + count)); });
}

// Waits for the key; the value comes as a byte tensor.
int elbo_store_get(Store* store, const char* key, int64_t timeout, at::Tensor** out) {
  return elbo::guarded([&] {
    (*store)->wait({key}, Milliseconds(timeout));
    auto value = (*store)->get(key);
    *out = new at::Tensor(at::from_blob(value.data(), {static_cast<int64_t>(value.size())}, at::kByte).clone());
  });
}

int elbo_store_has(Store* store, const char* key, int* present) {
  return elbo::guarded([&] { *present = (*store)->check({key}); });
}

// `interface` names a network interface, or is empty: then the one that the machine's name leads to.
int elbo_group_new(Store* store, int rank, int size, const char* interface, int64_t timeout, Group** out) {
  return elbo::guarded([&] {
    auto options = c10d::ProcessGroupGloo::Options::create(Milliseconds(timeout));
    options->devices.push_back(
        *interface == '\0' ? c10d::ProcessGroupGloo::createDefaultDevice()
                           : c10d::ProcessGroupGloo::createDeviceForInterface(interface));
    *out = new Group(c10::make_intrusive<c10d::ProcessGroupGloo>(*store, rank, size, std::move(options)));
  });
}

void elbo_group_free(Group* group) {
  delete group;
}

// Gloo has no mean: the sum over all ranks, in place.
int elbo_group_sum(Group* group, at::Tensor* tensor) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    auto tensors = shared(*tensor);
    exchange([&] { return (*group)->allreduce(tensors); });
  });
}

int elbo_group_broadcast(Group* group, at::Tensor* tensor) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    auto tensors = shared(*tensor);
    exchange([&] { return (*group)->broadcast(tensors); });
  });
}

// [..] of every rank, in their order: [R, ..].
int elbo_group_gather(Group* group, int size, at::Tensor* tensor, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    auto own = shared(tensor->contiguous());
    auto shape = own[0].sizes().vec();
    shape.insert(shape.begin(), size);
    auto all = at::empty(shape, own[0].options());
    std::vector<std::vector<at::Tensor>> outputs{all.unbind(0)};
    exchange([&] { return (*group)->allgather(outputs, own); });
    *out = new at::Tensor(std::move(all));
  });
}

}  // extern "C"
