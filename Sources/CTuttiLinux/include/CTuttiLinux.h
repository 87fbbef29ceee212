// Linux system calls and macros that Swift's importer cannot see. No logic beyond that.
#ifndef TUTTI_LINUX_H
#define TUTTI_LINUX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/// CLOCK_MONOTONIC in nanoseconds.
static inline uint64_t tutti_now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/// A hint to the CPU that this is a spin loop.
static inline void tutti_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Descriptors that a forked child must close. Every descriptor the library opens is registered through these,
/// so that a child never keeps a connection of its parent alive. Async-signal-safe in the child.
void tutti_register_descriptor(int fd);
/// close(2), and forgets the registration. Ignores negative descriptors.
void tutti_close(int fd);
/// How often this process is the child of a fork that happened after the library was used. A communicator
/// remembers the value at its birth and is dead when it changed.
extern uint32_t tutti_fork_generation;

/// eventfd(2), non-blocking and close-on-exec, registered. Negative with errno on failure.
int tutti_eventfd(void);
/// Adds 1 to the counter; wakes whoever polls it.
void tutti_eventfd_ring(int fd);
/// Resets the counter to 0.
void tutti_eventfd_drain(int fd);

/// A full memory barrier on every running thread of every process that uses the library (membarrier(2),
/// global expedited). Returns 0, or -1 where the kernel does not offer it; callers then bound their waits.
int tutti_membarrier(void);

/// memfd_create(2) with sealing, of the given size, sealed against shrinking and growing. Registered.
int tutti_memfd(const char *name, size_t bytes);
/// pidfd_open(2). Registered. Negative with errno on failure.
int tutti_pidfd_open(pid_t pid);

/// Sends the bytes and up to 4 descriptors as one message on a Unix socket. Bytes sent, or negative with errno.
ssize_t tutti_send_descriptors(int socket, const void *bytes, size_t length, const int *fds, int fd_count);
/// Receives up to `length` bytes and up to 4 descriptors (registered, close-on-exec). Stores how many came.
ssize_t tutti_receive_descriptors(int socket, void *bytes, size_t length, int *fds, int *fd_count);

/// The process at the other end of a Unix socket (SO_PEERCRED). 0, or negative with errno.
int tutti_peer_credentials(int socket, pid_t *pid, uid_t *uid);

/// fork(2), which Swift hides, for tests that need a child sharing every descriptor of its parent.
/// Forks a child that sleeps for `seconds` and exits. Returns the child's pid.
pid_t tutti_fork_sleeper(unsigned seconds);

#endif
