// One fused step of Adam or AdamW over all parameters.
#include "shim.h"

#include <ATen/core/List.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rsub.h>
#include <ATen/record_function.h>

#include <optional>

extern "C" {

// Mirrors `AdamOptions` of src/adam.rs.
struct elbo_adam_options {
  at::Tensor* learning_rate;
  at::Tensor* skip;  // null: never
  double beta1;
  double beta2;
  double epsilon;
  double weight_decay;
  int32_t decoupled;
};

}  // extern "C"

namespace {

void check_scalar(const at::Tensor& scalar, const at::Tensor& parameter, const char* what) {
  TORCH_CHECK(scalar.numel() == 1 && scalar.scalar_type() == at::kFloat && scalar.device() == parameter.device(), what,
              " must be a float32 scalar on ", parameter.device(), ", not ", scalar.toString(), " ", scalar.sizes(), " on ",
              scalar.device());
}

// The kernels walk all four arrays by memory order and look at no strides: a parameter and its moments must be laid out alike.
void check_alike(const at::Tensor& tensor, const at::Tensor& parameter, const char* what, size_t index) {
  TORCH_CHECK(tensor.scalar_type() == parameter.scalar_type() && tensor.device() == parameter.device() &&
                  tensor.sizes() == parameter.sizes(),
              what, " ", index, " is ", tensor.toString(), " ", tensor.sizes(), " on ", tensor.device(), ", its parameter ",
              parameter.toString(), " ", parameter.sizes(), " on ", parameter.device());
}

// A gradient may come transposed or expanded out of the backward pass; then it is copied into its parameter's layout.
at::Tensor in_layout_of(const at::Tensor& gradient, const at::Tensor& parameter) {
  return gradient.strides() == parameter.strides() ? gradient : at::empty_like(parameter).copy_(gradient);
}

}  // namespace

extern "C" int elbo_fused_adam(at::Tensor* const* parameter_pointers, at::Tensor* const* gradient_pointers,
                               at::Tensor* const* exp_avg_pointers, at::Tensor* const* exp_avg_sq_pointers,
                               at::Tensor* const* step_pointers, size_t count, const elbo_adam_options* options) {
  return elbo::guarded([&] {
    if (count == 0) return;
    at::NoGradGuard no_grad;
    auto parameters = elbo::gather(parameter_pointers, count);
    auto gradients = elbo::gather(gradient_pointers, count);
    auto exp_avg = elbo::gather(exp_avg_pointers, count);
    auto exp_avg_sq = elbo::gather(exp_avg_sq_pointers, count);
    auto steps = elbo::gather(step_pointers, count);
    const at::Tensor& learning_rate = *options->learning_rate;
    const std::optional<at::Tensor> skip = options->skip ? std::optional<at::Tensor>(*options->skip) : std::nullopt;

    check_scalar(learning_rate, parameters[0], "the learning rate");
    if (skip) check_scalar(*skip, parameters[0], "the skip flag");
    for (size_t i = 0; i < count; ++i) {
      const at::Tensor& parameter = parameters[i];
      TORCH_CHECK(parameter.device() == parameters[0].device() && parameter.scalar_type() == parameters[0].scalar_type(),
                  "parameter ", i, " and parameter 0 differ in device or kind");
      TORCH_CHECK(parameter.is_non_overlapping_and_dense(), "parameter ", i, " has gaps or overlaps in memory");
      check_alike(gradients[i], parameter, "gradient", i);
      check_alike(exp_avg[i], parameter, "first moment", i);
      check_alike(exp_avg_sq[i], parameter, "second moment", i);
      TORCH_CHECK(exp_avg[i].strides() == parameter.strides() && exp_avg_sq[i].strides() == parameter.strides(), "the moments of parameter ",
                  i, " are laid out in memory unlike it");
      check_scalar(steps[i], parameter, "a step count");
      gradients[i] = in_layout_of(gradients[i], parameter);
    }

    // To an observer of operators this is one operator whose learning rate, step counts and flag are tensors.
    at::RecordFunction observed(at::RecordScope::FUNCTION);
    std::vector<c10::IValue> inputs;
    if (observed.isActive()) {
      inputs = {parameters, gradients, steps, learning_rate, skip, options->beta1, options->beta2,
                options->epsilon, options->weight_decay, options->decoupled != 0};
      at::detail::record_function_with_scope(observed, "elbo::fused_adam", inputs);
    }
    // libtorch's CPU kernel reads the learning rate and the step counts with `item()`. On the CPU that waits for nothing, and the
    // CUDA kernel reads both on the device, so what the CPU kernel does inside is kept from the observer; on CUDA nothing is.
    std::optional<at::DisableRecordFunctionGuard> unobserved;
    if (parameters[0].is_cpu()) unobserved.emplace();

    // The kernels expect step counts already advanced. A skipped update adds exactly 0, and the kernels return at once.
    if (skip) {
      at::_foreach_add_(steps, at::rsub(*skip, 1));
    } else {
      at::_foreach_add_(steps, 1);
    }
    const std::vector<at::Tensor> no_maxima;
    constexpr bool amsgrad = false;
    constexpr bool maximize = false;
    if (options->decoupled) {
      at::_fused_adamw_(parameters, gradients, exp_avg, exp_avg_sq, no_maxima, steps, learning_rate, options->beta1, options->beta2,
                        options->weight_decay, options->epsilon, amsgrad, maximize, std::nullopt, skip);
    } else {
      at::_fused_adam_(parameters, gradients, exp_avg, exp_avg_sq, no_maxima, steps, learning_rate, options->beta1, options->beta2,
                       options->weight_decay, options->epsilon, amsgrad, maximize, std::nullopt, skip);
    }
  });
}
