// Linux system calls and macros that Swift's importer cannot see. No logic beyond that.
#ifndef TUTTI_LINUX_H
#define TUTTI_LINUX_H

#include <sched.h>
#include <signal.h>
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

/// sched_yield(2): lets another runnable thread have this core.
static inline void tutti_yield(void) { sched_yield(); }

/// Registers a descriptor for a forked child to close. Every descriptor that the library opens is registered, so that a
/// child never keeps a connection of its parent alive. What runs in the child is async-signal-safe.
void tutti_register_descriptor(int fd);
/// close(2), and forgets the registration. Ignores negative descriptors.
void tutti_close(int fd);
/// How often this process is the child of a fork that happened after the library was used. A communicator
/// remembers the value with which it was made, and is dead once that has changed.
extern uint32_t tutti_fork_generation;
static inline uint32_t tutti_current_fork_generation(void) { return tutti_fork_generation; }

/// eventfd(2), non-blocking and close-on-exec, registered. Negative with errno on failure.
int tutti_eventfd(void);
/// Whether a descriptor that came from elsewhere is an eventfd (1), so that writing to it neither blocks for long nor raises
/// a signal. Makes it non-blocking.
int tutti_is_eventfd(int fd);
/// Adds 1 to the counter, which wakes whoever polls it.
void tutti_eventfd_ring(int fd);
/// Resets the counter to 0.
void tutti_eventfd_drain(int fd);

/// A full memory barrier on every running thread of every process that uses the library (membarrier(2),
/// global expedited). Returns 0, or -1 where the kernel does not offer it; callers then bound their waits.
int tutti_membarrier(void);

/// Waits while `*word == expected`, at most `timeout_ns`: futex(2), private to the process. May wake early.
void tutti_futex_wait(const void *word, uint32_t expected, uint64_t timeout_ns);
/// Wakes up to `count` waiters of `word`.
void tutti_futex_wake(const void *word, int count);

/// ppoll(2) with a time limit in nanoseconds and no signal mask.
struct pollfd;
int tutti_poll(struct pollfd *descriptors, size_t count, uint64_t timeout_ns);

/// The processors this thread may run on (sched_getaffinity(2)): bit n of the words stands for processor n. 0, or -1 with
/// errno; EINVAL when the kernel knows more processors than there are bits.
int tutti_get_affinity(uint64_t *words, int count);
/// Confines this thread, and those it starts later, to the processors whose bits are set (sched_setaffinity(2)). 0, or -1
/// with errno.
int tutti_set_affinity(const uint64_t *words, int count);
/// Makes the pages of a mapping that are not there yet come from a memory node, while it has any (mbind(2), MPOL_PREFERRED).
/// `memory` begins a page. 0, or -1 with errno; containers often forbid it.
int tutti_prefer_node(void *memory, size_t bytes, int node);

/// Starts a detached thread with every signal blocked, under a name for debuggers (15 bytes at most). 0, or an errno value.
int tutti_start_thread(void (*body)(void *), void *context, const char *name);

/// memfd_create(2) with sealing, of the given size, sealed against shrinking and growing. Registered. Negative with errno on
/// failure; EFBIG, and no signal, when RLIMIT_FSIZE forbids the size.
int tutti_memfd(const char *name, size_t bytes);
/// Whether the descriptor is sealed against shrinking and growing (1), or not or unknown (0).
int tutti_is_sealed(int fd);
/// Maps all of a file, shared and writable, at a multiple of `alignment` (a power of two). NULL with errno on failure.
void *tutti_map_aligned(int fd, size_t bytes, size_t alignment);
/// Gives a mapped part of a memfd its pages: huge ones where the kernel has them for it (madvise(2)). 0, or an errno value
/// when memory has run out, instead of a signal at the first access.
int tutti_memfd_populate(int fd, void *memory, size_t offset, size_t bytes);
/// Gives the pages of a part of a memfd back (fallocate(2), FALLOC_FL_PUNCH_HOLE): it reads as zero in every mapping.
void tutti_memfd_release(int fd, size_t offset, size_t bytes);
/// Copies from the memory of another process (process_vm_readv(2)), all of it, and makes sure that it still is the process
/// that has `probe` at `probe_address`. 0, or an errno value: ESRCH also for another process.
int tutti_read_process(
    pid_t pid, void *destination, uint64_t address, size_t bytes, uint64_t probe_address, uint64_t probe);
/// pidfd_open(2). Registered. Negative with errno on failure.
int tutti_pidfd_open(pid_t pid);

