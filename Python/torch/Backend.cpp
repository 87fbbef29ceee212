#include "Backend.hpp"

#include "Errors.hpp"
#include "Rendezvous.hpp"

#include <algorithm>

namespace tutti_torch {

Backend::Backend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, bool asGloo, Milliseconds timeout)
    : c10d::Backend(rank, size),
      options_(c10::make_intrusive<GroupOptions>(asGloo ? "gloo" : "tutti", timeout)),
      asGloo_(asGloo),
      membership_(std::make_shared<Membership>(join(store, rank, size, timeout))) {
  init();
}

Milliseconds Backend::limit(Milliseconds timeout) const {
  return timeout == c10d::kUnsetTimeout ? options_->timeout : timeout;
}

void Backend::checkRoot(int64_t root, const char* what) const {
  if (root < 0 || root >= size_) {
    refuse(what, c10::str("the root is rank ", root, " of a group of ", size_));
  }
}

WorkPointer Backend::run(
    const Run& run, const Tensors& inputs, Tensors results, const Call& call, std::function<void()> after, Tensors kept) {
  const Milliseconds most = limit(run.timeout);
  auto belongings = std::make_unique<Belongings>();
  belongings->membership = membership_;
  if (run.async) {
    kept.insert(kept.end(), inputs.begin(), inputs.end());
    kept.insert(kept.end(), results.begin(), results.end());
    belongings->tensors = std::move(kept);
  }
  auto operation = c10::make_intrusive<Operation>(
      run.kind, asGloo_ ? run.kind.gloo : run.kind.title, rank_, sequence_.fetch_add(1, std::memory_order_relaxed), most,
      inputs, std::move(results), std::move(belongings));
  if (after) {
    operation->setAfter(std::move(after));
  }
  tutti_call settings = TUTTI_CALL_INIT;
  settings.timeout_ns = std::max<int64_t>(std::chrono::nanoseconds(most).count(), 1);
  const tutti_code code = call(&settings, run.async ? operation->handle() : nullptr, operation->belongings());
  if (run.async && code == TUTTI_OK) {
    operation->began();
  } else {
    operation->ended(code);
  }
  return operation;
}

WorkPointer Backend::runAll(
    const Run& run, const Tensors& inputs, Tensors results, const std::vector<Call>& calls, std::function<void()> after,
    Tensors kept) {
  const auto all = [&calls](const tutti_call* settings, tutti_work* work, Belongings& belongings) {
    std::vector<tutti_work> works(calls.size());
    for (size_t index = 0; index < calls.size(); index++) {
      if (const tutti_code code = calls[index](settings, &works[index], belongings); code != TUTTI_OK) {
        // Those that were started use the tensors until they have ended.
        tutti_work_wait_all(works.data(), index);
        return code;
      }
    }
    return work == nullptr ? tutti_work_wait_all(works.data(), works.size())
                           : tutti_work_combine(works.data(), works.size(), work);
  };
  return this->run(run, inputs, std::move(results), all, std::move(after), std::move(kept));
}

c10::intrusive_ptr<c10d::Backend> Backend::split(
    const c10::intrusive_ptr<c10d::Store>& store, const std::vector<int>& ranks,
    const c10::intrusive_ptr<Options>& options) {
  const auto found = std::find(ranks.begin(), ranks.end(), rank_);
  if (found == ranks.end()) {
    return nullptr;
  }
  return merge(store, options, static_cast<int>(found - ranks.begin()), static_cast<int>(ranks.size()));
}

c10::intrusive_ptr<c10d::Backend> Backend::merge(
    const c10::intrusive_ptr<c10d::Store>& store, const c10::intrusive_ptr<Options>& options, const int& rank,
    const int& size) {
  auto made = c10::make_intrusive<Backend>(store, rank, size, asGloo_, options ? options->timeout : options_->timeout);
  if (options) {
    made->options_->group_name = options->group_name;
    made->options_->group_desc = options->group_desc;
    made->options_->global_ranks_in_group = options->global_ranks_in_group;
  }
  return made;
}

c10d::ErrorType Backend::getError() {
  // A group that failed refuses every call with its first error: this one changes nothing and sends nothing.
  int value = 0;
  switch (tutti_comm_rank(comm(), &value)) {
    case TUTTI_OK:
      return c10d::ErrorType::SUCCESS;
    case TUTTI_ERROR_TIMEOUT:
      return c10d::ErrorType::TIMEOUT;
    default:
      return c10d::ErrorType::COMM_ERROR;
  }
}

void Backend::abort() {
  check(tutti_comm_abort(comm(), "the program aborted the process group"), "abort", options_->timeout);
}

void Backend::shutdown() { check(tutti_comm_close(comm()), "shutdown", options_->timeout); }

at::Tensor Backend::allocateTensor(long size, at::TensorOptions options) {
  if (size < 0) {
    refuse("allocate_tensor", c10::str("a tensor cannot have ", size, " elements"));
  }
  void* memory = nullptr;
  const size_t bytes = static_cast<size_t>(size) * options.dtype().itemsize();
  check(tutti_memory_allocate(comm(), std::max<size_t>(bytes, 1), &memory), "allocate_tensor", options_->timeout);
  // The memory may outlive the group; it is freed in any order with it.
  return at::from_blob(memory, {size}, [](void* freed) { tutti_memory_free(freed); }, options.device(at::kCPU));
}

} // namespace tutti_torch
