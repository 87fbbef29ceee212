// Forks children for tests.
#define _GNU_SOURCE
#include "CTuttiFork.h"

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t tutti_fork_sleeper(unsigned seconds) {
  pid_t pid = fork();
  if (pid == 0) {
    while (seconds > 0) seconds = sleep(seconds);
    _exit(0);
  }
  return pid;
}

int tutti_fork_call(int (*body)(void *), void *context, unsigned seconds) {
  pid_t pid = fork();
  if (pid < 0) return -1;
  if (pid == 0) _exit(body(context));
  time_t end = time(NULL) + seconds;
  int status = 0;
  while (waitpid(pid, &status, WNOHANG) == 0) {
    if (time(NULL) > end) kill(pid, SIGKILL);
    poll(NULL, 0, 1);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