/// Sends the bytes and up to 4 descriptors as one message on a Unix socket. Bytes sent, or negative with errno.
ssize_t tutti_send_descriptors(int socket, const void *bytes, size_t length, const int *fds, int fd_count);
/// Receives up to `length` bytes and up to 4 descriptors (registered, close-on-exec). Stores how many came.
ssize_t tutti_receive_descriptors(int socket, void *bytes, size_t length, int *fds, int *fd_count);

/// Moves bytes on a stream socket without blocking and without SIGPIPE. `second` follows `first` in one system call; either
/// may be empty. Bytes moved (0 from a receive: the peer has shut down), or the negative errno; never EINTR.
ssize_t tutti_socket_send(int socket, const void *first, size_t first_length, const void *second, size_t second_length);
ssize_t tutti_socket_receive(int socket, void *first, size_t first_length, void *second, size_t second_length);

/// Bytes sent on a TCP socket that the peer's kernel has not acknowledged; 0 on a dead connection, and on sockets that are
/// not TCP's.
int tutti_socket_undelivered(int socket);

/// What the kernel knows of a TCP connection's way to its peer (tcp(7), TCP_INFO).
struct tutti_tcp_way {
  /// Segments sent and not acknowledged, how often the oldest of them was sent again, and the bytes of a segment.
  uint32_t unacknowledged, retransmissions, segment_bytes;
};
/// 0, or -1 with errno.
int tutti_tcp_way_of(int socket, struct tutti_tcp_way *way);

/// Keeps the compiler from moving memory accesses across; the CPU's side is the caller's (see tutti_membarrier).
static inline void tutti_compiler_fence(void) { __asm__ volatile("" ::: "memory"); }

/// socket(2), non-blocking and close-on-exec, registered. Negative with errno on failure.
int tutti_socket(int domain, int type);
/// accept4(2), non-blocking and close-on-exec, registered. Negative with errno on failure.
int tutti_accept(int listener);

/// epoll_create1(2), registered; its descriptor can itself be polled or watched.
int tutti_epoll(void);
/// Watches `fd` for `events` (the POLL* bits), or changes what a watched one is watched for. `token` comes back with events.
int tutti_epoll_watch(int epoll, int fd, uint32_t events, uint64_t token);
int tutti_epoll_unwatch(int epoll, int fd);
/// Waits for up to `capacity` (at most 64) events; 0 when `timeout_ms` passed or a signal came; -1 waits for ever.
int tutti_epoll_wait(int epoll, uint64_t *tokens, uint32_t *events, int capacity, int timeout_ms);

/// timerfd_create(2) on CLOCK_MONOTONIC, non-blocking and close-on-exec, registered.
int tutti_timerfd(void);
/// Makes the timer readable once at `at_ns`; 0 disarms it and forgets an expiry.
int tutti_timerfd_set(int fd, uint64_t at_ns);

/// The process at the other end of a Unix socket (SO_PEERCRED). 0, or negative with errno.
int tutti_peer_credentials(int socket, pid_t *pid, uid_t *uid);

/// The program that tutti_spawn starts, and with what.
struct tutti_spawn_request {
  /// A path. The other two arrays end with NULL.
  const char *program;
  char *const *arguments;
  char *const *environment;
  /// Descriptor `targets[i]` of the program is this process's `sources[i]`.
  const int *sources;
  const int *targets;
  int descriptor_count;
  /// The signals that are blocked in the program.
  const sigset_t *mask;
  /// Whether the program gets the default disposition of every signal, and no descriptor but 0 to 2 and the targets.
  int isolates;
  /// Whether the program ignores SIGCHLD.
  int ignores_sigchld;
};
/// Starts a program as a child in a process group of its own, which the kernel kills when the thread that called this ends
/// (prctl(2), PR_SET_PDEATHSIG). The child's pid, or the negative errno, also that of execve(2).
pid_t tutti_spawn(const struct tutti_spawn_request *what);
/// pipe2(2), close-on-exec, both ends registered. 0, or -1 with errno.
int tutti_pipe(int ends[2]);
/// Whether a child has ended: 1, and how; 0 while it runs; or the negative errno (ECHILD: somebody else has reaped it). With
/// `reaps` its pid is free afterwards, without it stays a zombie. `*signal` is 0 for a child that has exited with `*status`.
int tutti_child_end(pid_t pid, int reaps, int *signal, int *status);
/// Whether this process ignores a signal: 1 or 0.
int tutti_is_ignored(int signal);
/// Makes sure that children become zombies when they end. 1 where SIGCHLD was ignored until now, else 0.
int tutti_keep_children(void);
/// Ignores SIGCHLD again, after tutti_keep_children has returned 1.
void tutti_forget_children(void);
/// signalfd(2), non-blocking, registered, for blocked signals. Negative with errno on failure.
int tutti_signalfd(const sigset_t *signals);
/// The next signal that has come, or 0.
int tutti_signalfd_take(int fd);

#endif
