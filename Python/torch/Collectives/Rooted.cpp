#include "Backend.hpp"

#include "Errors.hpp"

namespace tutti_torch {

namespace {

const Kind kGather{c10d::OpType::GATHER, "gather", "tutti:gather", "gloo:gather"};
const Kind kScatter{c10d::OpType::SCATTER, "scatter", "tutti:scatter", "gloo:scatter"};

/// Refuses lists of the root that have not one tensor for each rank, each like this rank's own.
void checkList(const TensorLists& lists, const at::Tensor& own, int size, const char* what) {
  if (lists.size() != 1 || lists[0].size() != static_cast<size_t>(size)) {
    refuse(what, c10::str("the root must give one list of ", size, " tensors"));
  }
  for (const auto& tensor : lists[0]) {
    if (tensor.scalar_type() != own.scalar_type() || tensor.numel() != own.numel()) {
      refuse(
          what, c10::str(
                    "a tensor of the list has ", tensor.numel(), " elements of ", tensor.scalar_type(),
                    ", and this rank's own ", own.numel(), " of ", own.scalar_type()));
    }
  }
}

void checkNone(const TensorLists& lists, const char* what) {
  if (!lists.empty() && !lists[0].empty()) {
    refuse(what, "only the root gives a list of tensors");
  }
}

} // namespace

WorkPointer Backend::gather(TensorLists& outputs, Tensors& inputs, const c10d::GatherOptions& options) {
  const char* what = kGather.name;
  const at::Tensor& input = single(inputs, what);
  checkRoot(options.rootRank, what);
  const Elements mine = elements(input);
  const int root = static_cast<int>(options.rootRank);
  at::Tensor whole;
  std::function<void()> after;
  Tensors results;
  if (rank_ == root) {
    checkList(outputs, input, size_, what);
    whole = at::empty({size_, input.numel()}, input.options());
    results = outputs[0];
    after = [whole, results] {
      for (size_t rank = 0; rank < results.size(); rank++) {
        results[rank].copy_(whole[static_cast<int64_t>(rank)].view(results[rank].sizes()));
      }
    };
  } else {
    checkNone(outputs, what);
  }
  void* to = whole.defined() ? whole.data_ptr() : nullptr;
  const auto call = [this, mine, to, root](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_gather(comm(), mine.data, to, mine.count, mine.type, root, settings, work);
  };
  return run({kGather, options.asyncOp, options.timeout}, inputs, results, call, after, {whole});
}

WorkPointer Backend::scatter(Tensors& outputs, TensorLists& inputs, const c10d::ScatterOptions& options) {
  const char* what = kScatter.name;
  const at::Tensor& output = single(outputs, what);
  checkRoot(options.rootRank, what);
  const Elements mine = elements(output);
  const int root = static_cast<int>(options.rootRank);
  at::Tensor whole;
  Tensors shown;
  if (rank_ == root) {
    checkList(inputs, output, size_, what);
    whole = at::empty({size_, output.numel()}, output.options());
    at::AutoDispatchBelowADInplaceOrView guard;
    for (int64_t rank = 0; rank < size_; rank++) {
      whole[rank].copy_(inputs[0][rank].reshape({-1}));
    }
    shown = inputs[0];
  } else {
    checkNone(inputs, what);
  }
  const void* from = whole.defined() ? whole.data_ptr() : nullptr;
  const auto call = [this, mine, from, root](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_scatter(comm(), from, mine.data, mine.count, mine.type, root, settings, work);
  };
  return run({kScatter, options.asyncOp, options.timeout}, shown, outputs, call, nullptr, {whole});
}

} // namespace tutti_torch
