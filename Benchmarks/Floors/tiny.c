// The floor of a tiny all-reduce over shared memory: each of two processes writes its operands and a sequence number
// into one cache line, waits for the other's line, and adds. One cache line crosses each way: nothing is faster.
#include "floor.h"

enum { PAYLOAD_MAX = 40 };

struct line {
  _Alignas(128) _Atomic uint64_t sequence;
  uint32_t header; // a library must say which call this is, so the floor writes as much
  float payload[PAYLOAD_MAX / sizeof(float)];
};

static struct line *lines; // two a rank, used in turn: a fast rank never overwrites what the slow one still reads
static uint64_t sequence;

static inline void exchange(float *result, const float *operand, size_t count) {
  sequence++;
  struct line *mine = &lines[pair.rank * 2 + (sequence & 1)];
  struct line *other = &lines[(1 - pair.rank) * 2 + (sequence & 1)];
  for (size_t i = 0; i < count; i++) mine->payload[i] = operand[i];
  mine->header = 7;
  atomic_store_explicit(&mine->sequence, sequence, memory_order_release);
  await(&other->sequence, sequence);
  for (size_t i = 0; i < count; i++) result[i] = operand[i] + other->payload[i];
}

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv, PAYLOAD_MAX);
  int iterations = arguments.iterations ? arguments.iterations : 20000;
  lines = shared_memory(4 * sizeof(struct line));
  start_pair();
  for (int s = 0; s < arguments.size_count; s++) {
    size_t count = arguments.sizes[s] / sizeof(float);
    float operand[PAYLOAD_MAX / sizeof(float)] = {1}, result[PAYLOAD_MAX / sizeof(float)];
    for (int i = -iterations / 10; i < iterations; i++) {
      exchange(result, operand, count); // the barrier before the timed exchange, as the cheapest there is
      double start = now_us();
      exchange(result, operand, count);
      double us = now_us() - start;
      if (i >= 0) record(i, us);
      exchange(result, operand, count);
    }
    for (size_t i = 0; i < count; i++) {
      if (result[i] != 2 * operand[i]) {
        fprintf(stderr, "tiny: element %zu is %g, not %g\n", i, result[i], 2 * operand[i]);
        exit(1);
      }
    }
    barrier();
    report("tiny", arguments.sizes[s], median_of_maxima(iterations));
    barrier();
  }
  end_pair();
}
