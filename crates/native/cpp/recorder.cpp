// What operators a stretch of code runs: a thread-local RecordFunction callback that writes a list.
//
// The list travels as libtorch's thread-local debug information, which autograd carries over to the threads that run a backward
// pass for this thread (one per CUDA device); those inherit the callback too.
#include "shim.h"

#include <ATen/core/ivalue.h>
#include <ATen/record_function.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace {

constexpr auto KIND = c10::DebugInfoKind::TEST_INFO_2;  // libtorch itself never uses it

struct Operand {
  std::vector<int64_t> shape;
  int device;  // -1 for the CPU, else the index
};

struct Operator {
  std::string name;
  std::vector<Operand> operands;
  std::vector<std::string> scalars;
};

struct List : c10::DebugInfoBase {
  std::mutex mutex;
  std::vector<Operator> operators;
  std::string failure;
};

std::string text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.17g", value);  // enough digits to tell any two doubles apart
  return buffer;
}

void describe(const c10::IValue& value, Operator& into) {
  if (value.isTensor()) {
    const auto& tensor = value.toTensor();
    if (!tensor.defined()) return;
    into.operands.push_back({tensor.sizes().vec(), tensor.is_cpu() ? -1 : tensor.device().index()});
  } else if (value.isDouble()) {
    into.scalars.push_back(text(value.toDouble()));
  } else if (value.isInt()) {
    into.scalars.push_back(std::to_string(value.toInt()));
  } else if (value.isBool()) {
    into.scalars.emplace_back(value.toBool() ? "true" : "false");
  } else if (value.isString()) {
    into.scalars.push_back(value.toStringRef());
  } else if (value.isComplexDouble()) {
    const auto complex = value.toComplexDouble();
    into.scalars.push_back(text(complex.real()) + "+" + text(complex.imag()) + "i");
  } else if (value.isDevice()) {
    into.scalars.push_back(value.toDevice().str());
  } else if (value.isIntList() || value.isDoubleList() || value.isBoolList()) {
    Operator elements;
    for (const c10::IValue& element : value.toListRef()) describe(element, elements);
    std::string joined;
    for (const auto& scalar : elements.scalars) joined += (joined.empty() ? "" : ", ") + scalar;
    into.scalars.push_back("[" + joined + "]");
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) describe(element, into);
  }
}

std::unique_ptr<at::ObserverContext> write_down(const at::RecordFunction& function) {
  auto* const list = dynamic_cast<List*>(c10::ThreadLocalDebugInfo::get(KIND));
  if (list == nullptr) return nullptr;
  // An exception out of a callback is swallowed by libtorch with a warning; keep it, so that no list passes for whole.
  std::string failure;
  try {
    Operator entry;
    entry.name = function.name();
    for (const auto& input : function.inputs()) describe(input, entry);
    std::lock_guard<std::mutex> lock(list->mutex);
    list->operators.push_back(std::move(entry));
    return nullptr;
  } catch (const c10::Error& error) {
    failure = error.what_without_backtrace();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  std::lock_guard<std::mutex> lock(list->mutex);
  if (list->failure.empty()) list->failure = std::string(function.name()) + ": " + failure;
  return nullptr;
}

// Lives on the heap of the thread that records; taken down on the same thread.
struct Recording {
  std::shared_ptr<List> list = std::make_shared<List>();
  c10::DebugInfoGuard carried{KIND, list};
  at::CallbackHandle callback = at::addThreadLocalCallback(
      at::RecordFunctionCallback(write_down).needsInputs(true).scopes({at::RecordScope::FUNCTION}));

  ~Recording() {
    at::removeCallback(callback);
  }
};

}  // namespace

extern "C" {

int elbo_recording_begin(Recording** out) {
  return elbo::guarded([&] {
    TORCH_CHECK(c10::ThreadLocalDebugInfo::get(KIND) == nullptr, "this thread is recording operators already");
    *out = new Recording();
  });
}

// Stops recording and hands the list over; `elbo_operators_free` gives it back. The list is whole or the call fails.
int elbo_recording_end(Recording* recording, std::vector<Operator>** out) {
  return elbo::guarded([&] {
    const auto list = recording->list;
    delete recording;
    std::lock_guard<std::mutex> lock(list->mutex);
    TORCH_CHECK(list->failure.empty(), "an operator could not be recorded: ", list->failure);
    *out = new std::vector<Operator>(std::move(list->operators));
  });
}

void elbo_recording_abandon(Recording* recording) {
  delete recording;
}

void elbo_operators_free(std::vector<Operator>* operators) {
  delete operators;
}

size_t elbo_operators_len(const std::vector<Operator>* operators) {
  return operators->size();
}

// The pointers below are borrowed from the list.
const char* elbo_operator_name(const std::vector<Operator>* operators, size_t index) {
  return (*operators)[index].name.c_str();
}

size_t elbo_operator_operands(const std::vector<Operator>* operators, size_t index) {
  return (*operators)[index].operands.size();
}

const int64_t* elbo_operator_operand(const std::vector<Operator>* operators, size_t index, size_t operand, size_t* dimensions,
                                     int* device) {
  const auto& found = (*operators)[index].operands[operand];
  *dimensions = found.shape.size();
  *device = found.device;
  return found.shape.data();
}

size_t elbo_operator_scalars(const std::vector<Operator>* operators, size_t index) {
  return (*operators)[index].scalars.size();
}

const char* elbo_operator_scalar(const std::vector<Operator>* operators, size_t index, size_t scalar) {
  return (*operators)[index].scalars[scalar].c_str();
}

}  // extern "C"
