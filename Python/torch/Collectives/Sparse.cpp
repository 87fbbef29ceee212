#include "Backend.hpp"

#include "Errors.hpp"

#include <algorithm>

namespace tutti_torch {

namespace {

const Kind kSparse{
    c10d::OpType::_ALLREDUCE_SPARSE, "sparse_all_reduce", "tutti:sparse_all_reduce", "gloo:sparse_all_reduce"};

/// What ranks tell each other of a sparse tensor: sparse and dense dimensions, elements that are stored, and the sizes.
constexpr int64_t kSizesMax = 13;
constexpr int64_t kWords = 3 + kSizesMax;

at::Tensor description(const at::Tensor& tensor) {
  if (tensor.dim() > kSizesMax) {
    refuse(kSparse.name, c10::str("a sparse tensor has ", tensor.dim(), " dimensions, and at most ", kSizesMax, " may be"));
  }
  at::Tensor words = at::zeros({kWords}, at::kLong);
  auto* word = words.data_ptr<int64_t>();
  word[0] = tensor.sparse_dim();
  word[1] = tensor.dense_dim();
  word[2] = tensor._nnz();
  std::copy(tensor.sizes().begin(), tensor.sizes().end(), word + 3);
  return words;
}

void checkAlike(const at::Tensor& words, int rank, int size) {
  const auto* own = words.data_ptr<int64_t>() + rank * kWords;
  for (int other = 0; other < size; other++) {
    const auto* word = words.data_ptr<int64_t>() + other * kWords;
    if (word[0] != own[0] || word[1] != own[1] || !std::equal(word + 3, word + kWords, own + 3)) {
      refuse(
          kSparse.name, c10::str("the sparse tensor of rank ", other, " has another shape or other sparse dimensions than ",
                                 "that of rank ", rank, ": give tensors of one shape"));
    }
  }
}

} // namespace

// Ranks hold different elements, so how much there is to receive is known only after they have told each other: three
// operations, and the sum on each rank in the order of ranks. All of it on the caller's thread.
WorkPointer Backend::allreduce_sparse(Tensors& tensors, const c10d::AllreduceOptions& options) {
  if (tensors.size() != 1 || tensors[0].layout() != at::kSparse || !tensors[0].device().is_cpu()) {
    refuse(kSparse.name, "needs one sparse COO tensor on the CPU");
  }
  if (options.reduceOp.op_ != c10d::ReduceOp::SUM) {
    refuse(kSparse.name, "sparse tensors can only be summed");
  }
  at::AutoDispatchBelowADInplaceOrView guard;
  const at::Tensor own = tensors[0].coalesce();
  const at::Tensor mine = description(own);
  const at::Tensor indices = own._indices().contiguous();
  const at::Tensor values = own._values().contiguous();
  const Elements stored = elements(values, options.reduceOp, kSparse.name);

  const auto call = [&](const tutti_call* settings, tutti_work*, Belongings&) {
    at::Tensor words = at::zeros({size_, kWords}, at::kLong);
    tutti_code code =
        tutti_all_gather(comm(), mine.data_ptr(), words.data_ptr(), kWords, TUTTI_TYPE_INT64, settings, nullptr);
    if (code != TUTTI_OK) {
      return code;
    }
    checkAlike(words, rank_, size_);
    const int64_t perElement = own._nnz() == 0 ? values.stride(0) : values.numel() / own._nnz();
    std::vector<at::Tensor> allIndices, allValues;
    std::vector<void*> indexBlocks, valueBlocks;
    std::vector<size_t> indexCounts, valueCounts;
    for (int rank = 0; rank < size_; rank++) {
      const int64_t count = words[rank][2].item<int64_t>();
      auto shape = values.sizes().vec();
      shape[0] = count;
      allIndices.push_back(at::empty({own.sparse_dim(), count}, indices.options()));
      allValues.push_back(at::empty(shape, values.options()));
      indexBlocks.push_back(allIndices.back().data_ptr());
      valueBlocks.push_back(allValues.back().data_ptr());
      indexCounts.push_back(static_cast<size_t>(own.sparse_dim() * count));
      valueCounts.push_back(static_cast<size_t>(perElement * count) * stored.perElement);
    }
    code = tutti_all_gather_list(
        comm(), indices.data_ptr(), indexBlocks.data(), indexCounts.data(), TUTTI_TYPE_INT64, settings, nullptr);
    if (code == TUTTI_OK) {
      code = tutti_all_gather_list(
          comm(), stored.data, valueBlocks.data(), valueCounts.data(), stored.type, settings, nullptr);
    }
    if (code == TUTTI_OK) {
      const at::Tensor whole = at::sparse_coo_tensor(at::cat(allIndices, 1), at::cat(allValues, 0), own.sizes());
      tensors[0].copy_(whole.coalesce());
    }
    return code;
  };
  return run({kSparse, false, options.timeout}, tensors, tensors, call);
}

} // namespace tutti_torch
