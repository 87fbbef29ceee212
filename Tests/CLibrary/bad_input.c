// Arguments that cannot be used: each is refused with a code and a reason, and the communicator goes on.
#include "harness.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

static void versions_and_names(void) {
  CHECK(tutti_version() == TUTTI_VERSION);
  OK(tutti_check_version(TUTTI_VERSION));
  REFUSED(tutti_check_version(TUTTI_VERSION + 100), TUTTI_ERROR_VERSION, "compiled with tutti.h");
  REFUSED(tutti_check_version(TUTTI_VERSION + 1), TUTTI_ERROR_VERSION, "Compile it");
  CHECK(strcmp(tutti_code_name(TUTTI_ERROR_PEER_LOST), "peer lost") == 0);
  CHECK(strcmp(tutti_code_name((tutti_code)77), "unknown") == 0);
  CHECK(strcmp(tutti_code_name((tutti_code)263), "unknown") == 0);
  CHECK(strcmp(tutti_code_name(TUTTI_OK), "ok") == 0);
  size_t bytes = 0;
  OK(tutti_type_size(TUTTI_TYPE_BFLOAT16, &bytes));
  CHECK(bytes == 2);
  REFUSED(tutti_type_size((tutti_type)200, &bytes), TUTTI_ERROR_INVALID_ARGUMENT, "200 is no type");
  REFUSED(tutti_type_size(TUTTI_TYPE_INT8, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'bytes' is NULL");
}

/// A structure as a later header has it.
struct later_call {
  tutti_call call;
  int64_t member;
};

static void structures(tutti_comm *comm) {
  float value = 1;
  tutti_call call = TUTTI_CALL_INIT;
  call.size = 3;
  REFUSED(
      tutti_all_reduce(comm, &value, &value, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, &call, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "TUTTI_CALL_INIT");
  struct later_call later = {TUTTI_CALL_INIT, 0};
  later.call.size = sizeof later;
  OK(tutti_barrier(comm, &later.call, NULL));
  later.member = 1;
  REFUSED(tutti_barrier(comm, &later.call, NULL), TUTTI_ERROR_VERSION, "does not know");
  call.size = sizeof call;
  call.timeout_ns = -1;
  REFUSED(tutti_barrier(comm, &call, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "timeout_ns");
  call.timeout_ns = 0;
  call.algorithm = "rnig";
  REFUSED(
      tutti_all_reduce(comm, &value, &value, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, &call, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "rnig");
  REFUSED(tutti_send(comm, &value, 1, TUTTI_TYPE_FLOAT32, 0, &call, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "no algorithm");
}

static void arguments(tutti_comm *comm) {
  float values[4] = {1, 2, 3, 4}, other[4];
  size_t counts[2] = {1, (size_t)-1};
  REFUSED(
      tutti_all_reduce(NULL, values, values, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "NULL");
  REFUSED(
      tutti_all_reduce(comm, values, NULL, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "output");
  REFUSED(
      tutti_all_reduce(comm, values, values + 1, 2, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "overlap");
  REFUSED(
      tutti_all_reduce(comm, values, values, (size_t)-1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "count");
  REFUSED(
      tutti_all_reduce(comm, values, values, 1, (tutti_type)260, TUTTI_OP_SUM, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "no type");
  REFUSED(
      tutti_all_reduce(comm, values, values, 1, TUTTI_TYPE_FLOAT32, (tutti_op)99, NULL, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "no operation");
  REFUSED(
      tutti_all_reduce(comm, values, values, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_BITWISE_OR, NULL, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "not defined");
  REFUSED(
      tutti_broadcast(comm, values, values, 1, TUTTI_TYPE_FLOAT32, 2, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "root 2");
  REFUSED(
      tutti_all_gather(comm, values, other, (size_t)1 << 62, TUTTI_TYPE_FLOAT32, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "not a valid count");
  REFUSED(
      tutti_all_gather(comm, values, other, (size_t)-1, TUTTI_TYPE_FLOAT32, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "not a valid count");
  REFUSED(
      tutti_all_gather_v(comm, values, other, NULL, TUTTI_TYPE_FLOAT32, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "'counts' is NULL");
  REFUSED(
      tutti_all_gather_v(comm, values, other, counts, TUTTI_TYPE_FLOAT32, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT,
      "counts[1]");
  REFUSED(
      tutti_receive(comm, values, 1, TUTTI_TYPE_FLOAT32, 7, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "no rank 7");
  REFUSED(tutti_send(comm, NULL, 1, TUTTI_TYPE_FLOAT32, 1, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "NULL");
  OK(tutti_all_reduce(comm, NULL, NULL, 0, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL));
}

static void results(tutti_comm *comm) {
  tutti_comm *part = NULL;
  void *memory = NULL;
  int done = 0;
  tutti_work none;
  memset(&none, 0, sizeof none);
  REFUSED(tutti_comm_rank(comm, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'rank' is NULL");
  REFUSED(tutti_comm_split(comm, 0, 0, 0, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'part' is NULL");
  REFUSED(tutti_comm_split(comm, 0, 0, -5, &part), TUTTI_ERROR_INVALID_ARGUMENT, "timeout_ns");
  REFUSED(tutti_comm_last_operation(comm, (char *)&done, 0), TUTTI_ERROR_INVALID_ARGUMENT, "no room");
  REFUSED(tutti_work_wait(NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'work' is NULL");
  REFUSED(tutti_work_wait(&none), TUTTI_ERROR_INVALID_ARGUMENT, "no started operation");
  REFUSED(tutti_work_wait_all(NULL, 1), TUTTI_ERROR_INVALID_ARGUMENT, "'works' is NULL");
  REFUSED(tutti_work_wait_for(&none, 0, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'done' is NULL");
  REFUSED(tutti_work_wait_for(&none, -1, &done), TUTTI_ERROR_INVALID_ARGUMENT, "timeout_ns is negative");
  REFUSED(tutti_work_when_ended(&none, NULL, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'callback' is NULL");
  REFUSED(tutti_memory_allocate(comm, (size_t)-1, &memory), TUTTI_ERROR_INVALID_ARGUMENT, "too many");
  REFUSED(tutti_memory_free(&done), TUTTI_ERROR_INVALID_ARGUMENT, "not allocated");
  REFUSED(tutti_memory_register(comm, NULL, 8), TUTTI_ERROR_INVALID_ARGUMENT, "no 8 bytes");
  OK(tutti_memory_free(NULL));
  OK(tutti_comm_free(NULL));
}

static void joining(const struct rank *rank) {
  tutti_comm *comm = (tutti_comm *)8;
  tutti_options options = rank->options;
  REFUSED(tutti_join_address(0, 1, NULL, -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "'address' is NULL");
  CHECK(comm == NULL);
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, NULL), TUTTI_ERROR_INVALID_ARGUMENT, "'comm' is NULL");
  REFUSED(tutti_join_address(3, 2, rank->address, -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "no rank 3 of 2");
  REFUSED(tutti_join_address(0, 1, "nowhere", -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "not an address");
  REFUSED(tutti_join(&options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "from the environment");
  options.secret = NULL;
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "secret is NULL");
  options = rank->options;
  options.transport = (tutti_transport)9;
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "no transport");
  options = rank->options;
  options.size--;
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "OPTIONS_INIT");
  options = rank->options;
  options.topology_file = "/nowhere.yaml";
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, &comm), TUTTI_ERROR_CONFIGURATION, "/nowhere.yaml");
  options = rank->options;
  options.tuning_file = "/untold.yaml";
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, &comm), TUTTI_ERROR_CONFIGURATION, "/untold.yaml");
  options = rank->options;
  options.bits = (tutti_bits)9;
  REFUSED(tutti_join_address(0, 1, rank->address, -1, &options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "tutti_bits");
  tutti_rendezvous rendezvous = TUTTI_RENDEZVOUS_INIT;
  REFUSED(
      tutti_join_rendezvous(0, 1, &rendezvous, "x", &rank->options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "no function");
  int listener = dup(0);
  REFUSED(tutti_join_address(0, 1, NULL, listener, &rank->options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "address");
  CHECK(close(listener) != 0); // the library has closed it
}

/// What was added to the options, which a program with an earlier header does not have.
static void bits(void) {
  tutti_comm *comms[4] = {NULL};
  float value = 1;
  tutti_call ring = TUTTI_CALL_INIT;
  ring.algorithm = "ring";
  ring.timeout_ns = 5000000000; // where it is not refused, it waits for the other ranks
  tutti_options options = TUTTI_OPTIONS_INIT;
  options.bits = TUTTI_BITS_CANONICAL;
  OK(tutti_make_in_process(4, &options, comms));
  REFUSED(
      tutti_all_reduce(comms[0], &value, &value, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, &ring, NULL),
      TUTTI_ERROR_INVALID_ARGUMENT, "canonical");
  for (int rank = 0; rank < 4; rank++) OK(tutti_comm_free(comms[rank]));
  options.size = offsetof(tutti_options, bits);
  options.bits = (tutti_bits)9; // lies behind what the program has
  OK(tutti_make_in_process(1, &options, comms));
  OK(tutti_comm_free(comms[0]));
}

static void body(const struct rank *rank) {
  versions_and_names();
  bits();
  joining(rank);
  tutti_comm *comm = join(rank);
  structures(comm);
  arguments(comm);
  results(comm);
  // Nothing of that has harmed it.
  float value = 1;
  OK(tutti_all_reduce(comm, &value, &value, 1, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL));
  CHECK(value == 2);
  OK(tutti_comm_close(comm));
  OK(tutti_comm_close(comm));
  REFUSED(tutti_barrier(comm, NULL, NULL), TUTTI_ERROR_CLOSED, "closed");
  OK(tutti_comm_free(comm));
  REFUSED(tutti_comm_free(comm), TUTTI_ERROR_CLOSED, "freed");
  REFUSED(tutti_barrier(comm, NULL, NULL), TUTTI_ERROR_CLOSED, "freed");
  REFUSED(tutti_comm_rank(comm, &(int){0}), TUTTI_ERROR_CLOSED, "freed");
}

void test_bad_input(void) { run_ranks("bad input", 2, TUTTI_TRANSPORT_AUTO, body, -1); }
