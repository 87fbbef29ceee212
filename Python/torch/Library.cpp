// What Python calls once the shared object is loaded by torch.ops.load_library: operations of `torch.ops.tutti`.
//
// It needs no header of Python, so that one object serves every Python version; and one for each minor version of PyTorch,
// whose classes' layout changes with those.

#include "Backend.hpp"

#include "Errors.hpp"

#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/library.h>

namespace tutti_torch {

namespace {

/// Makes a backend for a group of PyTorch, over the group's store, and gives it to the group for CPU tensors.
void attach(const c10::intrusive_ptr<c10d::ProcessGroup>& group, bool asGloo, int64_t timeoutMilliseconds) {
  if (tutti_check_version(TUTTI_VERSION) != TUTTI_OK) {
    check(TUTTI_ERROR_VERSION, "init_process_group", Milliseconds(0));
  }
  auto backend = c10::make_intrusive<Backend>(
      group->getStore(), group->getRank(), group->getSize(), asGloo, Milliseconds(timeoutMilliseconds));
  group->setBackend(c10::DeviceType::CPU, c10d::ProcessGroup::BackendType::CUSTOM, backend);
}

} // namespace

} // namespace tutti_torch

TORCH_LIBRARY(tutti, library) {
  library.def("attach(__torch__.torch.classes.c10d.ProcessGroup group, bool as_gloo, int timeout_ms) -> ()");
  library.impl("attach", c10::DispatchKey::CompositeExplicitAutograd, &tutti_torch::attach);
  library.def("leave() -> ()");
  library.impl("leave", c10::DispatchKey::CompositeExplicitAutograd, &tutti_torch::leave);
}
