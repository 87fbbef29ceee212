// The floor of an all-reduce of ordinary heap buffers over shared memory, two processes, float32 sum, out of place.
// Data passes through windows of a few segments that stay in cache. One program cannot know the best way for every
// machine and size, so this one tries a grid (algorithm, streaming stores, segment, depth) and reports the best.
//
// one-shot: each rank shows all of its input and sums everything. Half the hand-overs, twice the additions.
// two-shot: each rank sums one half and shows the result to the other: reduce-scatter, then all-gather.
#include "floor.h"

enum { DEPTH_MAX = 4 };
static const size_t SEGMENT_MIN = 4096, SEGMENT_MAX = 262144, BYTES_MAX = 1ull << 30;

// Per rank: how many segments it has shown in its input and result windows, and how many it has consumed of each
// of the other's.
enum { SHOWN_INPUT, SHOWN_RESULT, USED_INPUT, USED_RESULT, FLAG_COUNT };

static struct flag *flags;
static char *windows;
static size_t segment_bytes;
static uint64_t depth, segments_done;

static inline void set_flag(int flag, uint64_t value) {
  atomic_store_explicit(&flags[pair.rank * FLAG_COUNT + flag].value, value, memory_order_release);
}

static inline void await_other(int flag, uint64_t value) {
  await(&flags[(1 - pair.rank) * FLAG_COUNT + flag].value, value);
}

/// Before segment `number` goes into a window, the other must have used the one `depth` earlier.
static inline void await_room(int flag, uint64_t number) {
  if (number >= depth) await_other(flag, number - depth + 1);
}

static inline float *window(int rank, int is_result, uint64_t number) {
  return (float *)(windows + (((uint64_t)rank * 2 + (uint64_t)is_result) * depth + number % depth) * segment_bytes);
}

// 64 bytes at any address, and at a multiple of 64.
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef float aligned_lanes __attribute__((vector_size(64), may_alias));
enum { LANES = 16 };

#if defined(__AVX512F__)
#include <immintrin.h>
static inline void store(float *to, const lanes *value, int streaming) {
  if (streaming) {
    _mm512_stream_ps(to, (__m512)*value);
  } else {
    *(lanes *)to = *value;
  }
}
static inline void fence(void) { _mm_sfence(); }
#elif defined(__AVX2__)
#include <immintrin.h>
static inline void store(float *to, const lanes *value, int streaming) {
  if (streaming) {
    __m256 halves[2];
    memcpy(halves, value, sizeof halves);
    _mm256_stream_ps(to, halves[0]);
    _mm256_stream_ps(to + LANES / 2, halves[1]);
  } else {
    *(lanes *)to = *value;
  }
}
static inline void fence(void) { _mm_sfence(); }
#else
// No streaming stores: both settings of the grid are then the same, and the floor is what is left.
static inline void store(float *to, const lanes *value, int streaming) {
  (void)streaming;
  *(lanes *)to = *value;
}
static inline void fence(void) {}
#endif

/// to = a + b, and into `second` too unless it is NULL. All start at a multiple of 64 bytes when streaming.
static inline __attribute__((always_inline)) void add_as(
    float *to, float *second, const float *a, const float *b, size_t count, int streaming) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    lanes sum = *(const lanes *)(a + i) + *(const lanes *)(b + i);
    store(to + i, &sum, streaming);
    if (second) *(lanes *)(second + i) = sum;
  }
  for (; i < count; i++) {
    to[i] = a[i] + b[i];
    if (second) second[i] = to[i];
  }
}

static void add(float *to, float *second, const float *a, const float *b, size_t count, int streaming) {
  if (streaming) {
    second ? add_as(to, second, a, b, count, 1) : add_as(to, NULL, a, b, count, 1);
  } else {
    second ? add_as(to, second, a, b, count, 0) : add_as(to, NULL, a, b, count, 0);
  }
}

static void copy(float *to, const float *from, size_t count, int streaming) {
  size_t i = 0;
  if (streaming) {
    for (; i + LANES <= count; i += LANES) store(to + i, (const lanes *)(from + i), 1);
  }
  memcpy(to + i, from + i, (count - i) * sizeof(float));
}

static inline size_t minimum(size_t a, size_t b) { return a < b ? a : b; }

static void one_shot(float *result, const float *input, size_t count, int streaming) {
  size_t segment = segment_bytes / sizeof(float), segments = (count + segment - 1) / segment;
  for (size_t shown = 0, used = 0; used < segments; used++) {
    // Fill the window at the start, then show one segment for each one used.
    do {
      if (shown == segments) break;
      await_room(USED_INPUT, segments_done + shown);
      size_t at = shown * segment;
      memcpy(window(pair.rank, 0, segments_done + shown), input + at, minimum(segment, count - at) * sizeof(float));
      shown++;
      set_flag(SHOWN_INPUT, segments_done + shown);
    } while (used == 0 && shown < depth);
    await_other(SHOWN_INPUT, segments_done + used + 1);
    size_t at = used * segment;
    add(result + at, NULL, input + at, window(1 - pair.rank, 0, segments_done + used), minimum(segment, count - at),
        streaming);
    set_flag(USED_INPUT, segments_done + used + 1);
  }
  segments_done += segments;
  if (streaming) fence();
}

