// Process-wide switches of libtorch, autocast, and the memory of its CUDA allocator.
#include "shim.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>
#include <c10/core/CachingDeviceAllocator.h>

extern "C" {

// The numbers are those of `Flag` in src/flags.rs.
int elbo_flag_set(int flag, int on) {
  return elbo::guarded([&] {
    auto& context = at::globalContext();
    switch (flag) {
      case 0: context.setAllowTF32CuBLAS(on != 0); break;
      case 1: context.setAllowTF32CuDNN(on != 0); break;
      case 2: context.setDeterministicAlgorithms(on != 0, /*warn_only=*/false); break;
      case 3: context.setDeterministicCuDNN(on != 0); break;
      case 4: context.setBenchmarkCuDNN(on != 0); break;
      default: TORCH_CHECK(false, "unknown flag ", flag);
    }
  });
}

int elbo_flag_get(int flag, int* on) {
  return elbo::guarded([&] {
    const auto& context = at::globalContext();
    switch (flag) {
      case 0: *on = context.allowTF32CuBLAS(); break;
      case 1: *on = context.allowTF32CuDNN(); break;
      case 2: *on = context.deterministicAlgorithms(); break;
      case 3: *on = context.deterministicCuDNN(); break;
      case 4: *on = context.benchmarkCuDNN(); break;
      default: TORCH_CHECK(false, "unknown flag ", flag);
    }
  });
}

// This thread's products in bfloat16, on the CPU and on CUDA, until it leaves.
int elbo_autocast_enter() {
  return elbo::guarded([] {
    for (const auto device : {at::kCPU, at::kCUDA}) {
      at::autocast::set_autocast_dtype(device, at::kBFloat16);
      at::autocast::set_autocast_enabled(device, true);
    }
    at::autocast::increment_nesting();
  });
}

// The rounded copies of parameters go: the next step changes them, and a CUDA graph must make its own.
void elbo_autocast_leave() {
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  for (const auto device : {at::kCPU, at::kCUDA}) at::autocast::set_autocast_enabled(device, false);
}

// Bytes: allocated now and at the peak, reserved now and at the peak. Only once libtorch_cuda is loaded.
int elbo_cuda_memory(int device, int64_t* out) {
  return elbo::guarded([&] {
    at::globalContext().lazyInitDevice(at::kCUDA);
    const auto statistics = c10::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    out[0] = statistics.allocated_bytes[0].current;
    out[1] = statistics.allocated_bytes[0].peak;
    out[2] = statistics.reserved_bytes[0].current;
    out[3] = statistics.reserved_bytes[0].peak;
  });
}

int elbo_cuda_reset_peak(int device) {
  return elbo::guarded([&] {
    at::globalContext().lazyInitDevice(at::kCUDA);
    c10::getDeviceAllocator(at::kCUDA)->resetPeakStats(static_cast<c10::DeviceIndex>(device));
  });
}

}  // extern "C"
