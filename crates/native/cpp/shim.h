// What every file of the shim shares: the tensors' type, and the one way an exception becomes an error code.
//
// Ownership, everywhere in this folder: an `at::Tensor*` that comes in is borrowed for the call; one that goes out through an `out`
// parameter is a new object that the caller owns (tch's `Tensor::from_ptr` takes it and `at_free`s it).
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

namespace elbo {

// Keeps `message` as this thread's last error, which `elbo_last_error` hands out.
void keep_error(const char* message) noexcept;

// Runs `body`; 0 when it came to its end, -1 when it threw, with the message kept. No exception crosses into Rust.
template <class Body>
int guarded(Body&& body) noexcept {
  try {
    std::forward<Body>(body)();
    return 0;
  } catch (const c10::Error& error) {
    keep_error(error.what_without_backtrace());
  } catch (const std::exception& error) {
    keep_error(error.what());
  } catch (...) {
    keep_error("an exception of an unknown type");
  }
  return -1;
}

inline std::vector<at::Tensor> gather(at::Tensor* const* pointers, size_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (size_t i = 0; i < count; ++i) tensors.push_back(*pointers[i]);
  return tensors;
}

}  // namespace elbo
