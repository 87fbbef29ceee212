// The combines of one element type in vectors of LANE_BYTES of memory (WIDTH in names): one element, 16 bytes, or
// the variant's own width. One definition serves all, so that head, middle and tail of an array cannot disagree.
// Included by CombineType.h, which lists the parameters.

#define LANE_COUNT (LANE_BYTES / sizeof(ELEMENT))
typedef ELEMENT PASTE(TYPE, memory, WIDTH) __attribute__((vector_size(LANE_BYTES), may_alias));
typedef ELEMENT PASTE(TYPE, unaligned, WIDTH) __attribute__((vector_size(LANE_BYTES), aligned(1), may_alias));
typedef ARITHMETIC PASTE(TYPE, vector, WIDTH) __attribute__((vector_size(LANE_COUNT * sizeof(ARITHMETIC))));
typedef BITS PASTE(TYPE, bits, WIDTH) __attribute__((vector_size(LANE_COUNT * sizeof(ARITHMETIC))));

#define MEMORY PASTE(TYPE, memory, WIDTH)
#define UNALIGNED PASTE(TYPE, unaligned, WIDTH)
#define VECTOR PASTE(TYPE, vector, WIDTH)
#define LANES PASTE(TYPE, bits, WIDTH)
#define SELECT PASTE(TYPE, select, WIDTH)
#define APPLY PASTE(TYPE, apply, WIDTH)
#define WIDEN PASTE(TYPE, widen, WIDTH)
#define ROUND PASTE(TYPE, round, WIDTH)

static inline __attribute__((always_inline)) VECTOR SELECT(LANES mask, VECTOR yes, VECTOR no) {
  return (VECTOR)((mask & (LANES)yes) | (~mask & (LANES)no));
}

static inline __attribute__((always_inline)) VECTOR APPLY(int operation, VECTOR a, VECTOR b) {
#if defined(HALF) // min and max are those of KIND ORDERED
  return operation == TUTTI_PRODUCT ? a * b : a + b;
#elif KIND == FLOATING
  if (operation == TUTTI_SUM || operation == TUTTI_AVERAGE) return a + b;
  if (operation == TUTTI_PRODUCT) return a * b;
  // Each operand order picks the other zero of (-0, +0): or-ing them keeps the sign for min, and-ing drops it for
  // max. Where both orders agree this changes nothing, and lanes with a NaN are replaced afterwards.
  LANES extreme = operation == TUTTI_MIN
                      ? ((LANES)SELECT((LANES)(a < b), a, b) | (LANES)SELECT((LANES)(b < a), b, a))
                      : ((LANES)SELECT((LANES)(a > b), a, b) & (LANES)SELECT((LANES)(b > a), b, a));
  LANES unordered = (LANES)(a != a) | (LANES)(b != b);
  return SELECT(unordered, (VECTOR)((LANES){0} + (BITS)CANONICAL_NAN), (VECTOR)extreme);
#elif KIND == ORDERED
  // Two's complement has the order of sign and magnitude, -0 < +0 included, once the magnitude bits of negative
  // numbers are inverted; inverting them again gives the number back.
  VECTOR left = a ^ (a >> 15 & 0x7fff);
  VECTOR right = b ^ (b >> 15 & 0x7fff);
  VECTOR extreme = operation == TUTTI_MIN ? __builtin_elementwise_min(left, right) : __builtin_elementwise_max(left, right);
  LANES unordered = (LANES)((a & 0x7fff) > HALF_INFINITY) | (LANES)((b & 0x7fff) > HALF_INFINITY);
  return SELECT(unordered, (VECTOR){0} + CANONICAL_NAN, extreme ^ (extreme >> 15 & 0x7fff));
#elif KIND == LOGICAL
  switch (operation) {
  case TUTTI_SUM:
  case TUTTI_MAX:
  case TUTTI_BITWISE_OR: return a | b;
  case TUTTI_BITWISE_XOR: return a ^ b;
  default: return a & b;
  }
#else
  switch (operation) {
  case TUTTI_SUM: return a + b;
  case TUTTI_PRODUCT: return a * b;
  case TUTTI_MIN: return __builtin_elementwise_min(a, b);
  case TUTTI_MAX: return __builtin_elementwise_max(a, b);
  case TUTTI_BITWISE_AND: return a & b;
  case TUTTI_BITWISE_OR: return a | b;
  default: return a ^ b;
  }
#endif
}

#ifdef HALF
#include "HalfLanes.h"
#else
#if KIND == LOGICAL
static inline __attribute__((always_inline)) VECTOR WIDEN(MEMORY stored) { return (VECTOR)(stored != 0) & 1; }
#else
static inline __attribute__((always_inline)) VECTOR WIDEN(MEMORY stored) { return stored; }
#endif
static inline __attribute__((always_inline)) MEMORY ROUND(VECTOR value) { return value; }
#endif

/// Combines `vectors` (at most 4) vectors of each source at `offset` bytes. TUTTI_AVERAGE divides their sum by `divisor`,
/// or, where `divided` is not NULL, those sources whose byte there is not 0. All are loaded before any is stored:
/// `destination` may be one of the sources.
static inline __attribute__((always_inline)) void PASTE(TYPE, step, WIDTH)(
    int operation, ARITHMETIC divisor, const unsigned char *divided, char *destination, char *second,
    const char *const *sources, int source_count, size_t offset, int vectors, int streaming) {
  VECTOR result[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    result[v] = WIDEN(*(const UNALIGNED *)(sources[0] + offset + v * LANE_BYTES));
    if (divided && divided[0]) result[v] = result[v] / divisor;
  }
#pragma clang loop unroll(disable)
  for (int source = 1; source < source_count; source++) {
    const char *from = sources[source] + offset;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      VECTOR operand = WIDEN(*(const UNALIGNED *)(from + v * LANE_BYTES));
      if (divided && divided[source]) operand = operand / divisor;
      result[v] = APPLY(operation, result[v], operand);
    }
  }
  MEMORY rounded[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    rounded[v] = ROUND(operation == TUTTI_AVERAGE && !divided ? result[v] / divisor : result[v]);
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    if (streaming) {
      __builtin_nontemporal_store(rounded[v], (MEMORY *)(destination + offset + v * LANE_BYTES));
    } else {
      *(UNALIGNED *)(destination + offset + v * LANE_BYTES) = rounded[v];
    }
  }
  if (second) {
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (streaming == TUTTI_STREAM_BOTH) {
        __builtin_nontemporal_store(rounded[v], (MEMORY *)(second + offset + v * LANE_BYTES));
      } else {
        *(UNALIGNED *)(second + offset + v * LANE_BYTES) = rounded[v];
      }
    }
  }
}

#undef ROUND
#undef WIDEN
#undef APPLY
#undef SELECT
#undef LANES
#undef VECTOR
#undef UNALIGNED
#undef MEMORY
#undef LANE_COUNT
#undef WIDTH
#undef LANE_BYTES
