// Every collective and its v-form, against what it must give, in each way of calling it.
#include "harness.h"

#include <string.h>

enum { COUNT = 1000, RANKS_MAX = 4 };

/// Element `index` of rank `rank`: exact in every sum here.
static double value(int rank, size_t index) { return rank * 3 + (double)(index % 17); }

/// The sum of element `index` over all ranks.
static double sum(int ranks, size_t index) {
  double total = 0;
  for (int rank = 0; rank < ranks; rank++) total += value(rank, index);
  return total;
}

/// Waits where the call was started.
static void finish(tutti_code code, tutti_work *work) {
  OK(code);
  if (work) OK(tutti_work_wait(work));
}

/// Memory of a rank: `input` is its own values, `output` room for all ranks' blocks, of which nothing is right yet.
struct memory {
  double input[COUNT * RANKS_MAX];
  double output[COUNT * RANKS_MAX];
};

static void reset(struct memory *memory, int rank) {
  for (size_t index = 0; index < COUNT * RANKS_MAX; index++) {
    memory->input[index] = value(rank, index);
    memory->output[index] = -1;
  }
}

static void reductions(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  static struct memory memory;
  const tutti_type type = TUTTI_TYPE_FLOAT64;
  reset(&memory, rank);
  finish(tutti_all_reduce(comm, memory.input, memory.output, COUNT, type, TUTTI_OP_SUM, NULL, work), work);
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.output[index] == sum(ranks, index));
  finish(tutti_all_reduce(comm, memory.input, memory.input, COUNT, type, TUTTI_OP_MAX, NULL, work), work);
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.input[index] == value(ranks - 1, index));

  reset(&memory, rank);
  int root = ranks - 1;
  finish(tutti_reduce(comm, memory.input, memory.output, COUNT, type, TUTTI_OP_SUM, root, NULL, work), work);
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.output[index] == (rank == root ? sum(ranks, index) : -1));

  reset(&memory, rank);
  finish(tutti_reduce_scatter(comm, memory.input, memory.output, COUNT, type, TUTTI_OP_SUM, NULL, work), work);
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.output[index] == sum(ranks, COUNT * rank + index));

  // Rank r has 100 r elements.
  size_t counts[RANKS_MAX], before = 0;
  for (int other = 0; other < ranks; other++) {
    counts[other] = 100 * (size_t)other;
    if (other < rank) before += counts[other];
  }
  reset(&memory, rank);
  finish(tutti_reduce_scatter_v(comm, memory.input, memory.output, counts, type, TUTTI_OP_SUM, NULL, work), work);
  for (size_t index = 0; index < counts[rank]; index++) CHECK(memory.output[index] == sum(ranks, before + index));
  CHECK(memory.output[counts[rank]] == -1);
}

static void gathers(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  static struct memory memory;
  const tutti_type type = TUTTI_TYPE_FLOAT64;
  size_t counts[RANKS_MAX];
  for (int other = 0; other < ranks; other++) counts[other] = 10 * (size_t)other;
  for (int form = 0; form < 4; form++) {
    reset(&memory, rank);
    int is_v = form & 1, is_rooted = form & 2;
    void *output = is_rooted && rank != 0 ? NULL : memory.output;
    tutti_code code =
        form == 0   ? tutti_all_gather(comm, memory.input, output, COUNT, type, NULL, work)
        : form == 1 ? tutti_all_gather_v(comm, memory.input, output, counts, type, NULL, work)
        : form == 2 ? tutti_gather(comm, memory.input, output, COUNT, type, 0, NULL, work)
                    : tutti_gather_v(comm, memory.input, output, counts, type, 0, NULL, work);
    finish(code, work);
    if (!output) continue;
    size_t position = 0;
    for (int other = 0; other < ranks; other++) {
      size_t count = is_v ? counts[other] : COUNT;
      for (size_t index = 0; index < count; index++) CHECK(memory.output[position++] == value(other, index));
    }
  }
}

static void scatters(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  static struct memory memory;
  const tutti_type type = TUTTI_TYPE_FLOAT64;
  int root = 1;
  const void *input = rank == root ? memory.input : NULL;
  size_t counts[RANKS_MAX], before = 0;
  for (int other = 0; other < ranks; other++) {
    counts[other] = 5 + (size_t)other;
    if (other < rank) before += counts[other];
  }
  reset(&memory, rank);
  finish(tutti_broadcast(comm, input, memory.output, COUNT, type, root, NULL, work), work);
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.output[index] == value(root, index));
  finish(tutti_scatter(comm, input, memory.output, COUNT, type, root, NULL, work), work);
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.output[index] == value(root, COUNT * rank + index));
  finish(tutti_scatter_v(comm, input, memory.output, counts, type, root, NULL, work), work);
  for (size_t index = 0; index < counts[rank]; index++) CHECK(memory.output[index] == value(root, before + index));
}

