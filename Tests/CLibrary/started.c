// Started operations, handlers of their end, and memory in place.
#include "harness.h"

#include <pthread.h>
#include <string.h>

enum { WORKS = 50, COUNT = 4096 };

/// What handlers have seen; guarded by `mutex`.
struct ended {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int count;
  int errors;
  int is_one_thread;
  pthread_t thread;
  tutti_comm *comm;
};

static void note(void *context, tutti_code code) {
  struct ended *ended = context;
  int rank = -1;
  // Calls may be made here; after an error, the communicator says which.
  tutti_code answer = tutti_comm_rank(ended->comm, &rank);
  pthread_mutex_lock(&ended->mutex);
  if (ended->count == 0) ended->thread = pthread_self();
  ended->is_one_thread &= pthread_equal(ended->thread, pthread_self()) != 0;
  ended->count++;
  ended->errors += code != TUTTI_OK && tutti_error_last()->code == code;
  if (answer != TUTTI_OK || rank < 0) ended->count = -1000;
  pthread_cond_broadcast(&ended->changed);
  pthread_mutex_unlock(&ended->mutex);
}

static void wait_for(struct ended *ended, int count) {
  pthread_mutex_lock(&ended->mutex);
  while (ended->count < count && ended->count >= 0) pthread_cond_wait(&ended->changed, &ended->mutex);
  CHECK(ended->count == count);
  pthread_mutex_unlock(&ended->mutex);
}

static void handlers(tutti_comm *comm, int ranks) {
  static float values[WORKS][COUNT];
  struct ended ended = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 1, 0, comm};
  tutti_work works[WORKS];
  for (int index = 0; index < WORKS; index++) {
    for (int element = 0; element < COUNT; element++) values[index][element] = (float)index;
    OK(tutti_all_reduce(
        comm, values[index], values[index], COUNT, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, &works[index]));
    OK(tutti_work_when_ended(&works[index], note, &ended));
  }
  wait_for(&ended, WORKS);
  CHECK(ended.is_one_thread && !pthread_equal(ended.thread, pthread_self()) && ended.errors == 0);
  for (int index = 0; index < WORKS; index++) {
    int done = 0;
    CHECK(values[index][COUNT - 1] == (float)(index * ranks));
    OK(tutti_work_wait_for(&works[index], 0, &done));
    CHECK(done == 1);
  }
  OK(tutti_work_wait_all(works, WORKS));
  // What has ended already is told too.
  OK(tutti_work_when_ended(&works[0], note, &ended));
  wait_for(&ended, WORKS + 1);
}

static void memory(tutti_comm *comm, int ranks) {
  void *registered = NULL, *none = NULL;
  size_t count = 1 << 20;
  OK(tutti_memory_allocate(comm, count * sizeof(int32_t), &registered));
  OK(tutti_memory_allocate(comm, 0, &none));
  CHECK(none && none != registered);
  int32_t *values = registered;
  CHECK(values[0] == 0 && values[count - 1] == 0);
  for (size_t index = 0; index < count; index++) values[index] = (int32_t)index;
  OK(tutti_all_reduce(comm, values, values, count, TUTTI_TYPE_INT32, TUTTI_OP_SUM, NULL, NULL));
  for (size_t index = 0; index < count; index++) CHECK(values[index] == (int32_t)index * ranks);
  OK(tutti_memory_free(registered));
  OK(tutti_memory_free(none));
  REFUSED(tutti_memory_free(none), TUTTI_ERROR_INVALID_ARGUMENT, "freed before");
  static double own[1000];
  OK(tutti_memory_register(comm, own, sizeof own));
  OK(tutti_memory_unregister(comm, own, sizeof own));
}

/// A barrier that not all ranks have come to has not ended.
static void patience(tutti_comm *comm, int rank) {
  tutti_work barrier;
  int done = 1;
  char go = 1;
  if (rank == 0) {
    OK(tutti_barrier(comm, NULL, &barrier));
    OK(tutti_work_wait_for(&barrier, 1000000, &done));
    CHECK(done == 0);
    for (int other = 1; other < 3; other++) OK(tutti_send(comm, &go, 1, TUTTI_TYPE_INT8, other, NULL, NULL));
    OK(tutti_work_wait(&barrier));
  } else {
    OK(tutti_receive(comm, &go, 1, TUTTI_TYPE_INT8, 0, NULL, NULL));
    OK(tutti_barrier(comm, NULL, NULL));
  }
}

static void abortion(tutti_comm *comm, int rank) {
  float value = 1;
  tutti_work work;
  struct ended ended = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, 1, 0, comm};
  // Rank 0 never takes part, and aborts once the others have started.
  char started = 1;
  if (rank == 0) {
    for (int other = 1; other < 3; other++) OK(tutti_receive(comm, &started, 1, TUTTI_TYPE_INT8, other, NULL, NULL));
    OK(tutti_comm_abort(comm, "the loss is not a number"));
    REFUSED(tutti_barrier(comm, NULL, NULL), TUTTI_ERROR_ABORTED, "the loss is not a number");
    return;
  }
  OK(tutti_all_reduce(comm, &value, &value, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, &work));
  OK(tutti_work_when_ended(&work, note, &ended));
  tutti_work word;
  OK(tutti_send(comm, &started, 1, TUTTI_TYPE_INT8, 0, NULL, &word));
  REFUSED(tutti_work_wait(&work), TUTTI_ERROR_ABORTED, "the loss is not a number");
  CHECK(tutti_error_last()->peer == 0);
  wait_for(&ended, 1);
  CHECK(ended.errors == 1);
}

static void body(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  handlers(comm, rank->count);
  memory(comm, rank->count);
  patience(comm, rank->number);
  abortion(comm, rank->number);
  OK(tutti_comm_free(comm));
}

void test_started(void) {
  run_ranks("started operations", 3, TUTTI_TRANSPORT_SHARED_MEMORY, body, -1);
  run_ranks("started operations", 3, TUTTI_TRANSPORT_TCP, body, -1);
}
