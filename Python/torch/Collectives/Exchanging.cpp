#include "Backend.hpp"

#include "Errors.hpp"

#include <numeric>

namespace tutti_torch {

namespace {

const Kind kAllToAll{c10d::OpType::ALLTOALL_BASE, "all_to_all_single", "tutti:all_to_all", "gloo:all_to_all"};
const Kind kAllToAllList{c10d::OpType::ALLTOALL, "all_to_all", "tutti:all_to_all", "gloo:all_to_all"};
const Kind kSend{c10d::OpType::SEND, "send", "tutti:send", "gloo:send"};
const Kind kReceive{c10d::OpType::RECV, "recv", "tutti:recv", "gloo:recv"};
const Kind kReceiveAny{c10d::OpType::RECVANYSOURCE, "recv", "tutti:recvAnySource", "gloo:recvAnySource"};

/// The elements that go to or come from each rank.
std::vector<size_t> splitCounts(
    const at::Tensor& tensor, const std::vector<int64_t>& splits, int size, const char* which, const char* what) {
  const Elements all = elements(tensor);
  const int64_t rows = tensor.dim() == 0 ? tensor.numel() : tensor.size(0);
  if (splits.empty()) {
    if (rows % size != 0) {
      refuse(what, c10::str("the ", which, " has ", rows, " rows, which ", size, " ranks cannot share: give split sizes"));
    }
    return std::vector<size_t>(size, all.count / size);
  }
  if (splits.size() != static_cast<size_t>(size)) {
    refuse(what, c10::str("there are ", splits.size(), " split sizes of the ", which, " for ", size, " ranks"));
  }
  const size_t row = rows == 0 ? 0 : all.count / rows;
  std::vector<size_t> counts;
  int64_t sum = 0;
  for (const int64_t split : splits) {
    if (split < 0 || split > rows) {
      refuse(what, c10::str("a split size of the ", which, " is ", split, ", and it has ", rows, " rows"));
    }
    sum += split;
    counts.push_back(static_cast<size_t>(split) * row);
  }
  if (sum != rows) {
    refuse(what, c10::str("the split sizes of the ", which, " sum to ", sum, ", and it has ", rows, " rows"));
  }
  return counts;
}

std::vector<size_t> countsOf(const Tensors& tensors) {
  std::vector<size_t> counts;
  for (const auto& tensor : tensors) {
    counts.push_back(elements(tensor).count);
  }
  return counts;
}

} // namespace

WorkPointer Backend::alltoall_base(
    at::Tensor& output, at::Tensor& input, std::vector<int64_t>& outputSplits, std::vector<int64_t>& inputSplits,
    const c10d::AllToAllOptions& options) {
  const char* what = kAllToAll.name;
  checkTensors({output, input}, 2, what);
  const Elements to = elements(output);
  const Elements from = elements(input);
  const Run how{kAllToAll, options.asyncOp, options.timeout};
  if (outputSplits.empty() && inputSplits.empty() && to.count == from.count) {
    const size_t count = splitCounts(input, inputSplits, size_, "input", what)[0];
    const auto call = [this, to, from, count](const tutti_call* settings, tutti_work* work, Belongings&) {
      return tutti_all_to_all(comm(), from.data, to.data, count, to.type, settings, work);
    };
    return run(how, {input}, {output}, call);
  }
  const auto sent = splitCounts(input, inputSplits, size_, "input", what);
  const auto received = splitCounts(output, outputSplits, size_, "output", what);
  const auto call = [this, to, from, sent, received](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_all_to_all_v(comm(), from.data, sent.data(), to.data, received.data(), to.type, settings, work);
  };
  return run(how, {input}, {output}, call);
}

WorkPointer Backend::alltoall(Tensors& outputs, Tensors& inputs, const c10d::AllToAllOptions& options) {
  const char* what = kAllToAllList.name;
  checkTensors(outputs, size_, what);
  checkTensors(inputs, size_, what);
  if (outputs[0].scalar_type() != inputs[0].scalar_type()) {
    refuse(what, c10::str("the outputs have type ", outputs[0].scalar_type(), ", and the inputs ", inputs[0].scalar_type()));
  }
  const auto sent = countsOf(inputs);
  const auto received = countsOf(outputs);
  const auto flat = [](const Tensors& tensors) {
    Tensors rows;
    for (const auto& tensor : tensors) {
      rows.push_back(tensor.detach().view(-1));
    }
    return at::cat(rows);
  };
  const at::Tensor from = flat(inputs);
  const at::Tensor to = at::empty(
      {std::accumulate(
          outputs.begin(), outputs.end(), int64_t{0}, [](int64_t sum, const auto& tensor) { return sum + tensor.numel(); })},
      outputs[0].options());
  const Elements source = elements(from);
  void* destination = to.data_ptr();
  const auto call = [this, source, destination, sent, received](
                        const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_all_to_all_v(
        comm(), source.data, sent.data(), destination, received.data(), source.type, settings, work);
  };
  const auto after = [to, outputs] {
    int64_t offset = 0;
    for (const auto& output : outputs) {
      output.copy_(to.narrow(0, offset, output.numel()).view(output.sizes()));
      offset += output.numel();
    }
  };
  return run({kAllToAllList, options.asyncOp, options.timeout}, inputs, outputs, call, after, {from, to});
}

WorkPointer Backend::send(Tensors& tensors, int receiver, int tag) {
  const Elements all = elements(single(tensors, kSend.name));
  const auto call = [this, all, receiver, tag](const tutti_call* settings, tutti_work* work, Belongings&) {
    return tutti_send_tagged(comm(), all.data, all.count, all.type, receiver, tag, settings, work);
  };
  return run({kSend, true, c10d::kUnsetTimeout}, tensors, tensors, call);
}

WorkPointer Backend::receive(const Kind& kind, Tensors& tensors, int sender, int tag) {
  const Elements all = elements(single(tensors, kind.name));
  const auto call = [this, all, sender, tag](const tutti_call* settings, tutti_work* work, Belongings& belongings) {
    return tutti_receive_tagged(
        comm(), all.data, all.count, all.type, sender, tag, &belongings.source, settings, work);
  };
  return run({kind, true, c10d::kUnsetTimeout}, tensors, tensors, call);
}

WorkPointer Backend::recv(Tensors& tensors, int sender, int tag) {
  if (sender < 0 || sender >= size_) {
    refuse(kReceive.name, c10::str("there is no rank ", sender, " in a group of ", size_));
  }
  return receive(kReceive, tensors, sender, tag);
}

WorkPointer Backend::recvAnysource(Tensors& tensors, int tag) {
  return receive(kReceiveAny, tensors, TUTTI_ANY_RANK, tag);
}

} // namespace tutti_torch
