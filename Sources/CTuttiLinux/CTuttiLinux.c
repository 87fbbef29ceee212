#define _GNU_SOURCE
#include "CTuttiLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

// A bit per descriptor number: which ones a forked child must close.
#define DESCRIPTOR_MAX 65536
static _Atomic uint64_t registered[DESCRIPTOR_MAX / 64];
uint32_t tutti_fork_generation = 0;
// Set while this thread makes a child that will run another program: execve(2) closes what it must not have. A sanitizer's
// vfork(2) is a fork(2), which calls the handler below.
_Thread_local int tutti_is_spawning = 0;

static void close_registered_in_child(void) {
  if (tutti_is_spawning) return;
  tutti_fork_generation++;
  for (int word = 0; word < DESCRIPTOR_MAX / 64; word++) {
    uint64_t bits = atomic_exchange_explicit(&registered[word], 0, memory_order_relaxed);
    while (bits) {
      int bit = __builtin_ctzll(bits);
      bits &= bits - 1;
      close(word * 64 + bit);
    }
  }
}

static void watch_forks(void) { pthread_atfork(NULL, NULL, close_registered_in_child); }

void tutti_register_descriptor(int fd) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  if (fd < 0 || fd >= DESCRIPTOR_MAX) return;
  atomic_fetch_or_explicit(&registered[fd / 64], 1ull << (fd % 64), memory_order_relaxed);
}

void tutti_close(int fd) {
  if (fd < 0) return;
  if (fd < DESCRIPTOR_MAX) {
    atomic_fetch_and_explicit(&registered[fd / 64], ~(1ull << (fd % 64)), memory_order_relaxed);
  }
  close(fd);
}

