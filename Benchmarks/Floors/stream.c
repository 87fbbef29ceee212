// The bandwidth that bounds an all-reduce of large messages: c = a + b with streaming stores, both processes at once, each
// on three arrays of its own from the heap. An all-reduce of S bytes among p ranks reads p inputs and writes p outputs,
// 2pS bytes through memory, whatever it does; so it takes at least 2pS over this bandwidth.
//
// BYTES is the size of one array, and the time that of one addition: both processes together move 6 x BYTES in it.
#include "floor.h"

static const size_t BYTES_MAX = 1ull << 30;
enum { LANE_BYTES = 64, ITERATIONS = 15 };

#if defined(__AVX512F__)
#include <immintrin.h>
static inline void add_lane(float *c, const float *a, const float *b) {
  _mm512_stream_ps(c, _mm512_add_ps(_mm512_load_ps(a), _mm512_load_ps(b)));
}
static inline void fence(void) { _mm_sfence(); }
#elif defined(__AVX2__)
#include <immintrin.h>
static inline void add_lane(float *c, const float *a, const float *b) {
  for (int half = 0; half < 16; half += 8) {
    _mm256_stream_ps(c + half, _mm256_add_ps(_mm256_load_ps(a + half), _mm256_load_ps(b + half)));
  }
}
static inline void fence(void) { _mm_sfence(); }
#else
// Ordinary stores also read what they overwrite: the bound is then lower than the machine's, and easier to reach.
static inline void add_lane(float *c, const float *a, const float *b) {
  for (int i = 0; i < 16; i++) c[i] = a[i] + b[i];
}
static inline void fence(void) {}
#endif

/// Every page there, and `value` in every element.
static float *filled_array(size_t bytes, float value) {
  float *array = aligned_alloc(1 << 21, (bytes + (1 << 21) - 1) >> 21 << 21);
  if (!array) fail("aligned_alloc");
  for (size_t i = 0; i < bytes / sizeof(float); i++) array[i] = value;
  return array;
}

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv, BYTES_MAX);
  int iterations = arguments.iterations ? arguments.iterations : ITERATIONS;
  start_pair();
  for (int s = 0; s < arguments.size_count; s++) {
    size_t bytes = arguments.sizes[s] / LANE_BYTES * LANE_BYTES, count = bytes / sizeof(float);
    if (bytes != arguments.sizes[s]) {
      if (pair.rank == 0) fprintf(stderr, "stream: %zu bytes are not a multiple of %d\n", arguments.sizes[s], LANE_BYTES);
      exit(2);
    }
    float *a = filled_array(bytes, 1), *b = filled_array(bytes, 2), *c = filled_array(bytes, 0);
    for (int i = -1; i < iterations; i++) { // the first warms up
      barrier();
      double start = now_us();
      for (size_t at = 0; at < count; at += LANE_BYTES / sizeof(float)) add_lane(c + at, a + at, b + at);
      fence();
      double us = now_us() - start;
      if (i >= 0) record(i, us);
    }
    for (size_t i = 0; i < count; i += 1 + count / 1009) {
      if (c[i] != 3) {
        fprintf(stderr, "stream: element %zu is %g, not 3\n", i, c[i]);
        exit(1);
      }
    }
    barrier();
    report("stream", bytes, median_of_maxima(iterations));
    barrier();
    free(a);
    free(b);
    free(c);
  }
  end_pair();
}
