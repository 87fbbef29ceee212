// What the programs that measure peers share: arguments, the clock, test data, and one way to time and report. A program
// supplies a barrier, a maximum over ranks and the operation; this file owns everything else, so that all peers are timed
// alike, and like collbench (Sources/collbench/Run/RankRun.swift): float32, heap buffers, out of place, and the median over
// iterations of the maximum over ranks, each iteration after a barrier. C and C++ both include it.
//
// usage: PROGRAM COLLECTIVE [--budget SECONDS] [--deadline SECONDS] [--ranks N --store FOLDER] BYTES[xITERATIONS]...
//        [COLLECTIVE BYTES[xITERATIONS]...]...
// A size is of the collective before it; without iterations their number follows from the size, as collbench's does.
// Rank 0 prints one JSON object a line for each size and algorithm, and flushes it: what ran before a deadline counts.
//
// BYTES is what nccl-tests means. All-reduce, reduce, broadcast: the message. All-gather, gather: what a rank ends up
// with. Reduce-scatter, scatter, all-to-all: what a rank begins with. In the last five a rank's block is BYTES over the
// rank count.
#ifndef TUTTI_PEER_H
#define TUTTI_PEER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { SIZES_MAX = 64, ITERATIONS_MAX = 1000, RANKS_MAX = 512, ROOT = 0 };

enum collective { ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER, BROADCAST, ALL_TO_ALL, REDUCE, GATHER, SCATTER, COLLECTIVE_COUNT };

static const char *const collective_names[COLLECTIVE_COUNT] = {
    "all-reduce", "all-gather", "reduce-scatter", "broadcast", "all-to-all", "reduce", "gather", "scatter"};

// One measurement that was asked for.
struct size {
  enum collective collective;
  size_t bytes;
  int iterations;
};

struct arguments {
  double budget_seconds; // no further batch of iterations of a size starts after this
  int deadline_seconds; // the process ends
  int rank_count; // 0: the launcher knows
  const char *store;
  int size_count;
  struct size sizes[SIZES_MAX];
};

// This rank of the job, and what the library under measurement does for it.
struct peer {
  int rank, rank_count;
  void (*barrier)(void);
  // Replaces each value by its maximum over all ranks, on all ranks.
  void (*maximum)(double *values, int count);
  // One operation of the collective, from `input` to `output`.
  void (*operate)(void);
  float *input, *output; // `count` elements each, whatever the collective uses of them
  size_t count, block; // elements of BYTES, and of one rank's share
};

static struct peer peer;

static inline double now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static void fail(const char *what) {
  fprintf(stderr, "rank %d: %s\n", peer.rank, what);
  exit(1);
}

static double number_argument(const char *name, const char *text, double least, double most) {
  char *end = NULL;
  double value = text ? strtod(text, &end) : 0;
  if (!text || end == text || *end != 0 || value < least || value > most) {
    fprintf(stderr, "%s needs a number from %.0f to %.0f, not '%s'\n", name, least, most, text ? text : "");
    exit(2);
  }
  return value;
}

// Timed operations of a size, as collbench's RunConfiguration has them.
static int iterations_for(size_t bytes) {
  if (bytes < 64UL << 10) return 1000;
  if (bytes < 1UL << 20) return 200;
  if (bytes < 16UL << 20) return 40;
  return bytes < 256UL << 20 ? 10 : 3;
}

// COLLECTIVE_COUNT for a word that names none.
static enum collective collective_named(const char *name) {
  int collective = 0;
  while (collective < COLLECTIVE_COUNT && strcmp(name, collective_names[collective]) != 0) collective++;
  return (enum collective)collective;
}

// BYTES or BYTESxITERATIONS; changes the text.
static struct size read_size(enum collective collective, char *text) {
  char *iterations = strchr(text, 'x');
  if (iterations) *iterations++ = 0;
  struct size size = {collective, (size_t)number_argument("BYTES", text, 4, (double)(1UL << 33)), 0};
  size.iterations =
      iterations ? (int)number_argument("ITERATIONS", iterations, 1, ITERATIONS_MAX) : iterations_for(size.bytes);
  return size;
}

static struct arguments read_arguments(int argc, char **argv) {
  struct arguments arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.budget_seconds = 10;
  arguments.deadline_seconds = 600;
  enum collective collective = argc < 2 ? COLLECTIVE_COUNT : collective_named(argv[1]);
  for (int i = 2; i < argc && collective != COLLECTIVE_COUNT; i++) {
    if (strcmp(argv[i], "--budget") == 0) {
      arguments.budget_seconds = number_argument("--budget", argv[++i], 0, 3600);
    } else if (strcmp(argv[i], "--deadline") == 0) {
      arguments.deadline_seconds = (int)number_argument("--deadline", argv[++i], 1, 86400);
    } else if (strcmp(argv[i], "--ranks") == 0) {
      arguments.rank_count = (int)number_argument("--ranks", argv[++i], 1, RANKS_MAX);
    } else if (strcmp(argv[i], "--store") == 0 && i + 1 < argc) {
      arguments.store = argv[++i];
    } else if (collective_named(argv[i]) != COLLECTIVE_COUNT) {
      collective = collective_named(argv[i]);
    } else if (arguments.size_count < SIZES_MAX) {
      arguments.sizes[arguments.size_count++] = read_size(collective, argv[i]);
    }
  }
  if (arguments.size_count == 0) {
    fprintf(stderr, "usage: %s COLLECTIVE [OPTIONS] BYTES...; see Benchmarks/Peers/peer.h\n", argv[0]);
    exit(2);
  }
  return arguments;
}

