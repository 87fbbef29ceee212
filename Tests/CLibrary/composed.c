// Messages with tags, lists, scaled sums, several operations as one, and the monitored barrier.
#include "harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 50000, RANKS_MAX = 4 };

/// The receiver takes messages in an order of its own.
static void tags(tutti_comm *comm, int rank) {
  static float small[8], large[LARGE];
  const tutti_type type = TUTTI_TYPE_FLOAT32;
  tutti_work works[2];
  int source = -1;
  if (rank == 0) {
    small[7] = 1;
    large[LARGE - 1] = 2;
    OK(tutti_send_tagged(comm, large, LARGE, type, 1, 10, NULL, &works[0]));
    OK(tutti_send_tagged(comm, small, 8, type, 1, -20, NULL, &works[1]));
    OK(tutti_work_wait_all(works, 2));
  } else if (rank == 1) {
    OK(tutti_receive_tagged(comm, small, 8, type, 0, -20, NULL, NULL, NULL));
    CHECK(small[7] == 1);
    OK(tutti_receive_tagged(comm, large, LARGE, type, TUTTI_ANY_RANK, 10, &source, NULL, NULL));
    CHECK(large[LARGE - 1] == 2 && source == 0);
  }
  OK(tutti_barrier(comm, NULL, NULL));
}

/// Rank 0 takes a message of each rank, in whatever order they come.
static void any_rank(tutti_comm *comm, int rank, int ranks) {
  int32_t values[RANKS_MAX] = {0}, own = 100 + rank;
  int sources[RANKS_MAX], seen = 0;
  tutti_work works[RANKS_MAX], send, all;
  OK(tutti_send_tagged(comm, &own, 1, TUTTI_TYPE_INT32, 0, 3, NULL, &send));
  if (rank == 0) {
    for (int index = 0; index < ranks; index++) {
      OK(tutti_receive_tagged(
          comm, &values[index], 1, TUTTI_TYPE_INT32, TUTTI_ANY_RANK, 3, &sources[index], NULL, &works[index]));
    }
    OK(tutti_work_combine(works, (size_t)ranks, &all));
    OK(tutti_work_wait(&all));
    for (int index = 0; index < ranks; index++) {
      CHECK(values[index] == 100 + sources[index]);
      seen |= 1 << sources[index];
    }
    CHECK(seen == (1 << ranks) - 1);
  }
  OK(tutti_work_wait(&send));
  REFUSED(
      tutti_receive_tagged(comm, &own, 1, TUTTI_TYPE_INT32, -2, 3, NULL, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "no rank -2");
}

static void lists(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  double blocks[RANKS_MAX][64], result[64], own[64];
  void *outputs[RANKS_MAX];
  const void *inputs[RANKS_MAX];
  size_t counts[RANKS_MAX];
  for (int other = 0; other < ranks; other++) {
    counts[other] = 10 + (size_t)other;
    outputs[other] = blocks[other];
    inputs[other] = blocks[other];
  }
  for (int index = 0; index < 64; index++) own[index] = rank * 100 + index;
  OK(tutti_all_gather_list(comm, own, outputs, counts, TUTTI_TYPE_FLOAT64, NULL, work));
  if (work) OK(tutti_work_wait(work));
  for (int other = 0; other < ranks; other++) CHECK(blocks[other][counts[other] - 1] == other * 100 + 9 + other);
  OK(tutti_reduce_scatter_list(comm, inputs, result, counts, TUTTI_TYPE_FLOAT64, TUTTI_OP_SUM, NULL, work));
  if (work) OK(tutti_work_wait(work));
  CHECK(result[1] == ranks * (rank * 100 + 1));
  REFUSED(
      tutti_all_gather_list(comm, own, NULL, counts, TUTTI_TYPE_FLOAT64, NULL, work), TUTTI_ERROR_INVALID_ARGUMENT,
      "'outputs' is NULL");
  outputs[0] = NULL;
  REFUSED(
      tutti_all_gather_list(comm, own, outputs, counts, TUTTI_TYPE_FLOAT64, NULL, work), TUTTI_ERROR_INVALID_ARGUMENT,
      "block 0 is nil");
}

static void scaled(tutti_comm *comm, int rank, int ranks, tutti_work *work) {
  float values[RANKS_MAX * 10], block[10];
  float expected = 0;
  for (int index = 0; index < ranks * 10; index++) values[index] = 4;
  for (int other = 0; other < ranks; other++) expected += 4 * 0.5f * (float)(other + 1);
  OK(tutti_reduce_scatter_scaled(comm, values, block, 10, TUTTI_TYPE_FLOAT32, 0.5 * (rank + 1), NULL, work));
  if (work) OK(tutti_work_wait(work));
  CHECK(block[9] == expected && values[0] == 4);
  OK(tutti_all_reduce_scaled(comm, values, values, 10, TUTTI_TYPE_FLOAT32, 0.5 * (rank + 1), NULL, work));
  if (work) OK(tutti_work_wait(work));
  CHECK(values[9] == expected && values[10] == 4);
  REFUSED(
      tutti_all_reduce_scaled(comm, values, values, 10, TUTTI_TYPE_INT32, 2, NULL, work), TUTTI_ERROR_INVALID_ARGUMENT,
      "int32");
}

static void truths(tutti_comm *comm, int rank) {
  unsigned char values[3] = {(unsigned char)(rank == 0 ? 7 : 0), 0, 9};
  OK(tutti_all_reduce(comm, values, values, 3, TUTTI_TYPE_BOOL, TUTTI_OP_SUM, NULL, NULL));
  CHECK(values[0] == 1 && values[1] == 0 && values[2] == 1);
  unsigned char all[2] = {(unsigned char)(rank == 0 ? 7 : 0), 2};
  OK(tutti_all_reduce(comm, all, all, 2, TUTTI_TYPE_BOOL, TUTTI_OP_PRODUCT, NULL, NULL));
  CHECK(all[0] == 0 && all[1] == 1);
}

static void body(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  tutti_work work;
  tags(comm, rank->number);
  any_rank(comm, rank->number, rank->count);
  for (int started = 0; started < 2; started++) {
    lists(comm, rank->number, rank->count, started ? &work : NULL);
    scaled(comm, rank->number, rank->count, started ? &work : NULL);
  }
  truths(comm, rank->number);
  REFUSED(tutti_work_combine(NULL, 0, &work), TUTTI_ERROR_INVALID_ARGUMENT, "'works' is NULL");
  OK(tutti_monitored_barrier(comm, 0));
  if (rank->number == 1) {
    // Elsewhere, until the others have given up.
    int value = 0;
    REFUSED(
        tutti_receive_tagged(comm, &value, 1, TUTTI_TYPE_INT32, 0, 99, NULL, NULL, NULL), TUTTI_ERROR_TIMEOUT,
        "rank 1 has not come");
  } else {
    REFUSED(tutti_monitored_barrier(comm, 300000000), TUTTI_ERROR_TIMEOUT, "rank 1 has not come");
    CHECK(tutti_error_last()->peer == 1);
  }
  OK(tutti_comm_free(comm));
}

void test_composed(void) {
  run_ranks("tags, lists and scaled sums", 2, TUTTI_TRANSPORT_SHARED_MEMORY, body, -1);
  run_ranks("tags, lists and scaled sums", 3, TUTTI_TRANSPORT_TCP, body, -1);
  run_ranks("tags, lists and scaled sums", 4, TUTTI_TRANSPORT_AUTO, body, -1);
}
