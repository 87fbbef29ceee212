// The combines of one element type for one variant: TYPE_sum_VARIANT and so on. Included by Variant.h, once a type.
// Parameters, undefined again at the end: TYPE (in names), ELEMENT (the C type in memory), ARITHMETIC (the C type it is
// computed in), BITS (the unsigned integer of that size), KIND, and where KIND needs it CANONICAL_NAN (of ARITHMETIC),
// HALF (which 16-bit floating point ELEMENT holds, if any), HALF_INFINITY (its bits, for ORDERED).

#define WIDTH element
#define LANE_BYTES sizeof(ELEMENT)
#include "CombineLanes.h"

#if VECTOR_BYTES > 16
#define WIDTH narrow
#define LANE_BYTES 16
#include "CombineLanes.h"
#endif

#define WIDTH wide
#define LANE_BYTES VECTOR_BYTES
#include "CombineLanes.h"

#define STEP(width) PASTE(TYPE, step, width)

/// Combines the bytes in begin..<end with stores of any alignment, in ever smaller vectors.
static inline __attribute__((always_inline)) void PASTE(TYPE, rest, VARIANT)(
    int operation, ARITHMETIC divisor, const unsigned char *divided, char *destination, char *second,
    const char *const *sources, int source_count, size_t begin, size_t end) {
  size_t offset = begin;
#if VECTOR_BYTES > 16
  for (; offset + 16 <= end; offset += 16) {
    STEP(narrow)(operation, divisor, divided, destination, second, sources, source_count, offset, 1, TUTTI_STREAM_NOTHING);
  }
#endif
#pragma clang loop vectorize(disable) unroll(disable) // never long enough to pay
  for (; offset < end; offset += sizeof(ELEMENT)) {
    STEP(element)(operation, divisor, divided, destination, second, sources, source_count, offset, 1, TUTTI_STREAM_NOTHING);
  }
}
#define REST PASTE(TYPE, rest, VARIANT)

/// Combines the bytes in begin..<bytes. Inlined, so that what a caller passes as a constant is one in the loop.
static inline __attribute__((always_inline)) void PASTE(TYPE, loop, VARIANT)(
    int operation, ARITHMETIC divisor, const unsigned char *divided, char *destination, char *second,
    const char *const *sources, int source_count, size_t begin, size_t bytes, int streaming) {
  enum { BLOCK = 4 * VECTOR_BYTES };
  size_t offset = begin;
  for (; offset + BLOCK <= bytes; offset += BLOCK) {
    STEP(wide)(operation, divisor, divided, destination, second, sources, source_count, offset, 4, streaming);
  }
  for (; offset + VECTOR_BYTES <= bytes; offset += VECTOR_BYTES) {
    STEP(wide)(operation, divisor, divided, destination, second, sources, source_count, offset, 1, streaming);
  }
  REST(operation, divisor, divided, destination, second, sources, source_count, offset, bytes);
}
#define LOOP PASTE(TYPE, loop, VARIANT)

/// Two sources of at most TINY_COUNT elements: what a latency-bound all-reduce calls.
#define TINY_COUNT 4
static inline __attribute__((always_inline)) void PASTE(TYPE, tiny, VARIANT)(
    int operation, ARITHMETIC divisor, const unsigned char *divided, char *destination, char *second, const char *a,
    const char *b, size_t count) {
  const char *const two[2] = {a, b};
#pragma clang loop vectorize(disable) unroll(disable)
  for (size_t offset = 0; offset < count * sizeof(ELEMENT); offset += sizeof(ELEMENT)) {
    STEP(element)(operation, divisor, divided, destination, second, two, 2, offset, 1, TUTTI_STREAM_NOTHING);
  }
}
#define TINY PASTE(TYPE, tiny, VARIANT)

/// Aligns the destination, then runs a loop made for the source count and the stores.
static inline __attribute__((always_inline)) void PASTE(TYPE, array, VARIANT)(
    int operation, ARITHMETIC divisor, const unsigned char *divided, char *destination, char *second,
    const char *const *sources, int source_count, size_t bytes, int streaming) {
  // Below this, stores that cross a cache line cost less than reaching an aligned address element by element.
  enum { ALIGNED_FROM = 1024 };
  size_t begin = 0;
  int alignable = (uintptr_t)destination % sizeof(ELEMENT) == 0;
  if (alignable && (streaming || bytes >= ALIGNED_FROM)) {
    begin = (size_t)(-(uintptr_t)destination % VECTOR_BYTES);
    begin = begin < bytes ? begin : bytes;
    REST(operation, divisor, divided, destination, second, sources, source_count, 0, begin);
  }
  // In registers: for all C knows, the stores change the array. (An average may have one source only.)
  const char *two[2] = {sources[0], sources[source_count > 1]};
  if (streaming && alignable) {
    // Bound by memory, so one loop serves all source counts.
    uintptr_t apart = (uintptr_t)second - (uintptr_t)destination;
    if (streaming == TUTTI_STREAM_BOTH && second && apart % VECTOR_BYTES == 0) {
      LOOP(operation, divisor, divided, destination, second, sources, source_count, begin, bytes, TUTTI_STREAM_BOTH);
    } else if (source_count != 2) {
      LOOP(operation, divisor, divided, destination, second, sources, source_count, begin, bytes, TUTTI_STREAM_DESTINATION);
    } else if (second) {
      LOOP(operation, divisor, divided, destination, second, two, 2, begin, bytes, TUTTI_STREAM_DESTINATION);
    } else {
      LOOP(operation, divisor, divided, destination, NULL, two, 2, begin, bytes, TUTTI_STREAM_DESTINATION);
    }
    fence_streaming_stores();
  } else if (source_count != 2) {
    LOOP(operation, divisor, divided, destination, second, sources, source_count, begin, bytes, TUTTI_STREAM_NOTHING);
  } else if (second) {
    LOOP(operation, divisor, divided, destination, second, two, 2, begin, bytes, TUTTI_STREAM_NOTHING);
  } else {
    LOOP(operation, divisor, divided, destination, NULL, two, 2, begin, bytes, TUTTI_STREAM_NOTHING);
  }
}
#define ARRAY PASTE(TYPE, array, VARIANT)

