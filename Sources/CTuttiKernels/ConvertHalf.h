// Arrays of float32 to 16-bit floating point and back, for one variant: TYPE_narrow_VARIANT, TYPE_widen_VARIANT. Included by
// CombineType.h at the end of a type with HALF, whose vectors it uses.

#define MEMORY PASTE(TYPE, memory, wide)
#define UNALIGNED PASTE(TYPE, unaligned, wide)
#define VECTOR PASTE(TYPE, vector, wide)
#define LANES PASTE(TYPE, bits, wide)
typedef float PASTE(TYPE, floats, wide) __attribute__((vector_size(sizeof(VECTOR)), aligned(1), may_alias));
#define FLOATS PASTE(TYPE, floats, wide)
#define NARROWED PASTE(TYPE, narrowed, wide)
#define WIDENED PASTE(TYPE, widened, wide)

#if HALF == BFLOAT16
// Not those of the combines, which take numbers in pairs, and know no NaN with a low half.
static inline __attribute__((always_inline)) MEMORY NARROWED(VECTOR value) {
  LANES bits = (LANES)value;
  LANES nearest = bits + 0x7fff + (bits >> 16 & 1);
  LANES unordered = (LANES)(value != value);
  nearest = (~unordered & nearest) | (unordered & (bits | 0x400000));
  return __builtin_convertvector(nearest >> 16, MEMORY);
}

static inline __attribute__((always_inline)) VECTOR WIDENED(MEMORY stored) {
  return (VECTOR)(__builtin_convertvector(stored, LANES) << 16);
}
#else
static inline __attribute__((always_inline)) MEMORY NARROWED(VECTOR value) { return PASTE(TYPE, round, wide)(value); }
static inline __attribute__((always_inline)) VECTOR WIDENED(MEMORY stored) { return PASTE(TYPE, widen, wide)(stored); }
#endif

static void PASTE(TYPE, narrow, VARIANT)(void *destination, const float *source, size_t count, float scale) {
  enum { LANE_COUNT = sizeof(VECTOR) / sizeof(float) };
  ELEMENT *to = destination;
  size_t index = 0;
  for (; index + LANE_COUNT <= count; index += LANE_COUNT) {
    *(UNALIGNED *)(to + index) = NARROWED(*(const FLOATS *)(source + index) * scale);
  }
  if (index == count) return;
  // The last ones by the same instructions, in a vector of their own.
  VECTOR value = {0};
  MEMORY stored;
  memcpy(&value, source + index, (count - index) * sizeof(float));
  stored = NARROWED(value * scale);
  memcpy(to + index, &stored, (count - index) * sizeof(ELEMENT));
}

static void PASTE(TYPE, widen, VARIANT)(float *destination, const void *source, size_t count) {
  enum { LANE_COUNT = sizeof(VECTOR) / sizeof(float) };
  const ELEMENT *from = source;
  size_t index = 0;
  for (; index + LANE_COUNT <= count; index += LANE_COUNT) {
    *(FLOATS *)(destination + index) = WIDENED(*(const UNALIGNED *)(from + index));
  }
  if (index == count) return;
  MEMORY stored = {0};
  memcpy(&stored, from + index, (count - index) * sizeof(ELEMENT));
  VECTOR value = WIDENED(stored);
  memcpy(destination + index, &value, (count - index) * sizeof(float));
}

#undef WIDENED
#undef NARROWED
#undef FLOATS
#undef LANES
#undef VECTOR
#undef UNALIGNED
#undef MEMORY
