// Gradients as values, and their norm and clipping without a word to the host.
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/add.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/reciprocal.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/autograd.h>

#include <unordered_set>

namespace {

at::Tensor norm_of_all(const std::vector<at::Tensor>& tensors) {
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(tensors, 2)), 2);
}

}  // namespace

extern "C" {

// Writes one gradient per parameter to `out`; null where the loss does not depend on it. The graph is freed unless `keep_graph`.
//
// Autograd may hand out one tensor for two parameters, or an expanded or transposed one. Each result here has memory of its own
// in its parameter's layout, so that it may be changed in place.
int elbo_gradients(at::Tensor* loss, at::Tensor* const* parameter_pointers, size_t count, bool keep_graph,
                   at::Tensor** out) {
  return elbo::guarded([&] {
    const auto parameters = elbo::gather(parameter_pointers, count);
    auto gradients = torch::autograd::grad({*loss}, parameters, {}, keep_graph, /*create_graph=*/false,
                                           /*allow_unused=*/true);
    at::NoGradGuard no_grad;
    std::unordered_set<const void*> seen;
    for (size_t i = 0; i < count; ++i) {
      at::Tensor& gradient = gradients[i];
      if (!gradient.defined()) continue;
      const bool shared = !seen.insert(gradient.storage().unsafeGetStorageImpl()).second;
      if (shared || gradient.strides() != parameters[i].strides()) {
        gradient = at::empty_like(parameters[i], gradient.options()).copy_(gradient);
      }
    }
    // Nothing below throws but `new`; tensors made before that are given back.
    size_t made = 0;
    try {
      for (; made < count; ++made) out[made] = gradients[made].defined() ? new at::Tensor(gradients[made]) : nullptr;
    } catch (...) {
      while (made > 0) delete out[--made];
      throw;
    }
  });
}

int elbo_global_norm(at::Tensor* const* pointers, size_t count, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    *out = new at::Tensor(norm_of_all(elbo::gather(pointers, count)));
  });
}

int elbo_clip_by_global_norm(at::Tensor* const* pointers, size_t count, double max_norm, at::Tensor** out) {
  return elbo::guarded([&] {
    at::NoGradGuard no_grad;
    const auto gradients = elbo::gather(pointers, count);
    const auto norm = norm_of_all(gradients);
    // The small constant is PyTorch's; it keeps a norm of zero from dividing.
    const auto factor = at::mul(at::reciprocal(at::add(norm, 1e-6)), max_norm).clamp_max(1);
    at::_foreach_mul_(gradients, factor);
    *out = new at::Tensor(norm);
  });
}

}  // extern "C"