static void two_shot(float *result, const float *input, size_t count, int streaming) {
  size_t half = count / 2;
  const float *my_input = input + (size_t)pair.rank * half, *other_input = input + (size_t)(1 - pair.rank) * half;
  float *my_result = result + (size_t)pair.rank * half, *other_result = result + (size_t)(1 - pair.rank) * half;
  size_t segment = segment_bytes / sizeof(float), segments = (half + segment - 1) / segment;
  uint64_t base = segments_done;
  // A pipeline of three stages, each one segment behind the one before: show input, combine and show, collect.
  for (size_t s = 0; s < segments + 2; s++) {
    if (s < segments) {
      size_t at = s * segment;
      await_room(USED_INPUT, base + s);
      memcpy(window(pair.rank, 0, base + s), other_input + at, minimum(segment, half - at) * sizeof(float));
      set_flag(SHOWN_INPUT, base + s + 1);
    }
    if (s >= 1 && s - 1 < segments) {
      size_t k = s - 1, at = k * segment;
      await_other(SHOWN_INPUT, base + k + 1);
      await_room(USED_RESULT, base + k);
      add(my_result + at, window(pair.rank, 1, base + k), my_input + at, window(1 - pair.rank, 0, base + k),
          minimum(segment, half - at), streaming);
      set_flag(USED_INPUT, base + k + 1);
      set_flag(SHOWN_RESULT, base + k + 1);
    }
    if (s >= 2) {
      size_t k = s - 2, at = k * segment;
      await_other(SHOWN_RESULT, base + k + 1);
      copy(other_result + at, window(1 - pair.rank, 1, base + k), minimum(segment, half - at), streaming);
      set_flag(USED_RESULT, base + k + 1);
    }
  }
  segments_done += segments;
  if (streaming) fence();
}

/// One setting of the grid. Checks the last result, so that a wrong floor is never reported.
static double measure(int is_two_shot, int streaming, float *result, const float *input, size_t count, int iterations) {
  barrier();
  segments_done = 0;
  for (int flag = 0; flag < FLAG_COUNT; flag++) set_flag(flag, 0);
  for (int i = -1; i < iterations; i++) { // the first warms up
    barrier();
    double start = now_us();
    if (is_two_shot) {
      two_shot(result, input, count, streaming);
    } else {
      one_shot(result, input, count, streaming);
    }
    double us = now_us() - start;
    if (i >= 0) record(i, us);
    barrier();
  }
  for (size_t i = 0; i < count; i += 1 + count / 1009) {
    if (result[i] != 2 * input[i]) {
      fprintf(stderr, "heap: element %zu is %g, not %g\n", i, result[i], 2 * input[i]);
      exit(1);
    }
  }
  double median = median_of_maxima(iterations);
  barrier();
  return median;
}

static int iterations_for(size_t bytes) {
  if (bytes <= 32768) return 1000;
  if (bytes <= 2 << 20) return 100;
  return bytes <= 16 << 20 ? 15 : 5;
}

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv, BYTES_MAX);
  flags = shared_memory(2 * FLAG_COUNT * sizeof(struct flag));
  windows = shared_memory(2 * 2 * DEPTH_MAX * SEGMENT_MAX);
  start_pair();
  for (int s = 0; s < arguments.size_count; s++) {
    size_t bytes = arguments.sizes[s], count = bytes / sizeof(float);
    int iterations = arguments.iterations ? arguments.iterations : iterations_for(bytes);
    float *input = aligned_alloc(1 << 21, (bytes + (1 << 21) - 1) >> 21 << 21);
    float *result = aligned_alloc(1 << 21, (bytes + (1 << 21) - 1) >> 21 << 21);
    if (!input || !result) fail("aligned_alloc");
    for (size_t i = 0; i < count; i++) input[i] = (float)(i % 1024);
    memset(result, 0, bytes);
    double best = 1e300;
    for (int is_two_shot = 0; is_two_shot < 2; is_two_shot++) {
      for (int streaming = 0; streaming < 2; streaming++) {
        // A streamed half starts at a multiple of 64 bytes, and what fits the cache is not worth streaming.
        if (streaming && (bytes < 2 << 20 || bytes % 128 != 0)) continue;
        for (segment_bytes = SEGMENT_MIN; segment_bytes <= SEGMENT_MAX; segment_bytes *= 2) {
          if (segment_bytes > SEGMENT_MIN && segment_bytes > 2 * bytes) continue;
          if (bytes >= 16 << 20 && segment_bytes < 32768) continue; // never best there, and it would take seconds
          for (depth = 2; depth <= DEPTH_MAX; depth += 2) {
            double median = measure(is_two_shot, streaming, result, input, count, iterations);
            best = median < best ? median : best;
          }
        }
      }
    }
    report("heap", bytes, best);
    free(input);
    free(result);
  }
  end_pair();
}
