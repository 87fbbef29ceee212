#include "Operation.hpp"

#include "Errors.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>

#include <atomic>

namespace tutti_torch {

using c10::ivalue::Future;

namespace {

std::atomic<bool> leaving{false};
std::timed_mutex telling;

/// Runs `body`, on the library's thread of callbacks, unless the program is ending: to free a tensor may need the
/// interpreter, which ends threads that ask for it then. What is not freed goes with the process.
template <typename Body>
void tell(Body body) {
  std::lock_guard<std::timed_mutex> lock(telling);
  if (!leaving) {
    body();
  }
}

} // namespace

void leave() {
  leaving = true;
  // Until what is being told now is over; but not longer than a user waits.
  if (telling.try_lock_for(std::chrono::seconds(5))) {
    telling.unlock();
  }
}

Membership::~Membership() {
  // In a forked child this is refused and changes nothing: the communicator is its parent's.
  tutti_comm_free(comm_);
}

Operation::Operation(
    const Kind& kind, const char* title, int rank, uint64_t sequence, std::chrono::milliseconds limit,
    const std::optional<std::vector<at::Tensor>>& inputs, std::vector<at::Tensor> results,
    std::unique_ptr<Belongings> belongings)
    : Work(rank, kind.type, title, inputs),
      kind_(kind),
      sequence_(sequence),
      limit_(limit),
      results_(std::move(results)),
      belongings_(std::move(belongings)) {}

Operation::~Operation() {
  if (settled_ || belongings_ == nullptr) {
    return;
  }
  // The program threw the Work away before the operation has ended, which still uses the tensors.
  auto* left = belongings_.release();
  const auto free = [](void* context, tutti_code) { tell([context] { delete static_cast<Belongings*>(context); }); };
  if (tutti_work_when_ended(&work_, free, left) != TUTTI_OK) {
    delete left; // the communicator is gone, and uses no memory any more
  }
}

void Operation::began() {
  if (recordFunctionEndCallback_ || after_) {
    std::lock_guard<std::mutex> lock(settling_);
    watch();
  }
}

void Operation::ended(tutti_code code) {
  settle(code);
  rethrow();
}

// With `settling_` held. The callback owns a reference, so that the operation lives until it has ended.
void Operation::watch() {
  if (watched_ || settled_) {
    return;
  }
  watched_ = true;
  auto* self = c10::intrusive_ptr<Operation>::reclaim_copy(this).release();
  const auto settle = [](void* context, tutti_code code) {
    tell([&] { c10::intrusive_ptr<Operation>::reclaim(static_cast<Operation*>(context))->settle(code); });
  };
  const tutti_code code = tutti_work_when_ended(&work_, settle, self);
  if (code != TUTTI_OK) {
    c10::intrusive_ptr<Operation>::reclaim(self);
    check(code, kind_.name, limit_);
  }
}

void Operation::settle(tutti_code code) {
  c10::intrusive_ptr<Future> future;
  {
    std::lock_guard<std::mutex> lock(settling_);
    if (settled_) {
      return;
    }
    std::exception_ptr error;
    if (code != TUTTI_OK) {
      error = exceptionOfLastError(code, kind_.name, limit_);
    } else if (after_) {
      // What was received is written into tensors that autograd may know.
      at::AutoDispatchBelowADInplaceOrView guard;
      try {
        after_();
      } catch (...) {
        error = std::current_exception();
      }
    }
    after_ = nullptr;
    finish(error);
    settled_ = true;
    future = future_;
    if (belongings_) {
      belongings_->tensors.clear();
      belongings_->membership.reset();
    }
  }
  // Outside of the lock: this calls what the program attached to the future.
  if (future) {
    if (const auto error = exception()) {
      future->setError(error);
    } else {
      future->markCompleted(c10::IValue(results_));
    }
  }
}

void Operation::rethrow() const {
  if (const auto error = exception()) {
    std::rethrow_exception(error);
  }
}

bool Operation::wait(std::chrono::milliseconds timeout) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (completed_) {
      if (exception_) {
        std::rethrow_exception(exception_);
      }
      return true;
    }
  }
  if (timeout == kNoTimeout) {
    settle(tutti_work_wait(&work_));
  } else {
    int done = 0;
    const tutti_code code =
        tutti_work_wait_for(&work_, std::chrono::nanoseconds(timeout).count(), &done);
    if (code == TUTTI_OK && done == 0) {
      C10_THROW_ERROR(
          DistBackendError,
          c10::str(
              "[tutti] Timed out waiting ", timeout.count(), "ms for ", kind_.name,
              ", which goes on: wait again, or abort the group"));
    }
    settle(code);
  }
  rethrow();
  return true;
}

bool Operation::isCompleted() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (completed_) {
      return true;
    }
  }
  int done = 0;
  const tutti_code code = tutti_work_wait_for(&work_, 0, &done);
  if (code == TUTTI_OK && done == 0) {
    return false;
  }
  settle(code);
  return true;
}

bool Operation::isSuccess() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return completed_ && !exception_;
}

int Operation::sourceRank() const { return belongings_ ? belongings_->source : -1; }

void Operation::abort() {
  std::shared_ptr<Membership> membership;
  {
    std::lock_guard<std::mutex> lock(settling_);
    if (settled_ || !belongings_) {
      return;
    }
    membership = belongings_->membership;
  }
  check(tutti_comm_abort(membership->comm(), "the program aborted a Work of torch.distributed"), kind_.name, limit_);
}

c10::intrusive_ptr<Future> Operation::getFuture() {
  std::lock_guard<std::mutex> lock(settling_);
  if (!future_) {
    future_ = c10::make_intrusive<Future>(c10::ListType::create(c10::TensorType::get()));
    if (!settled_) {
      watch();
    } else if (const auto error = exception()) {
      future_->setError(error);
    } else {
      future_->markCompleted(c10::IValue(results_));
    }
  }
  return future_;
}

} // namespace tutti_torch
