// How the members of a group find each other over the Store that PyTorch gives them.
#pragma once

#include <tutti.h>

#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>

namespace tutti_torch {

/// Makes the communicator of a group, by its members alone: rank 0 listens and leaves its address in the store.
///
/// Connections prove the job's secret where the environment has one (TUTTI_SECRET, TUTTI_SECRET_FILE), and otherwise a
/// random one that rank 0 leaves in the store too.
///
/// - timeout: limit of joining, and of operations that set none of their own.
tutti_comm* join(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, std::chrono::milliseconds timeout);

} // namespace tutti_torch
