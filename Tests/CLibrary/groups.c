// How communicators come to be: parts of others, over a store of the program's, over a listening socket, from several
// threads, in one process, and from the environment.
#include "harness.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/// The sum of the ranks of `comm`, counted from 1.
static int sum_of_ranks(tutti_comm *comm) {
  int rank = -1;
  OK(tutti_comm_rank(comm, &rank));
  int32_t value = rank + 1;
  OK(tutti_all_reduce(comm, &value, &value, 1, TUTTI_TYPE_INT32, TUTTI_OP_SUM, NULL, NULL));
  return value;
}

// MARK: A store in a folder

struct store {
  const char *folder;
  int released;
};

/// The file of a key, in which slashes are no folders.
static void path_of(const struct store *store, const char *key, char *path, size_t bytes) {
  int length = snprintf(path, bytes, "%s/", store->folder);
  snprintf(path + length, bytes - (size_t)length, "%s", key);
  for (char *letter = path + length; *letter; letter++) {
    if (*letter == '/') *letter = '+';
  }
}

static int put(void *context, const char *key, const void *value, size_t bytes, int64_t timeout_ns) {
  char path[256], written[300];
  path_of(context, key, path, sizeof path);
  snprintf(written, sizeof written, "%s.new", path);
  FILE *file = fopen(written, "wb");
  (void)timeout_ns;
  if (!file || fwrite(value, 1, bytes, file) != bytes || fclose(file) != 0) return 5;
  return rename(written, path) == 0 ? TUTTI_RENDEZVOUS_OK : 5;
}

static int get(void *context, const char *key, void *value, size_t *bytes, int64_t timeout_ns) {
  char path[256];
  path_of(context, key, path, sizeof path);
  FILE *file = fopen(path, "rb");
  (void)timeout_ns;
  if (!file) return TUTTI_RENDEZVOUS_NOTHING;
  *bytes = fread(value, 1, TUTTI_RENDEZVOUS_VALUE_MAX, file);
  fclose(file);
  return TUTTI_RENDEZVOUS_OK;
}

static int wait_for(void *context, const char *key, void *value, size_t *bytes, int64_t timeout_ns) {
  for (int64_t waited = 0; waited < timeout_ns; waited += 1000000) {
    if (get(context, key, value, bytes, timeout_ns) == TUTTI_RENDEZVOUS_OK) return TUTTI_RENDEZVOUS_OK;
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return TUTTI_RENDEZVOUS_NOTHING;
}

static int refuse(void *context, const char *key, void *value, size_t *bytes, int64_t timeout_ns) {
  (void)context, (void)key, (void)value, (void)timeout_ns;
  *bytes = 1 << 20;
  return 77;
}

static int lie(void *context, const char *key, void *value, size_t *bytes, int64_t timeout_ns) {
  (void)context, (void)key, (void)value, (void)timeout_ns;
  *bytes = 1 << 20;
  return TUTTI_RENDEZVOUS_OK;
}

static void release(void *context) { __atomic_add_fetch(&((struct store *)context)->released, 1, __ATOMIC_SEQ_CST); }

// MARK: Groups of members alone

/// One group, which a thread of each of its members makes.
struct group {
  pthread_t thread;
  const struct rank *rank;
  struct store store;
  int number;
  int can_wait;
};

/// Joins group `number`, of all ranks but rank `number`, and works in it.
static void *work_in_group(void *context) {
  struct group *group = context;
  const struct rank *rank = group->rank;
  tutti_rendezvous rendezvous = TUTTI_RENDEZVOUS_INIT;
  rendezvous.context = &group->store;
  rendezvous.put = put;
  rendezvous.get = get;
  rendezvous.wait = group->can_wait ? wait_for : NULL;
  rendezvous.release = release;
  tutti_options options = rank->options;
  options.secret_kind = TUTTI_SECRET_PUBLISHED;
  options.secret = NULL;
  char name[32];
  snprintf(name, sizeof name, "groups/%d", group->number);
  int own = rank->number - (rank->number > group->number);
  tutti_comm *comm = NULL;
  OK(tutti_join_rendezvous(own, rank->count - 1, &rendezvous, name, &options, &comm));
  int members = rank->count - 1;
  for (int turn = 0; turn < 100; turn++) CHECK(sum_of_ranks(comm) == members * (members + 1) / 2);
  OK(tutti_comm_free(comm));
  return NULL;
}

static void groups_from_threads(const struct rank *rank) {
  struct group groups[8];
  for (int number = 0; number < rank->count; number++) {
    if (number == rank->number) continue;
    groups[number] = (struct group){0, rank, {rank->folder, 0}, number, number % 2};
    CHECK(pthread_create(&groups[number].thread, NULL, work_in_group, &groups[number]) == 0);
  }
  for (int number = 0; number < rank->count; number++) {
    if (number == rank->number) continue;
    CHECK(pthread_join(groups[number].thread, NULL) == 0);
    // A thread of the library's own may let go of it a moment after the join.
    for (int turn = 0; turn < 5000 && __atomic_load_n(&groups[number].store.released, __ATOMIC_SEQ_CST) == 0; turn++) {
      nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    CHECK(__atomic_load_n(&groups[number].store.released, __ATOMIC_SEQ_CST) == 1);
  }
}

static void broken_stores(const struct rank *rank) {
  struct store store = {rank->folder, 0};
  tutti_rendezvous rendezvous = {sizeof rendezvous, &store, put, refuse, refuse, NULL};
  tutti_comm *comm = NULL;
  REFUSED(tutti_join_rendezvous(1, 2, &rendezvous, "a", &rank->options, &comm), TUTTI_ERROR_RENDEZVOUS, "returned 77");
  rendezvous.wait = lie;
  REFUSED(tutti_join_rendezvous(1, 2, &rendezvous, "b", &rank->options, &comm), TUTTI_ERROR_RENDEZVOUS, "1048576 bytes");
  REFUSED(
      tutti_join_rendezvous(1, 2, &rendezvous, "no name!", &rank->options, &comm), TUTTI_ERROR_INVALID_ARGUMENT, "name");
}

// MARK: Parts of communicators

static void parts(const struct rank *rank) {
  tutti_comm *comm = join(rank), *part = NULL, *copy = NULL;
  OK(tutti_comm_split(comm, rank->number == 0 ? TUTTI_NO_COLOR : -7, -rank->number, 0, &part));
  CHECK((part == NULL) == (rank->number == 0));
  if (part) {
    int number = -1, members = rank->count - 1;
    OK(tutti_comm_rank(part, &number));
    CHECK(number == rank->count - 1 - rank->number);
    CHECK(sum_of_ranks(part) == members * (members + 1) / 2);
  }
  OK(tutti_comm_duplicate(comm, 0, &copy));
  CHECK(sum_of_ranks(copy) == rank->count * (rank->count + 1) / 2);
  OK(tutti_comm_free(comm));
  CHECK(sum_of_ranks(copy) == rank->count * (rank->count + 1) / 2);
  OK(tutti_comm_free(copy));
  OK(tutti_comm_free(part));
}

/// Rank 0 listens at a port that the kernel gives, and tells the others which.
static void over_listener(const struct rank *rank) {
  char path[128], address[64] = "";
  int listener = -1;
  snprintf(path, sizeof path, "%s/port", rank->folder);
  if (rank->number == 0) {
    struct sockaddr_in place;
    socklen_t bytes = sizeof place;
    memset(&place, 0, sizeof place);
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&place, sizeof place) == 0 && listen(listener, 16) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&place, &bytes) == 0);
    snprintf(address, sizeof address, "127.0.0.1:%d", ntohs(place.sin_port));
    struct store store = {rank->folder, 0};
    CHECK(put(&store, "port", address, strlen(address), 0) == TUTTI_RENDEZVOUS_OK);
  } else {
    struct store store = {rank->folder, 0};
    char value[TUTTI_RENDEZVOUS_VALUE_MAX];
    size_t bytes = 0;
    CHECK(wait_for(&store, "port", value, &bytes, 30000000000) == TUTTI_RENDEZVOUS_OK);
    memcpy(address, value, bytes);
    address[bytes] = 0;
  }
  tutti_comm *comm = NULL;
  OK(tutti_join_address(rank->number, rank->count, address, listener, &rank->options, &comm));
  CHECK(sum_of_ranks(comm) == rank->count * (rank->count + 1) / 2);
  OK(tutti_comm_free(comm));
}

