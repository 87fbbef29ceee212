// What the floor programs share: two processes, a clock, sizes from the command line, and one way to report.
//
// A floor is what the machine allows a bare C program that does nothing but the exchange: no schedule, no checks, no
// deadlines. The library is measured as a ratio to it, taken in the same minutes on the same machine.
//
// usage: PROGRAM [--iterations N] BYTES...        prints, for each size: floor NAME BYTES MICROSECONDS
// The time is the median over iterations of the maximum over the two processes, each iteration after a barrier.
#ifndef TUTTI_FLOOR_H
#define TUTTI_FLOOR_H

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ITERATIONS_MAX = 100000, SIZES_MAX = 64, DEADLINE_SECONDS = 120 };

static inline double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static inline void pause_cpu(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Call while waiting, with a counter that starts at 0. Two processes can land on one core, or a neighbour takes one:
/// whoever waits long hands its core over. On two free cores an exchange never gets that far.
static inline void wait_a_little(unsigned *spins) {
  if (++*spins % 256 == 0) {
    sched_yield();
  } else {
    pause_cpu();
  }
}

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

struct arguments {
  int iterations; // 0: the program's own choice for each size
  int size_count;
  size_t sizes[SIZES_MAX];
};

/// Reads the command line. Sizes are positive multiples of 8 bytes: every floor splits float32 arrays in two.
static struct arguments read_arguments(int argc, char **argv, size_t bytes_max) {
  struct arguments arguments = {0};
  for (int i = 1; i < argc; i++) {
    char *end = NULL;
    int is_iterations = strcmp(argv[i], "--iterations") == 0 && i + 1 < argc;
    if (is_iterations) i++;
    unsigned long long value = strtoull(argv[i], &end, 10);
    int parsed = argv[i][0] >= '0' && argv[i][0] <= '9' && *end == 0;
    if (is_iterations && parsed && value >= 1 && value <= ITERATIONS_MAX) {
      arguments.iterations = (int)value;
    } else if (!is_iterations && parsed && value >= 8 && value % 8 == 0 && value <= bytes_max &&
               arguments.size_count < SIZES_MAX) {
      arguments.sizes[arguments.size_count++] = value;
    } else {
      fprintf(stderr, "%s is not understood. usage: %s [--iterations 1...%d] BYTES... (multiples of 8 up to %zu)\n",
              argv[i], argv[0], ITERATIONS_MAX, bytes_max);
      exit(2);
    }
  }
  if (arguments.size_count == 0) {
    fprintf(stderr, "usage: %s [--iterations N] BYTES...\n", argv[0]);
    exit(2);
  }
  return arguments;
}

/// Memory that both processes see, with its pages there.
static void *shared_memory(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

/// A flag with a cache line pair to itself: the adjacent-line prefetcher must not couple two flags.
struct flag {
  _Alignas(128) _Atomic uint64_t value;
};

static struct {
  int rank; // 0 is the parent, which reports
  double *times; // shared: ITERATIONS_MAX of rank 0, then of rank 1
  struct flag *arrived; // one a rank
  uint64_t barriers;
} pair;

/// Puts each process on a CPU of its own, then lets the kernel move it again. Left alone, both may start on one CPU and
/// stay there for a whole run.
static void start_apart(void) {
  cpu_set_t allowed, one;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &allowed) || seen++ != pair.rank) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0) sched_setaffinity(0, sizeof allowed, &allowed);
    return;
  }
}

/// Forks. Both processes end after DEADLINE_SECONDS at the latest, and the child with its parent.
static void start_pair(void) {
  pair.times = shared_memory(2 * ITERATIONS_MAX * sizeof(double));
  pair.arrived = shared_memory(2 * sizeof(struct flag));
  pid_t parent = getpid();
  pid_t child = fork();
  if (child < 0) fail("fork");
  pair.rank = child == 0;
  if (pair.rank == 1) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1); // the parent died before the line above
  }
  start_apart();
  alarm(DEADLINE_SECONDS);
}

static void end_pair(void) {
  fflush(stdout);
  if (pair.rank == 1) _exit(0);
  int status = 0;
  if (wait(&status) < 0 || status != 0) fail("the other process failed");
}

/// Waits until the flag is at least `value`. The alarm of start_pair() bounds it.
static inline void await(const _Atomic uint64_t *flag, uint64_t value) {
  unsigned spins = 0;
  while (atomic_load_explicit(flag, memory_order_acquire) < value) wait_a_little(&spins);
}

static inline void barrier(void) {
  pair.barriers++;
  atomic_store_explicit(&pair.arrived[pair.rank].value, pair.barriers, memory_order_release);
  await(&pair.arrived[1 - pair.rank].value, pair.barriers);
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/// The median over iterations of the maximum over both ranks, on rank 0; call on both, between two barriers.
static double median_of_maxima(int iterations) {
  if (pair.rank != 0) return 0;
  double *mine = pair.times, *other = pair.times + ITERATIONS_MAX;
  for (int i = 0; i < iterations; i++) mine[i] = mine[i] > other[i] ? mine[i] : other[i];
  qsort(mine, (size_t)iterations, sizeof(double), compare_doubles);
  return mine[iterations / 2];
}

static inline void record(int iteration, double us) { pair.times[pair.rank * ITERATIONS_MAX + iteration] = us; }

static void report(const char *name, size_t bytes, double us) {
  if (pair.rank == 0) printf("floor %s %zu %.3f\n", name, bytes, us);
}

#endif