/// Call on every rank before anything else. Bounds the process, also when its launcher is killed: a rank that spins for
/// one that is gone would take a core from every later measurement.
static void live_no_longer_than(int deadline_seconds) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm((unsigned)deadline_seconds);
}

/// Page-aligned heap memory, as collbench's buffers. The caller owns it; it lives as long as the process.
static float *heap_floats(size_t count) {
  void *memory = NULL;
  if (posix_memalign(&memory, 4096, count * sizeof(float)) != 0) fail("out of memory. Use smaller sizes.");
  return (float *)memory;
}

// Small integers: their sums are exact in float32 at any rank count that fits, whatever the order.
static inline float value_of(int rank, size_t index) { return (float)((index * 31 + (size_t)rank * 17) % 128); }

static inline float sum_of(size_t index) {
  float sum = 0;
  for (int rank = 0; rank < peer.rank_count; rank++) sum += value_of(rank, index);
  return sum;
}

static void fill_input(void) {
  for (size_t i = 0; i < peer.count; i++) peer.input[i] = value_of(peer.rank, i);
}

static void poison_output(void) {
  for (size_t i = 0; i < peer.count; i++) peer.output[i] = -1;
}

// Elements of this rank's output that are not what the collective promises.
static size_t wrong_elements(enum collective collective) {
  int rooted = collective == REDUCE || collective == GATHER;
  if (rooted && peer.rank != ROOT) return 0;
  // The root of a broadcast may send from its input and leave its output alone, as MPI does.
  if (collective == BROADCAST && peer.rank == ROOT) return 0;
  int one_block = collective == REDUCE_SCATTER || collective == SCATTER;
  size_t count = one_block ? peer.block : peer.count, mine = (size_t)peer.rank * peer.block, wrong = 0;
  for (size_t i = 0; i < count; i++) {
    float expected = -1;
    switch (collective) {
      case ALL_REDUCE:
      case REDUCE: expected = sum_of(i); break;
      case REDUCE_SCATTER: expected = sum_of(mine + i); break;
      case ALL_GATHER:
      case GATHER: expected = value_of((int)(i / peer.block), i % peer.block); break;
      case BROADCAST: expected = value_of(ROOT, i); break;
      case SCATTER: expected = value_of(ROOT, mine + i); break;
      case ALL_TO_ALL: expected = value_of((int)(i / peer.block), mine + i % peer.block); break;
      case COLLECTIVE_COUNT: break;
    }
    wrong += peer.output[i] != expected;
  }
  return wrong;
}

// Buffers for one size, with every page there and the input filled.
static void start_size(const struct size *size) {
  free(peer.input);
  free(peer.output);
  peer.count = size->bytes / sizeof(float);
  peer.block = peer.count / (size_t)peer.rank_count;
  peer.input = heap_floats(peer.count);
  peer.output = heap_floats(peer.count);
  fill_input();
  poison_output();
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_result(enum collective collective, const char *algorithm, double *times, int count, double wrong) {
  qsort(times, (size_t)count, sizeof(double), compare_doubles);
  double sum = 0, median = (times[(count - 1) / 2] + times[count / 2]) / 2;
  for (int i = 0; i < count; i++) sum += times[i];
  printf("{\"collective\": \"%s\", \"bytes\": %zu, \"ranks\": %d, \"algorithm\": \"%s\", \"iterations\": %d, "
         "\"timeMicroseconds\": {\"min\": %.3f, \"median\": %.3f, \"p99\": %.3f, \"mean\": %.3f, \"max\": %.3f}, "
         "\"wrongElements\": %.0f}\n",
         collective_names[collective], peer.count * sizeof(float), peer.rank_count, algorithm, count, times[0],
         median, times[(count * 99 + 99) / 100 - 1], sum / count, times[count - 1], wrong);
  fflush(stdout);
}

/// Times `peer.operate` on the buffers of `start_size` and prints the result. Call on all ranks alike.
static void measure(const struct arguments *arguments, const struct size *size, const char *algorithm) {
  static double times[ITERATIONS_MAX];
  int iterations = size->iterations;
  int batch = iterations / 10 > 0 ? iterations / 10 : 1;
  double start = now_us(), elapsed = 0;
  for (int i = 0; i < batch; i++) peer.operate();
  poison_output();
  peer.operate();
  double wrong = (double)wrong_elements(size->collective);
  poison_output();
  int done = 0;
  while (done < iterations && elapsed <= arguments->budget_seconds * 1e6) {
    for (int end = done + batch < iterations ? done + batch : iterations; done < end; done++) {
      peer.barrier();
      double before = now_us();
      peer.operate();
      times[done] = now_us() - before;
    }
    // All ranks must stop after the same batch.
    elapsed = now_us() - start;
    peer.maximum(&elapsed, 1);
  }
  wrong += (double)wrong_elements(size->collective);
  peer.maximum(&wrong, 1);
  peer.maximum(times, done);
  if (peer.rank == ROOT) print_result(size->collective, algorithm, times, done, wrong);
}

#endif
