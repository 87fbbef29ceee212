// An operation that PyTorch waits for: its Work, over a started or an ended operation of Tutti.
#pragma once

#include <tutti.h>

#include <torch/csrc/distributed/c10d/Work.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace tutti_torch {

/// Owns a communicator. Operations hold it too, so that it outlives them.
class Membership {
 public:
  explicit Membership(tutti_comm* comm) : comm_(comm) {}
  ~Membership();
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;
  tutti_comm* comm() const { return comm_; }

 private:
  tutti_comm* comm_;
};

/// Says that the interpreter is about to end: nothing is told to the program any more, nor freed by other threads.
void leave();

/// What an operation uses until it has ended, whoever throws away its Work meanwhile.
struct Belongings {
  std::shared_ptr<Membership> membership;
  std::vector<at::Tensor> tensors;
  int source = -1; // the rank that a message was from
};

/// What is the same about all operations of a kind.
struct Kind {
  c10d::OpType type;
  const char* name;     // "all_reduce"
  const char* title;    // of its profiler range: "tutti:all_reduce"; NULL for none
  const char* gloo;     // of its range where the backend stands in for gloo
};

/// The Work of an operation.
///
/// It ends when somebody who waits notices, or on the library's thread of callbacks where nobody may be waiting: when a
/// future was asked for, a profiler looks, or something is left to do after the operation.
class Operation final : public c10d::Work {
 public:
  Operation(
      const Kind& kind, const char* title, int rank, uint64_t sequence, std::chrono::milliseconds limit,
      const std::optional<std::vector<at::Tensor>>& inputs, std::vector<at::Tensor> results,
      std::unique_ptr<Belongings> belongings);
  ~Operation() override;

  /// The place for the handle of the operation when it is started.
  tutti_work* handle() { return &work_; }
  Belongings& belongings() { return *belongings_; }

  /// Says what is to be done when the operation has ended well, before anybody is told.
  void setAfter(std::function<void()> after) { after_ = std::move(after); }

  /// Says that the operation is under way, and is to be waited for by its handle.
  void began();

  /// Says that the operation has ended on this thread; throws its error.
  void ended(tutti_code code);

  bool isCompleted() override;
  bool isSuccess() const override;
  int sourceRank() const override;
  std::vector<at::Tensor> result() override { return results_; }
  void synchronize() override { wait(kNoTimeout); }
  bool wait(std::chrono::milliseconds timeout) override;
  void abort() override;
  c10::intrusive_ptr<c10::ivalue::Future> getFuture() override;
  uint64_t getSequencenumber() const override { return sequence_; }

 private:
  void settle(tutti_code code);
  void watch();
  void rethrow() const;

  const Kind& kind_;
  const uint64_t sequence_;
  const std::chrono::milliseconds limit_;
  std::vector<at::Tensor> results_;
  std::unique_ptr<Belongings> belongings_;
  std::function<void()> after_;
  tutti_work work_{};
  // Guards what follows; held while the operation settles, so that everybody who saw its end finds it settled.
  mutable std::mutex settling_;
  bool settled_ = false;
  bool watched_ = false;
  c10::intrusive_ptr<c10::ivalue::Future> future_;
};

} // namespace tutti_torch
