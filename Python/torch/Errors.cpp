#include "Errors.hpp"

#include <c10/util/Exception.h>

namespace tutti_torch {

namespace {

std::string textOfLastError(tutti_code code) {
  const tutti_error* error = tutti_error_last();
  if (error == nullptr || error->code != code) {
    return tutti_code_name(code);
  }
  return error->text;
}

template <typename Exception>
std::exception_ptr exception(const std::string& text) {
  return std::make_exception_ptr(Exception({__func__, __FILE__, static_cast<uint32_t>(__LINE__)}, text));
}

} // namespace

std::exception_ptr exceptionOfLastError(tutti_code code, const std::string& what, std::chrono::milliseconds limit) {
  const std::string text = textOfLastError(code);
  switch (code) {
    case TUTTI_ERROR_INVALID_ARGUMENT:
      return exception<c10::ValueError>("[tutti] " + what + ": " + text);
    case TUTTI_ERROR_TIMEOUT:
      // The words that programs look for in gloo's errors.
      return exception<c10::DistBackendError>(
          "[tutti] Timed out waiting " + std::to_string(limit.count()) + "ms for " + what + ": " + text);
    default:
      return exception<c10::DistBackendError>("[tutti] " + what + ": " + text);
  }
}

void check(tutti_code code, const std::string& what, std::chrono::milliseconds limit) {
  if (code != TUTTI_OK) {
    std::rethrow_exception(exceptionOfLastError(code, what, limit));
  }
}

void refuse(const std::string& what, const std::string& why) {
  C10_THROW_ERROR(ValueError, "[tutti] " + what + ": " + why);
}

} // namespace tutti_torch
