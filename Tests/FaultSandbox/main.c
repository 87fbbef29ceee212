// Runs a program in which chosen system calls fail, as a container's seccomp filter would have it.
//
// faultsandbox CALL=ERRNO... -- PROGRAM ARGUMENT...
//
// CALL is memfd_create, pidfd_open, or descriptors: sendmsg(2) without MSG_DONTWAIT, which the library uses for passing
// descriptors and for nothing else. ERRNO is a number. Needs no privileges.

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILTER_MAX 64

static struct sock_filter filter[FILTER_MAX];
static unsigned short count = 0;

static void add(struct sock_filter instruction) {
  if (count == FILTER_MAX) exit(64);
  filter[count++] = instruction;
}

static void load(size_t offset) { add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset)); }

static void answer(unsigned result) { add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, result)); }

static int deny(const char *rule) {
  const char *equals = strchr(rule, '=');
  if (!equals) return -1;
  size_t length = (size_t)(equals - rule);
  unsigned result = SECCOMP_RET_ERRNO | ((unsigned)atoi(equals + 1) & SECCOMP_RET_DATA);
  load(offsetof(struct seccomp_data, nr));
  if (strncmp(rule, "memfd_create", length) == 0) {
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1));
  } else if (strncmp(rule, "pidfd_open", length) == 0) {
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1));
  } else if (strncmp(rule, "descriptors", length) == 0) {
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 0, 3));
    // The low word of the flags; both architectures are little-endian.
    load(offsetof(struct seccomp_data, args[2]));
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MSG_DONTWAIT, 1, 0));
  } else {
    return -1;
  }
  answer(result);
  return 0;
}

int main(int argc, char **argv) {
  int next = 1;
  for (; next < argc && strcmp(argv[next], "--") != 0; next++) {
    if (deny(argv[next]) < 0) {
      fprintf(stderr, "faultsandbox: %s is not CALL=ERRNO of a call it knows\n", argv[next]);
      return 64;
    }
  }
  if (next + 1 >= argc) {
    fprintf(stderr, "usage: faultsandbox CALL=ERRNO... -- PROGRAM ARGUMENT...\n");
    return 64;
  }
  answer(SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = count, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
    perror("faultsandbox: seccomp");
    return 71;
  }
  execv(argv[next + 1], argv + next + 1);
  perror(argv[next + 1]);
  return 71;
}
