// Children that end with this process, and how they have ended.
#define _GNU_SOURCE
#include "CTuttiLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4u
#endif
#define SPAWN_DESCRIPTOR_MAX 8

// From here to execve(2) the child shares its memory with its parent, which waits (vfork(2)): it writes to its stack only,
// and calls nothing but system calls.

static void close_on_exec_from(int first) {
  if (syscall(SYS_close_range, (unsigned)first, ~0u, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Before Linux 5.11.
  for (int fd = first; fd < 65536; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static int place_descriptors(const struct tutti_spawn_request *what, int *report) {
  int above = 2;
  for (int i = 0; i < what->descriptor_count; i++) {
    if (what->targets[i] > above) above = what->targets[i];
  }
  above++;
  // None may be overwritten before it is copied.
  if ((*report = fcntl(*report, F_DUPFD_CLOEXEC, above)) < 0) return -1;
  int sources[SPAWN_DESCRIPTOR_MAX];
  for (int i = 0; i < what->descriptor_count; i++) {
    if ((sources[i] = fcntl(what->sources[i], F_DUPFD_CLOEXEC, above)) < 0) return -1;
  }
  if (what->isolates) close_on_exec_from(3);
  for (int i = 0; i < what->descriptor_count; i++) {
    if (dup2(sources[i], what->targets[i]) < 0) return -1;
  }
  return 0;
}

static void become(const struct tutti_spawn_request *what, pid_t parent, int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent has died in the meantime, and no signal will follow.
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  if (what->isolates) {
    // The kernel's own structure, SIG_DFL and no flags: sigaction(3) leaves out the C library's signals, which may be
    // inherited too.
    const unsigned long standard[4] = {0};
    for (int signal = 1; signal < NSIG; signal++) syscall(SYS_rt_sigaction, signal, standard, NULL, (size_t)(NSIG - 1) / 8);
  }
  if (what->ignores_sigchld) {
    struct sigaction action = {.sa_handler = SIG_IGN};
    sigaction(SIGCHLD, &action, NULL);
  }
  if (place_descriptors(what, &report) == 0 && sigprocmask(SIG_SETMASK, what->mask, NULL) == 0) {
    execve(what->program, what->arguments, what->environment);
  }
  int code = errno;
  (void)!write(report, &code, sizeof code);
  _exit(127);
}

int tutti_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  for (int i = 0; i < 2; i++) tutti_register_descriptor(ends[i]);
  return 0;
}

// Defined in CTuttiLinux.c.
extern _Thread_local int tutti_is_spawning;

pid_t tutti_spawn(const struct tutti_spawn_request *what) {
  if (what->descriptor_count > SPAWN_DESCRIPTOR_MAX) return -EINVAL;
  int report[2];
  if (tutti_pipe(report) != 0) return -errno;
  // No handler of this process may run in the child, which has its memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t parent = getpid();
  tutti_is_spawning = 1;
  pid_t child = vfork();
  if (child == 0) become(what, parent, report[1]);
  tutti_is_spawning = 0;
  int code = child < 0 ? errno : 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  tutti_close(report[1]);
  if (child > 0) {
    ssize_t count;
    while ((count = read(report[0], &code, sizeof code)) < 0 && errno == EINTR) {
    }
    if (count != (ssize_t)sizeof code) {
      code = 0;
    } else {
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
      }
    }
  }
  tutti_close(report[0]);
  return code == 0 ? child : -code;
}

int tutti_child_end(pid_t pid, int reaps, int *signal, int *status) {
  siginfo_t info = {0};
  int result;
  do {
    result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | (reaps ? 0 : WNOWAIT));
  } while (result < 0 && errno == EINTR);
  if (result < 0) return -errno;
  if (info.si_pid == 0) return 0;
  *signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  *status = info.si_code == CLD_EXITED ? info.si_status : 0;
  return 1;
}

int tutti_is_ignored(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN;
}

int tutti_keep_children(void) {
  struct sigaction action;
  if (sigaction(SIGCHLD, NULL, &action) != 0) return 0;
  int ignored = !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN;
  if (!ignored && !(action.sa_flags & SA_NOCLDWAIT)) return 0;
  if (ignored) {
    action = (struct sigaction){.sa_handler = SIG_DFL};
  } else {
    action.sa_flags &= ~SA_NOCLDWAIT;
  }
  sigaction(SIGCHLD, &action, NULL);
  return ignored;
}

void tutti_forget_children(void) {
  struct sigaction action = {.sa_handler = SIG_IGN};
  sigaction(SIGCHLD, &action, NULL);
}

int tutti_signalfd(const sigset_t *signals) {
  int fd = signalfd(-1, signals, SFD_NONBLOCK | SFD_CLOEXEC);
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_signalfd_take(int fd) {
  struct signalfd_siginfo info;
  return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}
