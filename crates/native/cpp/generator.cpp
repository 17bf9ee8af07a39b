// A random generator of one's own, on the CPU or on CUDA, and the draws that take one.
//
// The CUDA generator comes from the hooks that libtorch_cuda registers, so this file links against libtorch_cpu alone.
#include "shim.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/bernoulli.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/randperm.h>

#include <mutex>

namespace {

at::TensorOptions options(const at::Generator& generator, int kind) {
  return at::TensorOptions().device(generator.device()).dtype(static_cast<at::ScalarType>(kind));
}

}  // namespace

extern "C" {

// `device` is -1 for the CPU, else the index of the CUDA device.
int elbo_generator_new(int device, uint64_t seed, at::Generator** out) {
  return elbo::guarded([&] {
    if (device < 0) {
      *out = new at::Generator(at::make_generator<at::CPUGeneratorImpl>(seed));
    } else {
      at::globalContext().lazyInitDevice(at::kCUDA);
      auto generator = at::globalContext().getAcceleratorHooksInterface(at::kCUDA).getNewGenerator(
          static_cast<c10::DeviceIndex>(device));
      generator.set_current_seed(seed);
      *out = new at::Generator(std::move(generator));
    }
  });
}

void elbo_generator_free(at::Generator* generator) {
  delete generator;
}

// The draws below lock the generator themselves; whoever touches its state must hold the lock.
int elbo_generator_seed(at::Generator* generator, uint64_t seed) {
  return elbo::guarded([&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    generator->set_current_seed(seed);
  });
}

int elbo_generator_state(at::Generator* generator, at::Tensor** out) {
  return elbo::guarded([&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    *out = new at::Tensor(generator->get_state());
  });
}

int elbo_generator_set_state(at::Generator* generator, at::Tensor* state) {
  return elbo::guarded([&] {
    std::lock_guard<std::mutex> lock(generator->mutex());
    generator->set_state(*state);
  });
}

int elbo_generator_normal(at::Generator* generator, const int64_t* size, size_t dimensions, int kind, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    *out = new at::Tensor(at::randn(at::IntArrayRef(size, dimensions), *generator, options(*generator, kind)));
  });
}

int elbo_generator_uniform(at::Generator* generator, const int64_t* size, size_t dimensions, int kind, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    *out = new at::Tensor(at::rand(at::IntArrayRef(size, dimensions), *generator, options(*generator, kind)));
  });
}

int elbo_generator_bernoulli(at::Generator* generator, at::Tensor* probability, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    *out = new at::Tensor(at::bernoulli(*probability, *generator));
  });
}

int elbo_generator_integers(at::Generator* generator, int64_t high, const int64_t* size, size_t dimensions, at::Tensor** out) {
  return elbo::guarded([&] {
    *out = new at::Tensor(at::randint(high, at::IntArrayRef(size, dimensions), *generator,
                                      options(*generator, static_cast<int>(at::kLong))));
  });
}

int elbo_generator_permutation(at::Generator* generator, int64_t n, at::Tensor** out) {
  return elbo::guarded([&] {
    *out = new at::Tensor(at::randperm(n, *generator, options(*generator, static_cast<int>(at::kLong))));
  });
}

int elbo_generator_permutation_into(at::Generator* generator, at::Tensor* out) {
  return elbo::guarded([&] { at::randperm_out(*out, out->numel(), *generator); });
}

}  // extern "C"