// The entry is apart from the array loops, and calls them last, so that a tiny call saves no registers.
#define DEFINE_COMBINE_(name, apart, operation)                                                                    \
  static __attribute__((noinline)) void apart(void *destination, void *second, const void *const *sources,         \
                                              int source_count, size_t count, int streaming) {                     \
    ARRAY(operation, 0, NULL, destination, second, (const char *const *)sources, source_count, count * sizeof(ELEMENT),  \
          streaming);                                                                                              \
  }                                                                                                                \
  static void name(void *destination, void *second, const void *const *sources, int source_count, size_t count,    \
                   int streaming) {                                                                                \
    if (KIND == FLOATING && __builtin_expect(tutti_float_control() & TUTTI_FLOAT_CONTROL_CHANGES, 0)) {            \
      tutti_combine_in_default_environment(name, destination, second, sources, source_count, count, streaming);    \
    } else if (__builtin_expect(source_count < 2, 0)) {                                                            \
      tutti_combine_one(destination, second, sources, source_count, count * sizeof(ELEMENT), streaming);           \
    } else if (source_count == 2 && count <= TINY_COUNT) {                                                         \
      TINY(operation, 0, NULL, destination, second, sources[0], sources[1], count);                                      \
    } else {                                                                                                       \
      apart(destination, second, sources, source_count, count, streaming);                                         \
    }                                                                                                              \
  }
#define DEFINE_COMBINE(name, operation)                                                                            \
  DEFINE_COMBINE_(PASTE(TYPE, name, VARIANT), PASTE(TYPE, name##_array, VARIANT), operation)

#ifndef HALF // those of 16-bit floating point are of KIND ORDERED
DEFINE_COMBINE(min, TUTTI_MIN)
DEFINE_COMBINE(max, TUTTI_MAX)
#endif
#if KIND == UNSIGNED || KIND == FLOATING || KIND == LOGICAL // signed sums have the same bits as unsigned, and would overflow
DEFINE_COMBINE(sum, TUTTI_SUM)
DEFINE_COMBINE(product, TUTTI_PRODUCT)
#endif
#if KIND == UNSIGNED || KIND == LOGICAL
DEFINE_COMBINE(bitwise_and, TUTTI_BITWISE_AND)
DEFINE_COMBINE(bitwise_or, TUTTI_BITWISE_OR)
DEFINE_COMBINE(bitwise_xor, TUTTI_BITWISE_XOR)
#endif

#if KIND == FLOATING
static __attribute__((noinline)) void PASTE(TYPE, average_array, VARIANT)(
    void *destination, void *second, const void *const *sources, int source_count, size_t count, int streaming,
    double divisor) {
  ARRAY(TUTTI_AVERAGE, (ARITHMETIC)divisor, NULL, destination, second, (const char *const *)sources, source_count,
        count * sizeof(ELEMENT), streaming);
}

#ifdef HALF
static __attribute__((noinline)) void PASTE(TYPE, average_parts, VARIANT)(
    void *destination, void *second, const void *const *sources, int source_count, size_t count, int streaming,
    double divisor, const unsigned char *divided) {
  // For two sources a copy, which no store can change: the loops then test it outside.
  const unsigned char two[2] = {divided[0], divided[source_count > 1]};
  ARRAY(TUTTI_AVERAGE, (ARITHMETIC)divisor, source_count == 2 ? two : divided, destination, second,
        (const char *const *)sources, source_count, count * sizeof(ELEMENT), streaming);
}
#endif

static void PASTE(TYPE, average, VARIANT)(
    void *destination, void *second, const void *const *sources, int source_count, size_t count, int streaming,
    double divisor, const unsigned char *divided) {
  if (source_count < 1) __builtin_trap();
  if (__builtin_expect(tutti_float_control() & TUTTI_FLOAT_CONTROL_CHANGES, 0)) {
    tutti_average_in_default_environment(
        PASTE(TYPE, average, VARIANT), destination, second, sources, source_count, count, streaming, divisor, divided);
  } else if (divided) {
#ifdef HALF
    PASTE(TYPE, average_parts, VARIANT)(destination, second, sources, source_count, count, streaming, divisor, divided);
#else
    __builtin_trap();
#endif
  } else if (source_count == 2 && count <= TINY_COUNT) {
    TINY(TUTTI_AVERAGE, (ARITHMETIC)divisor, NULL, destination, second, sources[0], sources[1], count);
  } else {
    PASTE(TYPE, average_array, VARIANT)(destination, second, sources, source_count, count, streaming, divisor);
  }
}
#endif

#ifdef HALF
#include "ConvertHalf.h"
#endif

#undef DEFINE_COMBINE
#undef DEFINE_COMBINE_
#undef ARRAY
#undef TINY
#undef TINY_COUNT
#undef LOOP
#undef REST
#undef STEP
#undef TYPE
#undef ELEMENT
#undef ARITHMETIC
#undef BITS
#undef KIND
#undef CANONICAL_NAN
#undef HALF
#undef HALF_INFINITY
