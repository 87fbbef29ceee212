// How what Tutti reports becomes an exception of PyTorch, and so of Python.
#pragma once

#include <tutti.h>

#include <chrono>
#include <exception>
#include <string>

namespace tutti_torch {

/// Returns the exception for an error that a call of Tutti has just returned on this thread.
///
/// - what: the operation as PyTorch names it: "all_reduce".
/// - limit: how long it could take.
std::exception_ptr exceptionOfLastError(tutti_code code, const std::string& what, std::chrono::milliseconds limit);

/// Throws that exception, unless `code` is TUTTI_OK.
void check(tutti_code code, const std::string& what, std::chrono::milliseconds limit);

/// Throws a ValueError: what was given cannot be used, and nothing was sent.
[[noreturn]] void refuse(const std::string& what, const std::string& why);

} // namespace tutti_torch
