#include "Backend.hpp"

#include "Errors.hpp"

namespace tutti_torch {

namespace {

const Kind kAllReduce{c10d::OpType::ALLREDUCE, "all_reduce", "tutti:all_reduce", "gloo:all_reduce"};
const Kind kAllReduceCoalesced{
    c10d::OpType::ALLREDUCE_COALESCED, "all_reduce_coalesced", "tutti:all_reduce", "gloo:all_reduce"};
const Kind kReduce{c10d::OpType::REDUCE, "reduce", "tutti:reduce", "gloo:reduce"};
const Kind kReduceScatter{
    c10d::OpType::REDUCE_SCATTER, "reduce_scatter", "tutti:reduce_scatter", "gloo:reduce_scatter"};
const Kind kReduceScatterTensor{
    c10d::OpType::_REDUCE_SCATTER_BASE, "reduce_scatter_tensor", "tutti:reduce_scatter_tensor",
    "gloo:reduce_scatter_tensor"};
const Kind kReduceScatterCoalesced{
    c10d::OpType::REDUCE_SCATTER_TENSOR_COALESCED, "reduce_scatter_tensor_coalesced", "tutti:reduce_scatter_tensor",
    "gloo:reduce_scatter_tensor"};

bool isSignedOrByte(at::ScalarType type) {
  return type == at::kLong || type == at::kInt || type == at::kShort || type == at::kChar || type == at::kByte;
}

} // namespace

Backend::Call Backend::allReduceCall(const at::Tensor& tensor, const c10d::ReduceOp& op, const char* what) {
  const Elements all = elements(tensor, op, what);
  const Reduction how = reduction(op, what);
  return [comm = comm(), all, how](const tutti_call* settings, tutti_work* work, Belongings&) {
    return how.scaled
        ? tutti_all_reduce_scaled(comm, all.data, all.data, all.count, all.type, how.factor, settings, work)
        : tutti_all_reduce(comm, all.data, all.data, all.count, all.type, how.op, settings, work);
  };
}

WorkPointer Backend::allreduce(Tensors& tensors, const c10d::AllreduceOptions& options) {
  if (tensors.size() == 1 && tensors[0].layout() == at::kSparse) {
    return allreduce_sparse(tensors, options);
  }
  const at::Tensor& tensor = single(tensors, kAllReduce.name);
  if (options.reduceOp == c10d::ReduceOp::AVG && isSignedOrByte(tensor.scalar_type())) {
    return averageIntegers(tensors, options);
  }
  return run(
      {kAllReduce, options.asyncOp, options.timeout}, tensors, tensors,
      allReduceCall(tensor, options.reduceOp, kAllReduce.name));
}

// Tutti averages no integers, since the fraction would be lost. Programs for NCCL rely on that it is: Lightning averages its
// counters. The sum has 64 bits, so that it does not overflow where the average does not.
WorkPointer Backend::averageIntegers(Tensors& tensors, const c10d::AllreduceOptions& options) {
  const at::Tensor tensor = tensors[0];
  const at::Tensor sum = tensor.to(at::kLong, /*non_blocking=*/false, /*copy=*/true);
  const auto after = [tensor, sum, size = size_] { tensor.copy_(sum.div_(size, "trunc")); };
  return run(
      {kAllReduce, options.asyncOp, options.timeout}, tensors, tensors,
      allReduceCall(sum, c10d::ReduceOp::SUM, kAllReduce.name), after);
}

WorkPointer Backend::allreduce_coalesced(Tensors& tensors, const c10d::AllreduceCoalescedOptions& options) {
  const char* what = kAllReduceCoalesced.name;
  if (tensors.empty()) {
    refuse(what, "the list of tensors is empty");
  }
  std::vector<Call> calls;
  for (const auto& tensor : tensors) {
    checkTensor(tensor, what);
    calls.push_back(allReduceCall(tensor, options.reduceOp, what));
  }
  return runAll({kAllReduceCoalesced, options.asyncOp, options.timeout}, tensors, tensors, calls);
}

WorkPointer Backend::reduce(Tensors& tensors, const c10d::ReduceOptions& options) {
  const char* what = kReduce.name;
  const at::Tensor& tensor = single(tensors, what);
  checkRoot(options.rootRank, what);
  const Elements all = elements(tensor, options.reduceOp, what);
  const Reduction how = reduction(options.reduceOp, what);
  if (how.scaled) {
    refuse(what, "PREMUL_SUM is for all_reduce and reduce_scatter");
  }
  const int root = static_cast<int>(options.rootRank);
  const auto call = [this, all, how, root](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_reduce(comm(), all.data, all.data, all.count, all.type, how.op, root, settings, work);
  };
  return run({kReduce, options.asyncOp, options.timeout}, tensors, tensors, call);
}

WorkPointer Backend::reduce_scatter(
    Tensors& outputs, TensorLists& inputs, const c10d::ReduceScatterOptions& options) {
  const char* what = kReduceScatter.name;
  const at::Tensor& output = single(outputs, what);
  if (inputs.size() != 1) {
    refuse(what, c10::str("needs one list of inputs, and got ", inputs.size()));
  }
  checkTensors(inputs[0], size_, what);
  const Elements mine = elements(output, options.reduceOp, what);
  const Reduction how = reduction(options.reduceOp, what);
  std::vector<const void*> blocks;
  std::vector<size_t> counts;
  for (const auto& input : inputs[0]) {
    const Elements block = elements(input, options.reduceOp, what);
    blocks.push_back(block.data);
    counts.push_back(block.count);
  }
  if (inputs[0][rank_].scalar_type() != output.scalar_type() || counts[rank_] != mine.count) {
    refuse(what, c10::str("input ", rank_, " has not the type and the size of the output"));
  }
  if (how.scaled) {
    // Blocks apart are made one, which has equal ones.
    at::Tensor whole = at::cat(inputs[0]);
    return run(
        {kReduceScatter, options.asyncOp, options.timeout}, inputs[0], outputs,
        reduceScatterCall(output, whole, options.reduceOp, what), nullptr, {whole});
  }
  const auto call = [this, mine, how, blocks, counts](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_reduce_scatter_list(comm(), blocks.data(), mine.data, counts.data(), mine.type, how.op, settings, work);
  };
  return run({kReduceScatter, options.asyncOp, options.timeout}, inputs[0], outputs, call);
}

Backend::Call Backend::reduceScatterCall(
    const at::Tensor& output, const at::Tensor& input, const c10d::ReduceOp& op, const char* what) {
  checkTensor(output, what);
  checkTensor(input, what);
  if (input.scalar_type() != output.scalar_type() || input.numel() != output.numel() * size_) {
    refuse(
        what, c10::str(
                  "the input has ", input.numel(), " elements of ", input.scalar_type(), ", and the output ",
                  output.numel(), " of ", output.scalar_type(), ": the input must have ", size_, " times as many"));
  }
  const Elements to = elements(output, op, what);
  const Elements from = elements(input, op, what);
  const Reduction how = reduction(op, what);
  return [comm = comm(), to, from, how](const tutti_call* settings, tutti_work* work, Belongings&) {
    return how.scaled
        ? tutti_reduce_scatter_scaled(comm, from.data, to.data, to.count, to.type, how.factor, settings, work)
        : tutti_reduce_scatter(comm, from.data, to.data, to.count, to.type, how.op, settings, work);
  };
}

WorkPointer Backend::_reduce_scatter_base(
    at::Tensor& output, at::Tensor& input, const c10d::ReduceScatterOptions& options) {
  return run(
      {kReduceScatterTensor, options.asyncOp, options.timeout}, {input}, {output},
      reduceScatterCall(output, input, options.reduceOp, kReduceScatterTensor.name));
}

WorkPointer Backend::reduce_scatter_tensor_coalesced(
    Tensors& outputs, Tensors& inputs, const c10d::ReduceScatterOptions& options) {
  const char* what = kReduceScatterCoalesced.name;
  if (outputs.empty() || outputs.size() != inputs.size()) {
    refuse(what, c10::str("got ", outputs.size(), " outputs and ", inputs.size(), " inputs"));
  }
  std::vector<Call> calls;
  for (size_t index = 0; index < outputs.size(); index++) {
    calls.push_back(reduceScatterCall(outputs[index], inputs[index], options.reduceOp, what));
  }
  return runAll({kReduceScatterCoalesced, options.asyncOp, options.timeout}, inputs, outputs, calls);
}

} // namespace tutti_torch
