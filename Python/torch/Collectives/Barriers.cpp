#include "Backend.hpp"

#include "Errors.hpp"

#include <c10/util/Exception.h>

#include <algorithm>

namespace tutti_torch {

namespace {

using Clock = std::chrono::steady_clock;

const Kind kBarrier{c10d::OpType::BARRIER, "barrier", "tutti:barrier", "gloo:barrier"};

// Tags that no program can use: PyTorch's have 32 bits.
constexpr int64_t kArrivedTag = int64_t{1} << 40;
constexpr int64_t kPassedTag = kArrivedTag + 1;
// How much longer than rank 0 the others wait for it, so that it is rank 0 that says who is missing.
constexpr auto kGrace = std::chrono::seconds(5);

int64_t nanoseconds(Clock::duration duration) {
  return std::max<int64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count(), 0);
}

std::string joined(const std::vector<int>& ranks) {
  std::string text;
  for (const int rank : ranks) {
    text += (text.empty() ? "" : ", ") + std::to_string(rank);
  }
  return text;
}

/// The messages of a monitored barrier, which carry a byte each.
class Monitor {
 public:
  Monitor(tutti_comm* comm, int size, Milliseconds limit) : comm_(comm), size_(size), limit_(limit) {
    settings_.timeout_ns = nanoseconds(limit + kGrace);
  }

  /// Waits on rank 0 for all others; returns those that have not come in time, or only the first of them.
  std::vector<int> missing(bool all) {
    const auto deadline = Clock::now() + limit_;
    std::vector<char> bytes(size_);
    std::vector<tutti_work> works(size_);
    for (int rank = 1; rank < size_; rank++) {
      check(receive(&bytes[rank], rank, kArrivedTag, &works[rank]));
    }
    std::vector<int> ranks;
    for (int rank = 1; rank < size_ && (all || ranks.empty()); rank++) {
      int done = 0;
      const auto code = tutti_work_wait_for(&works[rank], nanoseconds(deadline - Clock::now()), &done);
      if (code != TUTTI_OK || done == 0) {
        ranks.push_back(rank);
      }
    }
    if (!ranks.empty()) {
      // Nothing may be received into memory of this call any more.
      tutti_comm_abort(comm_, ("ranks " + joined(ranks) + " have not come to the monitored barrier").c_str());
      tutti_work_wait_all(works.data() + 1, works.size() - 1);
    }
    return ranks;
  }

  void releaseAll() {
    for (int rank = 1; rank < size_; rank++) {
      check(send(rank, kPassedTag));
    }
  }

  tutti_code pass() {
    char byte = 0;
    const tutti_code code = send(0, kArrivedTag);
    return code == TUTTI_OK ? receive(&byte, 0, kPassedTag, nullptr) : code;
  }

 private:
  tutti_code send(int rank, int64_t tag) {
    const char byte = 0;
    return tutti_send_tagged(comm_, &byte, 1, TUTTI_TYPE_UINT8, rank, tag, &settings_, nullptr);
  }
  tutti_code receive(char* byte, int rank, int64_t tag, tutti_work* work) {
    return tutti_receive_tagged(comm_, byte, 1, TUTTI_TYPE_UINT8, rank, tag, nullptr, &settings_, work);
  }
  void check(tutti_code code) { tutti_torch::check(code, "monitored_barrier", limit_); }

  tutti_comm* comm_;
  int size_;
  Milliseconds limit_;
  tutti_call settings_ = TUTTI_CALL_INIT;
};

} // namespace

WorkPointer Backend::barrier(const c10d::BarrierOptions& options) {
  const auto call = [this](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_barrier(comm(), settings, work);
  };
  return run({kBarrier, options.asyncOp, options.timeout}, {}, {}, call);
}

// Not tutti_monitored_barrier, whose error names the missing ranks on every rank: the programs that call this expect the
// words and the parts that PyTorch documents, where rank 0 tells.
void Backend::monitoredBarrier(const c10d::BarrierOptions& options, bool waitAllRanks) {
  const Milliseconds most = limit(options.timeout);
  Monitor monitor(comm(), size_, most);
  sequence_.fetch_add(1, std::memory_order_relaxed);
  if (rank_ != 0) {
    const tutti_code code = monitor.pass();
    check(
        code,
        c10::str(
            "Rank ", rank_, " successfully reached monitoredBarrier, but received errors while waiting for send/recv from ",
            "rank 0. Look at rank 0's error, which names the ranks that are missing"),
        most);
    return;
  }
  if (most.count() <= 0) {
    C10_THROW_ERROR(
        DistBackendError,
        c10::str("[tutti] Rank 0 timed out in monitoredBarrier after ", most.count(), " ms: give more time"));
  }
  const auto missing = monitor.missing(waitAllRanks);
  if (!missing.empty()) {
    C10_THROW_ERROR(
        DistBackendError,
        c10::str(
            "[tutti] Rank 0: ", missing.size() == 1 ? "Rank " : "Ranks ", joined(missing),
            " failed to pass monitoredBarrier in ", most.count(), " ms. Look at what it does there"));
  }
  monitor.releaseAll();
}

} // namespace tutti_torch
