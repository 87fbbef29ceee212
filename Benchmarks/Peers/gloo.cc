// Measures Gloo's collectives over its TCP transport on the loopback interface. Arguments and output: peer.h.
// Starts its ranks itself: they meet through files in the folder --store, which must exist and be empty.
//
// Gloo leaves the choice of an algorithm to its caller, so each that it has for all-reduce is measured and the best counts.
// What a call needs is prepared before the clock starts. Its older algorithms work in place: they get the input by a copy
// that is timed, because that is what a caller with an input of its own has to do.
#include "peer.h"

#include <sys/wait.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gloo/allgather.h>
#include <gloo/allreduce.h>
#include <gloo/allreduce_halving_doubling.h>
#include <gloo/alltoall.h>
#include <gloo/barrier.h>
#include <gloo/broadcast.h>
#include <gloo/gather.h>
#include <gloo/math.h>
#include <gloo/reduce.h>
#include <gloo/reduce_scatter.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/scatter.h>
#include <gloo/transport/tcp/device.h>

namespace {

using Operation = std::function<void()>;
using Reduction = void (*)(void *, const void *, const void *, size_t);

std::shared_ptr<gloo::Context> context;
Operation operation;

void barrier() {
  gloo::BarrierOptions options(context);
  gloo::barrier(options);
}

void maximum(double *values, int count) {
  gloo::AllreduceOptions options(context);
  options.setOutput(values, static_cast<size_t>(count));
  options.setReduceFunction(static_cast<Reduction>(&gloo::max<double>));
  gloo::allreduce(options);
}

void operate() { operation(); }

Operation all_reduce(gloo::AllreduceOptions::Algorithm algorithm) {
  auto options = std::make_shared<gloo::AllreduceOptions>(context);
  options->setAlgorithm(algorithm);
  options->setInput(peer.input, peer.count);
  options->setOutput(peer.output, peer.count);
  options->setReduceFunction(static_cast<Reduction>(&gloo::sum<float>));
  return [options] { gloo::allreduce(*options); };
}

Operation all_reduce_halving_doubling() {
  auto algorithm = std::make_shared<gloo::AllreduceHalvingDoubling<float>>(
      context, std::vector<float *>{peer.output}, static_cast<int>(peer.count));
  return [algorithm] {
    memcpy(peer.output, peer.input, peer.count * sizeof(float));
    algorithm->run();
  };
}

Operation reduce_scatter_halving_doubling() {
  std::vector<int> counts(static_cast<size_t>(peer.rank_count), static_cast<int>(peer.block));
  auto algorithm = std::make_shared<gloo::ReduceScatterHalvingDoubling<float>>(
      context, std::vector<float *>{peer.output}, static_cast<int>(peer.count), counts);
  return [algorithm] {
    memcpy(peer.output, peer.input, peer.count * sizeof(float));
    algorithm->run();
  };
}

Operation all_gather() {
  auto options = std::make_shared<gloo::AllgatherOptions>(context);
  options->setInput(peer.input, peer.block);
  options->setOutput(peer.output, peer.count);
  return [options] { gloo::allgather(*options); };
}

Operation broadcast() {
  auto options = std::make_shared<gloo::BroadcastOptions>(context);
  if (peer.rank == ROOT) options->setInput(peer.input, peer.count);
  options->setOutput(peer.output, peer.count);
  options->setRoot(ROOT);
  return [options] { gloo::broadcast(*options); };
}

Operation all_to_all() {
  auto options = std::make_shared<gloo::AlltoallOptions>(context);
  options->setInput(peer.input, peer.count);
  options->setOutput(peer.output, peer.count);
  return [options] { gloo::alltoall(*options); };
}

Operation reduce() {
  auto options = std::make_shared<gloo::ReduceOptions>(context);
  options->setInput(peer.input, peer.count);
  options->setOutput(peer.output, peer.count);
  options->setRoot(ROOT);
  options->setReduceFunction(static_cast<Reduction>(&gloo::sum<float>));
  return [options] { gloo::reduce(*options); };
}

Operation gather() {
  auto options = std::make_shared<gloo::GatherOptions>(context);
  options->setInput(peer.input, peer.block);
  if (peer.rank == ROOT) options->setOutput(peer.output, peer.count);
  options->setRoot(ROOT);
  return [options] { gloo::gather(*options); };
}

Operation scatter() {
  auto options = std::make_shared<gloo::ScatterOptions>(context);
  if (peer.rank == ROOT) {
    std::vector<float *> blocks;
    for (int rank = 0; rank < peer.rank_count; rank++) blocks.push_back(peer.input + static_cast<size_t>(rank) * peer.block);
    options->setInputs(blocks, peer.block);
  }
  options->setOutput(peer.output, peer.block);
  options->setRoot(ROOT);
  return [options] { gloo::scatter(*options); };
}

/// Every way Gloo has to do the collective on the buffers at hand.
std::vector<std::pair<const char *, Operation>> operations(enum collective collective) {
  using Algorithm = gloo::AllreduceOptions::Algorithm;
  switch (collective) {
    case ALL_REDUCE:
      return {{"ring", all_reduce(Algorithm::RING)},
              {"bcube", all_reduce(Algorithm::BCUBE)},
              {"halving-doubling", all_reduce_halving_doubling()}};
    case ALL_GATHER: return {{"ring", all_gather()}};
    case REDUCE_SCATTER: return {{"halving-doubling", reduce_scatter_halving_doubling()}};
    case BROADCAST: return {{"binomial", broadcast()}};
    case ALL_TO_ALL: return {{"direct", all_to_all()}};
    case REDUCE: return {{"ring", reduce()}};
    case GATHER: return {{"direct", gather()}};
    case SCATTER: return {{"direct", scatter()}};
    default: return {};
  }
}

void run_rank(const struct arguments &arguments) {
  gloo::transport::tcp::attr attributes;
  attributes.iface = "lo";
  auto device = gloo::transport::tcp::CreateDevice(attributes);
  gloo::rendezvous::FileStore store(arguments.store);
  auto connected = std::make_shared<gloo::rendezvous::Context>(peer.rank, peer.rank_count);
  connected->setTimeout(std::chrono::seconds(arguments.deadline_seconds));
  connected->connectFullMesh(store, device);
  context = connected;
  peer.barrier = barrier;
  peer.maximum = maximum;
  peer.operate = operate;
  for (int s = 0; s < arguments.size_count; s++) {
    const struct size *size = &arguments.sizes[s];
    start_size(size);
    for (auto &way : operations(size->collective)) {
      operation = std::move(way.second);
      measure(&arguments, size, way.first);
      // All ranks are through before one gives its buffers back.
      barrier();
      operation = nullptr;
    }
  }
  // A rank that leaves early closes sockets that others still read.
  barrier();
}

} // namespace

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv);
  if (arguments.rank_count == 0 || arguments.store == nullptr) fail("needs --ranks N --store FOLDER");
  peer.rank_count = arguments.rank_count;
  // Gloo starts threads, so the other ranks start before it does anything.
  for (int rank = 1; rank < peer.rank_count && peer.rank == 0; rank++) {
    pid_t child = fork();
    if (child < 0) fail("could not start a rank");
    if (child == 0) peer.rank = rank;
  }
  live_no_longer_than(arguments.deadline_seconds);
  try {
    run_rank(arguments);
  } catch (const std::exception &error) {
    fail(error.what());
  }
  int failed = 0;
  if (peer.rank == ROOT) {
    for (int status = 0; wait(&status) > 0;) failed |= status;
  }
  fflush(stdout);
  // Without destructors: Gloo's own end with threads that still hold the context.
  _exit(failed != 0);
}
