// The last error of each thread.
#include "shim.h"

#include <string>

namespace {
thread_local std::string last_error;
}

namespace elbo {
void keep_error(const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();  // no memory for the message: the caller says "no message"
  }
}
}  // namespace elbo

// Valid until the next error on this thread.
extern "C" const char* elbo_last_error() {
  return last_error.c_str();
}
