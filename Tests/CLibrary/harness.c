#include "harness.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void fail_check(const char *file, int line, const char *condition) {
  const tutti_error *error = tutti_error_last();
  fprintf(stderr, "%s:%d: %s is not so. Last error: %s\n", file, line, condition, error ? error->text : "none");
  fflush(stderr);
  _exit(1);
}

void check_refused(tutti_code code, tutti_code expected, const char *words, const char *file, int line, const char *call) {
  if (code != expected) {
    fprintf(stderr, "%s returned %s, not %s. ", call, tutti_code_name(code), tutti_code_name(expected));
    fail_check(file, line, call);
  }
  const tutti_error *error = tutti_error_last();
  if (!error || error->code != expected || !strstr(error->text, words)) {
    fprintf(stderr, "the error does not say '%s'. ", words);
    fail_check(file, line, call);
  }
}

tutti_comm *join(const struct rank *rank) {
  tutti_comm *comm = NULL;
  OK(tutti_join_address(rank->number, rank->count, rank->address, -1, &rank->options, &comm));
  return comm;
}

/// How patient limits of time must be here: Scripts/test measures it.
static int patience(void) {
  const char *text = getenv("TUTTI_TEST_PATIENCE");
  int times = text ? atoi(text) : 1;
  return times < 1 ? 1 : times;
}

void run_ranks(
    const char *name, int count, tutti_transport transport, void (*body)(const struct rank *rank), int expected) {
  static int number = 0;
  static const char *const transports[] = {"any transport", "shared memory", "TCP", "RDMA"};
  static const char secret[] = "the secret of the C library's tests";
  char address[64], folder[] = "/tmp/tutti-c-XXXXXX";
  CHECK(mkdtemp(folder));
  snprintf(address, sizeof address, "unix:@tutti-c-%d-%d", (int)getpid(), number++);
  printf("%s: %d ranks over %s\n", name, count, transports[transport]);
  fflush(stdout);
  pid_t children[16];
  for (int index = 0; index < count; index++) {
    children[index] = fork();
    CHECK(children[index] >= 0);
    if (children[index] > 0) continue;
    alarm((unsigned)(120 * patience()));
    tutti_options options = TUTTI_OPTIONS_INIT;
    options.transport = transport;
    options.secret_kind = TUTTI_SECRET_BYTES;
    options.secret = secret;
    options.secret_bytes = sizeof secret;
    options.timeout_ns = (int64_t)30000000000 * patience();
    options.join_timeout_ns = options.timeout_ns;
    struct rank rank = {index, count, options, address, folder};
    body(&rank);
    _exit(0);
  }
  int failures = 0;
  for (int index = 0; index < count; index++) {
    int status = 0;
    CHECK(waitpid(children[index], &status, 0) == children[index]);
    int is_right = index == expected ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!is_right) fprintf(stderr, "rank %d of '%s' ended with status %x\n", index, name, (unsigned)status);
    failures += !is_right;
  }
  char command[64];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  CHECK(system(command) == 0);
  if (failures) exit(1);
}

int main(void) {
  test_bad_input();
  test_collectives();
  test_started();
  test_groups();
  test_composed();
  test_failures();
  printf("the C library's tests passed\n");
  return 0;
}