static void from_environment(const struct rank *rank) {
  char number[16], count[16];
  snprintf(number, sizeof number, "%d", rank->number);
  snprintf(count, sizeof count, "%d", rank->count);
  setenv("TUTTI_RANK", number, 1);
  setenv("TUTTI_SIZE", count, 1);
  setenv("TUTTI_RENDEZVOUS", rank->address, 1);
  setenv("TUTTI_SECRET", "0123456789abcdef0123456789abcdef", 1);
  tutti_comm *comm = NULL;
  OK(tutti_join(NULL, &comm));
  CHECK(sum_of_ranks(comm) == rank->count * (rank->count + 1) / 2);
  OK(tutti_comm_free(comm));
}

// MARK: In one process

static void *work_as_thread(void *comm) {
  CHECK(sum_of_ranks(comm) == 6);
  OK(tutti_comm_free(comm));
  return NULL;
}

static void in_process(const struct rank *rank) {
  tutti_comm *comms[3];
  pthread_t threads[3];
  (void)rank;
  OK(tutti_make_in_process(3, NULL, comms));
  for (int index = 0; index < 3; index++) CHECK(pthread_create(&threads[index], NULL, work_as_thread, comms[index]) == 0);
  for (int index = 0; index < 3; index++) CHECK(pthread_join(threads[index], NULL) == 0);
  REFUSED(tutti_make_in_process(0, NULL, comms), TUTTI_ERROR_INVALID_ARGUMENT, "0 ranks");
}

void test_groups(void) {
  run_ranks("groups of members alone, from several threads", 4, TUTTI_TRANSPORT_AUTO, groups_from_threads, -1);
  run_ranks("groups of members alone, from several threads", 3, TUTTI_TRANSPORT_TCP, groups_from_threads, -1);
  run_ranks("broken stores", 1, TUTTI_TRANSPORT_AUTO, broken_stores, -1);
  run_ranks("parts", 4, TUTTI_TRANSPORT_SHARED_MEMORY, parts, -1);
  run_ranks("parts", 3, TUTTI_TRANSPORT_TCP, parts, -1);
  run_ranks("a listening socket", 3, TUTTI_TRANSPORT_AUTO, over_listener, -1);
  run_ranks("the environment", 2, TUTTI_TRANSPORT_AUTO, from_environment, -1);
  run_ranks("threads of one process", 1, TUTTI_TRANSPORT_AUTO, in_process, -1);
}
