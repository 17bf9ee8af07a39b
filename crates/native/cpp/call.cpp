// Any operator by name, through the dispatcher.
#include "shim.h"

#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <memory>
#include <optional>

extern "C" {

// Mirrors `RawArgument` of src/call.rs. Only the field that the tag names is read.
struct elbo_argument {
  int32_t tag;  // 0 none, 1 tensor, 2 tensors, 3 float, 4 int, 5 bool, 6 ints
  int64_t integer;
  double real;
  at::Tensor* tensor;
  at::Tensor* const* tensors;
  const int64_t* integers;
  size_t count;
};

}  // extern "C"

namespace {

c10::TypePtr without_optional(c10::TypePtr type) {
  return type->kind() == c10::TypeKind::OptionalType ? type->expectRef<c10::OptionalType>().getElementType() : type;
}

c10::IValue tensor_list(const elbo_argument& argument, const c10::Type& formal) {
  const bool elements_optional = formal.kind() == c10::TypeKind::ListType &&
                                 formal.containedType(0)->kind() == c10::TypeKind::OptionalType;
  if (!elements_optional) return elbo::gather(argument.tensors, argument.count);
  c10::List<std::optional<at::Tensor>> list;
  for (size_t i = 0; i < argument.count; ++i) list.push_back(*argument.tensors[i]);
  return list;
}

c10::IValue value_of(const elbo_argument& argument, const c10::Type& formal) {
  switch (argument.tag) {
    case 0: return {};
    case 1: return *argument.tensor;
    case 2: return tensor_list(argument, formal);
    case 3: return argument.real;
    // A literal such as 2 serves where the schema wants a float, as in Python.
    case 4: return formal.kind() == c10::TypeKind::FloatType ? c10::IValue(static_cast<double>(argument.integer))
                                                             : c10::IValue(argument.integer);
    case 5: return argument.integer != 0;
    case 6: return std::vector<int64_t>(argument.integers, argument.integers + argument.count);
    default: TORCH_CHECK(false, "unknown argument tag ", argument.tag);
  }
}

c10::IValue checked(const elbo_argument& argument, const c10::Argument& formal, const char* name) {
  auto value = value_of(argument, *without_optional(formal.type()));
  TORCH_CHECK(value.type()->isSubtypeOf(*formal.type()), name, ": argument `", formal.name(), "` is a ",
              formal.type()->str(), ", got ", value.type()->str());
  return value;
}

void append(std::vector<at::Tensor>& results, const c10::IValue& value) {
  if (value.isTensor()) {
    results.push_back(value.toTensor());
  } else {
    for (const auto& tensor : value.toTensorVector()) results.push_back(tensor);
  }
}

}  // namespace

extern "C" {

int elbo_call(const char* name, const char* overload, const elbo_argument* arguments, size_t count,
              std::vector<at::Tensor>** out) {
  return elbo::guarded([&] {
    const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
    TORCH_CHECK(found.has_value(), "libtorch has no operator `", name, "` with the overload `", overload, "`");
    const auto& schema = found->schema();
    const auto& formals = schema.arguments();
    TORCH_CHECK(count <= formals.size(), name, ": takes ", formals.size(), " arguments, got ", count);
    for (const auto& result : schema.returns()) {
      TORCH_CHECK(result.type()->isSubtypeOf(*c10::TensorType::get()) ||
                      result.type()->isSubtypeOf(*c10::ListType::ofTensors()),
                  name, ": returns a ", result.type()->str(), ", not only tensors");
    }
    c10::Stack stack;
    stack.reserve(formals.size());
    for (size_t i = 0; i < count; ++i) stack.push_back(checked(arguments[i], formals[i], name));
    for (size_t i = count; i < formals.size(); ++i) {
      TORCH_CHECK(formals[i].default_value().has_value(), name, ": argument `", formals[i].name(), "` is missing");
      stack.push_back(*formals[i].default_value());
    }
    found->callBoxed(stack);
    auto results = std::make_unique<std::vector<at::Tensor>>();
    for (const auto& value : stack) append(*results, value);
    *out = results.release();
  });
}

size_t elbo_results_len(const std::vector<at::Tensor>* results) {
  return results->size();
}

int elbo_results_get(const std::vector<at::Tensor>* results, size_t index, at::Tensor** out) {
  return elbo::guarded([&] { *out = new at::Tensor(results->at(index)); });
}

void elbo_results_free(std::vector<at::Tensor>* results) {
  delete results;
}

}  // extern "C"
