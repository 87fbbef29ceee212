// The combines of one element type in vectors of LANE_BYTES (WIDTH in names): one element, 16 bytes, or the
// variant's own width. One definition serves all, so that head, middle and tail of an array cannot disagree.
// Included by CombineType.h; parameters TYPE, ELEMENT, BITS, FLOATING, CANONICAL_NAN.

typedef ELEMENT PASTE(TYPE, vector, WIDTH) __attribute__((vector_size(LANE_BYTES), may_alias));
typedef ELEMENT PASTE(TYPE, unaligned, WIDTH) __attribute__((vector_size(LANE_BYTES), aligned(1), may_alias));
typedef BITS PASTE(TYPE, bits, WIDTH) __attribute__((vector_size(LANE_BYTES)));

#define VECTOR PASTE(TYPE, vector, WIDTH)
#define UNALIGNED PASTE(TYPE, unaligned, WIDTH)
#define LANES PASTE(TYPE, bits, WIDTH)

static inline __attribute__((always_inline)) VECTOR PASTE(TYPE, select, WIDTH)(LANES mask, VECTOR yes, VECTOR no) {
  return (VECTOR)((mask & (LANES)yes) | (~mask & (LANES)no));
}
#define SELECT PASTE(TYPE, select, WIDTH)

static inline __attribute__((always_inline)) VECTOR PASTE(TYPE, apply, WIDTH)(int operation, VECTOR a, VECTOR b) {
#if FLOATING
  if (operation == TUTTI_SUM) return a + b;
  // Each operand order picks the other zero of (-0, +0): or-ing them keeps the sign for min, and-ing drops it for
  // max. Where both orders agree this changes nothing, and lanes with a NaN are replaced afterwards.
  LANES extreme = operation == TUTTI_MIN
                      ? ((LANES)SELECT((LANES)(a < b), a, b) | (LANES)SELECT((LANES)(b < a), b, a))
                      : ((LANES)SELECT((LANES)(a > b), a, b) & (LANES)SELECT((LANES)(b > a), b, a));
  LANES unordered = (LANES)(a != a) | (LANES)(b != b);
  return SELECT(unordered, (VECTOR)((LANES){0} + (BITS)CANONICAL_NAN), (VECTOR)extreme);
#else
  if (operation == TUTTI_SUM) return (VECTOR)((LANES)a + (LANES)b); // unsigned: signed overflow is undefined in C
  return operation == TUTTI_MIN ? SELECT((LANES)(a < b), a, b) : SELECT((LANES)(a > b), a, b);
#endif
}

/// Combines `vectors` (at most 4) vectors of at least two sources at `offset` bytes. All are loaded before any is
/// stored: `destination` may be one of the sources.
static inline __attribute__((always_inline)) void PASTE(TYPE, step, WIDTH)(
    int operation, char *destination, char *second, const char *const *sources, int source_count, size_t offset,
    int vectors, int streaming) {
  VECTOR result[4];
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    result[v] = PASTE(TYPE, apply, WIDTH)(operation, *(const UNALIGNED *)(sources[0] + offset + v * LANE_BYTES),
                                          *(const UNALIGNED *)(sources[1] + offset + v * LANE_BYTES));
  }
#pragma clang loop unroll(disable)
  for (int source = 2; source < source_count; source++) {
    const char *from = sources[source] + offset;
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      result[v] = PASTE(TYPE, apply, WIDTH)(operation, result[v], *(const UNALIGNED *)(from + v * LANE_BYTES));
    }
  }
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    if (streaming) {
      __builtin_nontemporal_store(result[v], (VECTOR *)(destination + offset + v * LANE_BYTES));
    } else {
      *(UNALIGNED *)(destination + offset + v * LANE_BYTES) = result[v];
    }
  }
  if (second) {
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) *(UNALIGNED *)(second + offset + v * LANE_BYTES) = result[v];
  }
}

#undef SELECT
#undef LANES
#undef UNALIGNED
#undef VECTOR
#undef WIDTH
#undef LANE_BYTES