int tutti_eventfd(void) {
  int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_is_eventfd(int fd) {
  static const char expected[] = "anon_inode:[eventfd]";
  char path[32];
  char target[sizeof expected] = {0};
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(path, target, sizeof target - 1);
  if (length != (ssize_t)sizeof expected - 1 || memcmp(target, expected, sizeof expected) != 0) return 0;
  return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

void tutti_eventfd_ring(int fd) {
  uint64_t one = 1;
  while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void tutti_eventfd_drain(int fd) {
  uint64_t value;
  while (read(fd, &value, sizeof value) < 0 && errno == EINTR) {
  }
}

static int membarrier_available = 0;
static void register_membarrier(void) {
  membarrier_available = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

// Every process that uses the library registers, so that other ranks' barriers reach its threads.
__attribute__((constructor)) static void prepare_membarrier(void) { register_membarrier(); }

int tutti_membarrier(void) {
  if (membarrier_available && syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0) return 0;
  atomic_thread_fence(memory_order_seq_cst);
  return -1;
}

void tutti_futex_wait(const void *word, uint32_t expected, uint64_t timeout_ns) {
  struct timespec timeout = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, NULL, 0);
}

void tutti_futex_wake(const void *word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

int tutti_poll(struct pollfd *descriptors, size_t count, uint64_t timeout_ns) {
  struct timespec timeout = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
  return ppoll(descriptors, (nfds_t)count, &timeout, NULL);
}

int tutti_get_affinity(uint64_t *words, int count) {
  // The system call itself: the C library's fails where the kernel was made for more processors than a cpu_set_t holds.
  memset(words, 0, (size_t)count * sizeof *words);
  return syscall(SYS_sched_getaffinity, 0, (size_t)count * sizeof *words, words) < 0 ? -1 : 0;
}

int tutti_set_affinity(const uint64_t *words, int count) {
  return (int)syscall(SYS_sched_setaffinity, 0, (size_t)count * sizeof *words, words);
}

int tutti_prefer_node(void *memory, size_t bytes, int node) {
  unsigned long nodes[16] = {0};
  const int bits = 8 * (int)sizeof nodes[0];
  if (node < 0 || node >= 16 * bits) {
    errno = EINVAL;
    return -1;
  }
  nodes[node / bits] = 1ul << (node % bits);
  // The kernel takes one bit less than it is told.
  return (int)syscall(SYS_mbind, memory, bytes, MPOL_PREFERRED, nodes, 16ul * (unsigned long)bits + 1, 0);
}

struct thread_start {
  void (*body)(void *);
  void *context;
  char name[16];
};

static void *run_thread(void *argument) {
  struct thread_start start = *(struct thread_start *)argument;
  free(argument);
  pthread_setname_np(pthread_self(), start.name);
  start.body(start.context);
  return NULL;
}

int tutti_start_thread(void (*body)(void *), void *context, const char *name) {
  struct thread_start *start = malloc(sizeof *start);
  if (!start) return ENOMEM;
  *start = (struct thread_start){.body = body, .context = context};
  snprintf(start->name, sizeof start->name, "%s", name);
  // Signals belong to the program's own threads; a new thread inherits the mask of the moment.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int result = pthread_create(&thread, &attributes, run_thread, start);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (result != 0) free(start);
  return result;
}

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

int tutti_memfd(const char *name, size_t bytes) {
  // Beyond the limit, ftruncate(2) does not only fail: it raises SIGXFSZ, which ends the process.
  struct rlimit limit;
  if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur) {
    errno = EFBIG;
    return -1;
  }
  // Since Linux 6.3 the system may insist that such files are not executable (vm.memfd_noexec); before, the flag is unknown.
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return fd;
  if (ftruncate(fd, (off_t)bytes) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
    int code = errno;
    close(fd);
    errno = code;
    return -1;
  }
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_is_sealed(int fd) {
  int seals = fcntl(fd, F_GET_SEALS);
  int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
  return seals >= 0 && (seals & wanted) == wanted;
}

void *tutti_map_aligned(int fd, size_t bytes, size_t alignment) {
  // Address space that certainly holds an aligned start, of which the rest goes back.
  char *space = mmap(NULL, bytes + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (space == MAP_FAILED) return NULL;
  size_t before = (size_t)(-(uintptr_t)space % alignment);
  void *memory =
      mmap(space + before, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
  if (memory == MAP_FAILED) {
    int code = errno;
    munmap(space, bytes + alignment);
    errno = code;
    return NULL;
  }
  if (before > 0) munmap(space, before);
  munmap(space + before + bytes, alignment - before);
  return memory;
}

int tutti_memfd_populate(int fd, void *memory, size_t offset, size_t bytes) {
  madvise(memory, bytes, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
  int populated;
  do {
    populated = madvise(memory, bytes, MADV_POPULATE_WRITE);
  } while (populated < 0 && errno == EINTR);
  if (populated == 0) return 0;
  if (errno != EINVAL) return errno;
#endif
  // Before Linux 5.14: small pages.
  int result;
  do {
    result = fallocate(fd, 0, (off_t)offset, (off_t)bytes);
  } while (result < 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

void tutti_memfd_release(int fd, size_t offset, size_t bytes) {
  fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
}

int tutti_read_process(
    pid_t pid, void *destination, uint64_t address, size_t bytes, uint64_t probe_address, uint64_t probe) {
  for (size_t done = 0;;) {
    uint64_t found = 0;
    struct iovec local[2] = {{(char *)destination + done, bytes - done}, {&found, sizeof found}};
    struct iovec remote[2] = {{(void *)(uintptr_t)(address + done), bytes - done}, {(void *)(uintptr_t)probe_address, sizeof found}};
    ssize_t moved = process_vm_readv(pid, local, 2, remote, 2, 0);
    if (moved <= 0) return moved < 0 ? errno : EFAULT;
    if ((size_t)moved == bytes - done + sizeof found) return found == probe ? 0 : ESRCH;
    // As much as it moves at once, or all but the probe: what is left comes with the probe again.
    if ((size_t)moved > bytes - done) return EFAULT;
    done += (size_t)moved;
    if (done == bytes) return EFAULT;
  }
}

int tutti_pidfd_open(pid_t pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  tutti_register_descriptor(fd);
  return fd;
}

ssize_t tutti_send_descriptors(int socket, const void *bytes, size_t length, const int *fds, int fd_count) {
  struct iovec part = {(void *)bytes, length};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd_count > 0 && fd_count <= 4) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, (size_t)fd_count * sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t tutti_receive_descriptors(int socket, void *bytes, size_t length, int *fds, int *fd_count) {
  struct iovec part = {bytes, length};
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  *fd_count = 0;
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return received;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int count = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    int received_fds[4];
    if (count > 4) count = 4;
    memcpy(received_fds, CMSG_DATA(header), (size_t)count * sizeof(int));
    for (int i = 0; i < count; i++) {
      tutti_register_descriptor(received_fds[i]);
      if (*fd_count < 4) {
        fds[(*fd_count)++] = received_fds[i];
      } else {
        tutti_close(received_fds[i]);
      }
    }
  }
  return received;
}

ssize_t tutti_socket_send(int socket, const void *first, size_t first_length, const void *second, size_t second_length) {
  struct iovec parts[2] = {{(void *)first, first_length}, {(void *)second, second_length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t moved;
  do {
    // send(2) is measurably cheaper than sendmsg(2) for the small segments that latency is about.
    moved = second_length == 0 ? send(socket, first, first_length, MSG_NOSIGNAL | MSG_DONTWAIT)
                               : sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (moved < 0 && errno == EINTR);
  return moved < 0 ? -errno : moved;
}

ssize_t tutti_socket_receive(int socket, void *first, size_t first_length, void *second, size_t second_length) {
  struct iovec parts[2] = {{first, first_length}, {second, second_length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t moved;
  do {
    moved = second_length == 0 ? recv(socket, first, first_length, MSG_DONTWAIT) : recvmsg(socket, &message, MSG_DONTWAIT);
  } while (moved < 0 && errno == EINTR);
  return moved < 0 ? -errno : moved;
}

int tutti_socket_undelivered(int socket) {
  struct tcp_info info;
  socklen_t length = sizeof info;
  int queued;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || ioctl(socket, SIOCOUTQ, &queued) != 0) return 0;
  switch (info.tcpi_state) {
    case TCP_CLOSE:
    case TCP_FIN_WAIT2:
    case TCP_TIME_WAIT:
      return 0;
    case TCP_FIN_WAIT1:
    case TCP_CLOSING:
    case TCP_LAST_ACK:
      // The end of the stream counts as a byte.
      return queued > 0 ? queued - 1 : 0;
    default:
      return queued;
  }
}

int tutti_socket(int domain, int type) {
  int fd = socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_epoll(void) {
  int fd = epoll_create1(EPOLL_CLOEXEC);
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_epoll_watch(int epoll, int fd, uint32_t events, uint64_t token) {
  struct epoll_event event = {.events = events, .data.u64 = token};
  int result = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  return result < 0 && errno == EEXIST ? epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) : result;
}

int tutti_epoll_unwatch(int epoll, int fd) { return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL); }

int tutti_epoll_wait(int epoll, uint64_t *tokens, uint32_t *events, int capacity, int timeout_ms) {
  struct epoll_event ready[64];
  int count = epoll_wait(epoll, ready, capacity < 64 ? capacity : 64, timeout_ms);
  if (count < 0) return errno == EINTR ? 0 : count;
  for (int i = 0; i < count; i++) {
    tokens[i] = ready[i].data.u64;
    events[i] = ready[i].events;
  }
  return count;
}

int tutti_timerfd(void) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  tutti_register_descriptor(fd);
  return fd;
}

int tutti_timerfd_set(int fd, uint64_t at_ns) {
  struct itimerspec when = {
      .it_value = {.tv_sec = (time_t)(at_ns / 1000000000u), .tv_nsec = (long)(at_ns % 1000000000u)}};
  return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int tutti_peer_credentials(int socket, pid_t *pid, uid_t *uid) {
  struct ucred credentials;
  socklen_t length = sizeof credentials;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) return -1;
  *pid = credentials.pid;
  *uid = credentials.uid;
  return 0;
}
