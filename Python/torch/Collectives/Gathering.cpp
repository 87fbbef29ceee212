#include "Backend.hpp"

#include "Errors.hpp"

namespace tutti_torch {

namespace {

const Kind kBroadcast{c10d::OpType::BROADCAST, "broadcast", "tutti:broadcast", "gloo:broadcast"};
const Kind kAllGather{c10d::OpType::ALLGATHER, "all_gather", "tutti:all_gather", "gloo:all_gather"};
const Kind kAllGatherCoalesced{
    c10d::OpType::ALLGATHER_COALESCED, "all_gather_coalesced", "tutti:all_gather", "gloo:all_gather"};
const Kind kAllGatherTensor{
    c10d::OpType::_ALLGATHER_BASE, "all_gather_into_tensor", "tutti:all_gather_into_tensor",
    "gloo:all_gather_into_tensor"};

void checkPair(const at::Tensor& output, const at::Tensor& input, const char* what) {
  if (output.scalar_type() != input.scalar_type()) {
    refuse(what, c10::str("the output has type ", output.scalar_type(), ", and the input ", input.scalar_type()));
  }
}

/// Tensors that can be received into, and what is left to copy where those of the program are not contiguous.
struct Landing {
  Tensors tensors;
  std::vector<std::pair<at::Tensor, at::Tensor>> copies; // to, from

  void add(const at::Tensor& tensor) {
    tensors.push_back(tensor.is_contiguous() ? tensor : at::empty(tensor.sizes(), tensor.options()));
    if (!tensor.is_contiguous()) {
      copies.emplace_back(tensor, tensors.back());
    }
  }
  std::function<void()> after() const {
    if (copies.empty()) {
      return nullptr;
    }
    return [copies = copies] {
      for (const auto& [to, from] : copies) {
        to.copy_(from);
      }
    };
  }
};

Landing landing(const Tensors& outputs) {
  Landing made;
  for (const auto& output : outputs) {
    made.add(output);
  }
  return made;
}

} // namespace

WorkPointer Backend::broadcast(Tensors& tensors, const c10d::BroadcastOptions& options) {
  const at::Tensor& tensor = single(tensors, kBroadcast.name);
  checkRoot(options.rootRank, kBroadcast.name);
  const Elements all = elements(tensor);
  const int root = static_cast<int>(options.rootRank);
  const auto call = [this, all, root](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_broadcast(comm(), all.data, all.data, all.count, all.type, root, settings, work);
  };
  return run({kBroadcast, options.asyncOp, options.timeout}, tensors, tensors, call);
}

Backend::Call Backend::allGatherListCall(const Tensors& outputs, const at::Tensor& input, const char* what) {
  checkTensor(input, what);
  checkTensors(outputs, size_, what);
  checkPair(outputs[0], input, what);
  if (outputs[rank_].numel() != input.numel()) {
    refuse(
        what, c10::str(
                  "output ", rank_, " has ", outputs[rank_].numel(), " elements, and the input of this rank ",
                  input.numel()));
  }
  std::vector<void*> blocks;
  std::vector<size_t> counts;
  for (const auto& output : outputs) {
    const Elements block = elements(output);
    blocks.push_back(block.data);
    counts.push_back(block.count);
  }
  const Elements mine = elements(input);
  return [comm = comm(), mine, blocks, counts](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_all_gather_list(comm, mine.data, blocks.data(), counts.data(), mine.type, settings, work);
  };
}

WorkPointer Backend::allgather(TensorLists& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) {
  const char* what = kAllGather.name;
  const at::Tensor& input = single(inputs, what);
  if (outputs.size() != 1) {
    refuse(what, c10::str("needs one list of outputs, and got ", outputs.size()));
  }
  const Landing land = landing(outputs[0]);
  return run(
      {kAllGather, options.asyncOp, options.timeout}, inputs, outputs[0], allGatherListCall(land.tensors, input, what),
      land.after(), land.tensors);
}

WorkPointer Backend::allgather_coalesced(
    TensorLists& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) {
  const char* what = kAllGatherCoalesced.name;
  if (inputs.empty() || outputs.size() != static_cast<size_t>(size_)) {
    refuse(
        what, c10::str("got ", inputs.size(), " inputs, and ", outputs.size(), " lists of outputs for ", size_, " ranks"));
  }
  Landing all;
  Tensors results;
  std::vector<Call> calls;
  for (size_t index = 0; index < inputs.size(); index++) {
    Tensors blocks;
    for (const auto& list : outputs) {
      if (list.size() != inputs.size()) {
        refuse(what, c10::str("a list of outputs has ", list.size(), " tensors, and there are ", inputs.size(), " inputs"));
      }
      all.add(list[index]);
      blocks.push_back(all.tensors.back());
      results.push_back(list[index]);
    }
    calls.push_back(allGatherListCall(blocks, inputs[index], what));
  }
  return runAll(
      {kAllGatherCoalesced, options.asyncOp, options.timeout}, inputs, results, calls, all.after(), all.tensors);
}

Backend::Call Backend::allGatherCall(const at::Tensor& output, const at::Tensor& input, const char* what) {
  checkTensor(output, what);
  checkTensor(input, what);
  checkPair(output, input, what);
  if (output.numel() != input.numel() * size_) {
    refuse(
        what, c10::str(
                  "the output has ", output.numel(), " elements, and the input ", input.numel(), ": the output must have ",
                  size_, " times as many"));
  }
  const Elements to = elements(output);
  const Elements from = elements(input);
  return [comm = comm(), to, from](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_all_gather(comm, from.data, to.data, from.count, from.type, settings, work);
  };
}

WorkPointer Backend::_allgather_base(at::Tensor& output, at::Tensor& input, const c10d::AllgatherOptions& options) {
  return run(
      {kAllGatherTensor, options.asyncOp, options.timeout}, {input}, {output},
      allGatherCall(output, input, kAllGatherTensor.name));
}

WorkPointer Backend::allgather_into_tensor_coalesced(
    Tensors& outputs, Tensors& inputs, const c10d::AllgatherOptions& options) {
  const char* what = kAllGatherCoalesced.name;
  if (outputs.empty() || outputs.size() != inputs.size()) {
    refuse(what, c10::str("got ", outputs.size(), " outputs and ", inputs.size(), " inputs"));
  }
  std::vector<Call> calls;
  for (size_t index = 0; index < outputs.size(); index++) {
    calls.push_back(allGatherCall(outputs[index], inputs[index], what));
  }
  return runAll({kAllGatherCoalesced, options.asyncOp, options.timeout}, inputs, outputs, calls);
}

} // namespace tutti_torch
