// C++: a started operation, what is done meanwhile, and errors as exceptions. Owners free what they hold.
#include <cstdint>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <tutti.h>
#include <vector>

namespace {

void check(tutti_code code) {
  if (code != TUTTI_OK) throw std::runtime_error(tutti_error_last()->text);
}

struct FreeCommunicator {
  void operator()(tutti_comm *comm) const { tutti_comm_free(comm); }
};
using Communicator = std::unique_ptr<tutti_comm, FreeCommunicator>;

Communicator join() {
  tutti_comm *comm = nullptr;
  check(tutti_join(nullptr, &comm));
  return Communicator(comm);
}

/// Averages two buckets of gradients, the second while the first is on its way.
bool train(tutti_comm *comm) {
  int rank = 0, rank_count = 0;
  check(tutti_comm_rank(comm, &rank));
  check(tutti_comm_rank_count(comm, &rank_count));
  std::vector<std::vector<double>> buckets(2, std::vector<double>(1 << 16));
  std::vector<tutti_work> works(buckets.size());
  for (std::size_t index = 0; index < buckets.size(); index++) {
    for (double &value : buckets[index]) value = double(rank) + double(index); // the backward pass
    check(tutti_all_reduce(
        comm, buckets[index].data(), buckets[index].data(), buckets[index].size(), TUTTI_TYPE_FLOAT64, TUTTI_OP_AVERAGE,
        nullptr, &works[index]));
  }
  check(tutti_work_wait_all(works.data(), works.size()));
  const double mean = (rank_count - 1) / 2.0;
  std::cout << "rank " << rank << " of " << rank_count << ": " << buckets[0][0] << ", " << buckets[1][0] << std::endl;
  return buckets[0].back() == mean && buckets[1].back() == mean + 1;
}

} // namespace

int main() {
  try {
    const Communicator comm = join();
    return train(comm.get()) ? 0 : 1;
  } catch (const std::exception &error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