static void exchanges(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  static struct memory memory;
  const tutti_type type = TUTTI_TYPE_FLOAT64;
  reset(&memory, rank);
  finish(tutti_all_to_all(comm, memory.input, memory.output, COUNT, type, NULL, work), work);
  for (int other = 0; other < ranks; other++) {
    for (size_t index = 0; index < COUNT; index++) {
      CHECK(memory.output[COUNT * other + index] == value(other, COUNT * rank + index));
    }
  }
  // Rank p sends p + q elements to rank q.
  size_t sent[RANKS_MAX], received[RANKS_MAX], position = 0;
  for (int other = 0; other < ranks; other++) sent[other] = received[other] = (size_t)(rank + other);
  reset(&memory, rank);
  finish(tutti_all_to_all_v(comm, memory.input, sent, memory.output, received, type, NULL, work), work);
  for (int other = 0; other < ranks; other++) {
    size_t start = 0;
    for (int before = 0; before < rank; before++) start += (size_t)(other + before);
    for (size_t index = 0; index < received[other]; index++) {
      CHECK(memory.output[position++] == value(other, start + index));
    }
  }
}

static void messages(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  static struct memory memory;
  const tutti_type type = TUTTI_TYPE_FLOAT64;
  int next = (rank + 1) % ranks, previous = (rank + ranks - 1) % ranks;
  reset(&memory, rank);
  if (work) {
    tutti_work receive;
    OK(tutti_receive(comm, memory.output, COUNT, type, previous, NULL, &receive));
    finish(tutti_send(comm, memory.input, COUNT, type, next, NULL, work), work);
    OK(tutti_work_wait(&receive));
  } else {
    OK(tutti_send_receive(comm, memory.input, COUNT, next, memory.output, COUNT, previous, type, NULL));
  }
  for (size_t index = 0; index < COUNT; index++) CHECK(memory.output[index] == value(previous, index));
  if (rank == 0) OK(tutti_send(comm, memory.input, 3, type, 1, NULL, NULL));
  if (rank == 1) OK(tutti_receive(comm, memory.output, 3, type, 0, NULL, NULL));
  if (rank == 1) CHECK(memory.output[2] == value(0, 2));
}

static void body(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  int number = -1, count = -1;
  OK(tutti_comm_rank(comm, &number));
  OK(tutti_comm_rank_count(comm, &count));
  CHECK(number == rank->number && count == rank->count);
  tutti_work work;
  for (int started = 0; started < 2; started++) {
    tutti_work *place = started ? &work : NULL;
    reductions(comm, number, count, place);
    gathers(comm, number, count, place);
    scatters(comm, number, count, place);
    exchanges(comm, number, count, place);
    messages(comm, number, count, place);
    finish(tutti_barrier(comm, NULL, place), place);
  }
  // Every type by its size, and the algorithm that was asked for.
  char text[64];
  tutti_call call = TUTTI_CALL_INIT;
  call.algorithm = "ring";
  for (int type = 0; type <= TUTTI_TYPE_BOOL; type++) {
    unsigned char bytes[8 * 100], zero[8 * 100];
    size_t size = 0;
    memset(bytes, 0, sizeof bytes);
    memset(zero, 0, sizeof zero);
    OK(tutti_type_size((tutti_type)type, &size));
    OK(tutti_all_reduce(comm, bytes, bytes, 100, (tutti_type)type, TUTTI_OP_SUM, &call, NULL));
    CHECK(memcmp(bytes, zero, 100 * size) == 0);
  }
  OK(tutti_comm_last_operation(comm, text, sizeof text));
  CHECK(strncmp(text, "ring over ", 10) == 0);
  if (rank->options.transport == TUTTI_TRANSPORT_TCP) CHECK(strcmp(text, "ring over tcp") == 0);
  OK(tutti_comm_last_operation(comm, text, 5));
  CHECK(strcmp(text, "ring") == 0);
  OK(tutti_comm_free(comm));
}

void test_collectives(void) {
  run_ranks("collectives", 2, TUTTI_TRANSPORT_SHARED_MEMORY, body, -1);
  run_ranks("collectives", 3, TUTTI_TRANSPORT_TCP, body, -1);
  run_ranks("collectives", 4, TUTTI_TRANSPORT_AUTO, body, -1);
}
