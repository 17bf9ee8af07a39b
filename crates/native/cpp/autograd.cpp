// Gradients written in Rust, as nodes of autograd's graph.
#include "shim.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>
#include <string>

// What a backward closure hands in: one place for each input, and the message when it failed.
struct ElboGradientSink {
  std::vector<at::Tensor> gradients;
  std::string message;
};

extern "C" {

// Calls a Rust closure with `count` cotangents (null where the output took no part; the others are new objects for it to own); 0 on success.
using ElboBackward = int (*)(void* closure, at::Tensor* const* cotangents, size_t count, ElboGradientSink* sink);
// Frees the closure.
using ElboDrop = void (*)(void* closure);

// `index` is below the number of inputs: the caller has checked it.
void elbo_gradient_put(ElboGradientSink* sink, size_t index, const at::Tensor* gradient) {
  sink->gradients[index] = *gradient;
}

void elbo_gradient_fail(ElboGradientSink* sink, const char* message, size_t length) {
  sink->message.assign(message, length);
}

}  // extern "C"

namespace {

// The closure with what frees it.
struct Closure {
  void* closure;
  ElboBackward backward;
  ElboDrop drop;
  Closure(void* closure, ElboBackward backward, ElboDrop drop) : closure(closure), backward(backward), drop(drop) {}
  Closure(const Closure&) = delete;
  Closure& operator=(const Closure&) = delete;
  ~Closure() { drop(closure); }
};

// A node of its own and not a torch::autograd::Function: those do not look for inputs inside a list.
struct GradientByHand : torch::autograd::Node {
  std::shared_ptr<Closure> closure;

  std::string name() const override { return "GradientByHand"; }

  // Once the graph is freed, so is what the closure keeps.
  void release_variables() override { closure.reset(); }

  torch::autograd::variable_list apply(torch::autograd::variable_list&& cotangents) override {
    TORCH_CHECK(!at::GradMode::is_enabled(), "a gradient by hand cannot be differentiated again");
    const auto held = closure;
    TORCH_CHECK(held, "the graph of a gradient by hand was freed by an earlier backward pass");
    std::vector<at::Tensor*> pointers;
    pointers.reserve(cotangents.size());
    for (const auto& cotangent : cotangents) {
      pointers.push_back(cotangent.defined() ? new at::Tensor(cotangent) : nullptr);
    }
    ElboGradientSink sink;
    sink.gradients.resize(num_outputs());
    const int code = held->backward(held->closure, pointers.data(), pointers.size(), &sink);
    TORCH_CHECK(code == 0, sink.message);
    return std::move(sink.gradients);
  }
};

}  // namespace

extern "C" {

// Makes `outputs`, which were computed from `inputs` without a graph, depend on them through `backward`. Takes the closure in any case.
int elbo_with_gradient(at::Tensor* const* input_pointers, size_t input_count, at::Tensor* const* output_pointers,
                       size_t output_count, void* closure, ElboBackward backward, ElboDrop drop, at::Tensor** out) {
  return elbo::guarded([&] {
    auto owned = std::make_shared<Closure>(closure, backward, drop);
    const auto inputs = elbo::gather(input_pointers, input_count);
    auto outputs = elbo::gather(output_pointers, output_count);
    if (torch::autograd::compute_requires_grad(inputs)) {
      std::shared_ptr<GradientByHand> node(new GradientByHand(), torch::autograd::deleteNode);
      node->closure = std::move(owned);
      node->set_next_edges(torch::autograd::collect_next_edges(inputs));
      torch::autograd::set_history(outputs, node);
    }
    for (size_t i = 0; i < output_count; ++i) out[i] = new at::Tensor(outputs[i]);
  });
}

}  // extern "C"
