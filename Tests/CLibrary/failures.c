// What goes wrong between ranks: another call, a rank that dies, a limit of time, a fork.
#include "harness.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void mismatch(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  double values[8] = {0};
  size_t count = rank->number == 0 ? 8 : 4;
  tutti_code code = tutti_all_reduce(comm, values, values, count, TUTTI_TYPE_FLOAT64, TUTTI_OP_SUM, NULL, NULL);
  REFUSED(code, TUTTI_ERROR_MISMATCH, "float64 x 8");
  CHECK(tutti_error_last()->rank >= 0 && strlen(tutti_error_last()->advice) > 0);
  // All later calls return the first error.
  REFUSED(tutti_barrier(comm, NULL, NULL), TUTTI_ERROR_MISMATCH, "float64 x 4");
  OK(tutti_comm_free(comm));
}

/// The last rank is killed; the others learn of it, and by name.
static void death(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  int victim = rank->count - 1;
  char alive = 1;
  if (rank->number == victim) {
    for (int other = 0; other < victim; other++) OK(tutti_receive(comm, &alive, 1, TUTTI_TYPE_INT8, other, NULL, NULL));
    raise(SIGKILL);
  }
  tutti_work word;
  OK(tutti_send(comm, &alive, 1, TUTTI_TYPE_INT8, victim, NULL, &word));
  REFUSED(tutti_barrier(comm, NULL, NULL), TUTTI_ERROR_PEER_LOST, "ended without leaving");
  CHECK(tutti_error_last()->peer == victim);
  OK(tutti_comm_free(comm));
}

static void timeout(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  OK(tutti_barrier(comm, NULL, NULL));
  tutti_call call = TUTTI_CALL_INIT;
  call.timeout_ns = 200000000;
  if (rank->number == 0) {
    REFUSED(tutti_barrier(comm, &call, NULL), TUTTI_ERROR_TIMEOUT, "barrier");
    CHECK(tutti_error_last()->peer == 1 && tutti_error_last()->operation_number == 2);
    CHECK(strstr(tutti_error_last()->operation, "barrier"));
  } else {
    // A rank that is busy elsewhere, until it hears that it was given up.
    int value = 0;
    REFUSED(tutti_receive(comm, &value, 1, TUTTI_TYPE_INT32, 0, NULL, NULL), TUTTI_ERROR_TIMEOUT, "rank 1");
  }
  OK(tutti_comm_free(comm));
}

/// A forked child may not use its parent's communicator, and the parent goes on.
static void forked(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  OK(tutti_barrier(comm, NULL, NULL));
  tutti_work work;
  float value = 1;
  OK(tutti_all_reduce(comm, &value, &value, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, &work));
  OK(tutti_work_wait(&work));
  pid_t child = fork();
  if (child == 0) {
    tutti_comm *part = NULL;
    REFUSED(tutti_barrier(comm, NULL, NULL), TUTTI_ERROR_CLOSED, "parent of a forked process");
    REFUSED(tutti_comm_split(comm, 0, 0, 0, &part), TUTTI_ERROR_CLOSED, "parent of a forked process");
    REFUSED(tutti_work_wait(&work), TUTTI_ERROR_CLOSED, "parent of a forked process");
    OK(tutti_comm_abort(comm, "from the child"));
    OK(tutti_comm_free(comm));
    _exit(0);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  OK(tutti_barrier(comm, NULL, NULL));
  OK(tutti_comm_free(comm));
}

/// A program that ends without freeing anything does no harm to others.
static void careless(const struct rank *rank) {
  tutti_comm *comm = join(rank);
  OK(tutti_barrier(comm, NULL, NULL));
  exit(0);
}

void test_failures(void) {
  run_ranks("different calls", 2, TUTTI_TRANSPORT_SHARED_MEMORY, mismatch, -1);
  run_ranks("different calls", 2, TUTTI_TRANSPORT_TCP, mismatch, -1);
  run_ranks("a death", 3, TUTTI_TRANSPORT_SHARED_MEMORY, death, 2);
  run_ranks("a death", 3, TUTTI_TRANSPORT_TCP, death, 2);
  run_ranks("a limit of time", 2, TUTTI_TRANSPORT_AUTO, timeout, -1);
  run_ranks("a fork", 2, TUTTI_TRANSPORT_AUTO, forked, -1);
  run_ranks("an exit without a close", 2, TUTTI_TRANSPORT_AUTO, careless, -1);
}
