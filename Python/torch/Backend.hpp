// The backend: what torch.distributed calls, in Tutti's terms.
#pragma once

#include "Elements.hpp"
#include "Operation.hpp"

#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tutti_torch {

using Tensors = std::vector<at::Tensor>;
using TensorLists = std::vector<Tensors>;
using Milliseconds = std::chrono::milliseconds;
using WorkPointer = c10::intrusive_ptr<c10d::Work>;

/// The options of a group. After those that all backends have: what PyTorch's log of DDP reads of gloo's.
struct GroupOptions final : c10d::Backend::Options {
  using Options::Options;
  std::vector<std::shared_ptr<void>> devices;
  int threads = 2;
};

/// A group of PyTorch over a communicator of Tutti.
///
/// A call whose options say that the program waits for it (`async_op=False`) runs on the program's thread, to its end.
/// Others are started, and Tutti makes progress with them while the program computes.
class Backend final : public c10d::Backend {
 public:
  /// - asGloo: it is called "gloo", for PyTorch's own tests of gloo.
  Backend(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size, bool asGloo, Milliseconds timeout);

  // Backend.cpp: the group.
  const std::string getBackendName() const override { return asGloo_ ? "gloo" : "tutti"; }
  bool supportsSplitting() const override { return true; }
  void setTimeout(Milliseconds timeout) override { options_->timeout = timeout; }
  c10::intrusive_ptr<Options> getBackendOptions() override { return options_; }
  c10::intrusive_ptr<c10d::Backend> split(
      const c10::intrusive_ptr<c10d::Store>& store, const std::vector<int>& ranks,
      const c10::intrusive_ptr<Options>& options) override;
  c10::intrusive_ptr<c10d::Backend> merge(
      const c10::intrusive_ptr<c10d::Store>& store, const c10::intrusive_ptr<Options>& options, const int& rank,
      const int& size) override;
  void setSequenceNumberForGroup() override {}
  uint64_t getSequenceNumberForGroup() override { return sequence_; }
  void enableCollectivesTiming() override {}
  c10d::ErrorType getError() override;
  void abort() override;
  void shutdown() override;
  bool supportsTensorAlloc(c10::DeviceIndex) override { return true; }
  at::Tensor allocateTensor(long size, at::TensorOptions options) override;

  // Collectives/Reducing.cpp
  WorkPointer allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) override;
  WorkPointer allreduce_coalesced(Tensors& tensors, const c10d::AllreduceCoalescedOptions& options) override;
  WorkPointer reduce(Tensors& tensors, const c10d::ReduceOptions& options) override;
  WorkPointer reduce_scatter(
      Tensors& outputs, TensorLists& inputs, const c10d::ReduceScatterOptions& options) override;
  WorkPointer _reduce_scatter_base(
      at::Tensor& output, at::Tensor& input, const c10d::ReduceScatterOptions& options) override;
  WorkPointer reduce_scatter_tensor_coalesced(
      Tensors& outputs, Tensors& inputs, const c10d::ReduceScatterOptions& options) override;

  // Sparse.cpp
  WorkPointer allreduce_sparse(Tensors& tensors, const c10d::AllreduceOptions& options) override;

  // Gathering.cpp
  WorkPointer broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) override;
  WorkPointer allgather(TensorLists& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) override;
  WorkPointer allgather_coalesced(TensorLists& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) override;
  WorkPointer _allgather_base(at::Tensor& output, at::Tensor& input, const c10d::AllgatherOptions& options) override;
  WorkPointer allgather_into_tensor_coalesced(
      Tensors& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) override;

  // Collectives/Rooted.cpp
  WorkPointer gather(TensorLists& outputs, Tensors& inputs, const c10d::GatherOptions& options) override;
  WorkPointer scatter(Tensors& outputs, TensorLists& inputs, const c10d::ScatterOptions& options) override;

  // Exchanging.cpp
  WorkPointer alltoall_base(
      at::Tensor& output, at::Tensor& input, std::vector<int64_t>& outputSplits, std::vector<int64_t>& inputSplits,
      const c10d::AllToAllOptions& options) override;
  WorkPointer alltoall(Tensors& outputs, Tensors& inputs, const c10d::AllToAllOptions& options) override;
  WorkPointer send(Tensors& tensors, int receiver, int tag) override;
  WorkPointer recv(Tensors& tensors, int sender, int tag) override;
  WorkPointer recvAnysource(Tensors& tensors, int tag) override;

  // Collectives/Barriers.cpp
  WorkPointer barrier(const c10d::BarrierOptions& options) override;
  void monitoredBarrier(const c10d::BarrierOptions& options, bool waitAllRanks) override;

 private:
  /// How an operation is to run.
  struct Run {
    const Kind& kind;
    bool async;
    Milliseconds timeout; // kUnsetTimeout for the group's
  };

  /// Makes a call of Tutti: blocking where the work is NULL. It may keep `Belongings` only as long as that lives.
  using Call = std::function<tutti_code(const tutti_call*, tutti_work*, Belongings&)>;

  /// Runs or starts an operation.
  ///
  /// - inputs: what the profiler is shown.
  /// - results: what the Work gives; kept until the operation has ended, as are `inputs` and `kept`.
  /// - call: makes the call.
  /// - after: is done when it has ended well, before anybody is told.
  WorkPointer run(
      const Run& run, const Tensors& inputs, Tensors results, const Call& call, std::function<void()> after = nullptr,
      Tensors kept = {});

  /// Runs or starts several calls as one operation.
  WorkPointer runAll(
      const Run& run, const Tensors& inputs, Tensors results, const std::vector<Call>& calls,
      std::function<void()> after = nullptr, Tensors kept = {});

  Call allReduceCall(const at::Tensor& tensor, const c10d::ReduceOp& op, const char* what);
  WorkPointer averageIntegers(Tensors& tensors, const c10d::AllreduceOptions& options);
  Call reduceScatterCall(
      const at::Tensor& output, const at::Tensor& input, const c10d::ReduceOp& op, const char* what);
  Call allGatherCall(const at::Tensor& output, const at::Tensor& input, const char* what);
  Call allGatherListCall(const Tensors& outputs, const at::Tensor& input, const char* what);
  WorkPointer receive(const Kind& kind, Tensors& tensors, int sender, int tag);
  Milliseconds limit(Milliseconds timeout) const;
  void checkRoot(int64_t root, const char* what) const;
  tutti_comm* comm() const { return membership_->comm(); }

  // PyTorch takes what stands in for gloo for its own class, and reads the options where they lie there: behind a pointer.
  const std::shared_ptr<void> unused_;
  const c10::intrusive_ptr<GroupOptions> options_;
  const bool asGloo_;
  std::shared_ptr<Membership> membership_;
  std::atomic<uint64_t> sequence_{0};
};

} // namespace tutti_torch
