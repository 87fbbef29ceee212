// How vectors of 16-bit floating point (HALF is FLOAT16 or BFLOAT16) become float32, exactly, and float32 becomes
// 16 bits again, to nearest even. Included by CombineLanes.h. A NaN stays one.

#if HALF == BFLOAT16

// Numbers in memory are taken in pairs of 32 bits, and the even ones computed apart from the odd ones: what order they
// are in between makes no difference, and no bits have to cross lanes.
typedef BITS PASTE(TYPE, pairs, WIDTH) __attribute__((vector_size(LANE_COUNT > 1 ? LANE_BYTES : sizeof(BITS))));
#define PAIRS PASTE(TYPE, pairs, WIDTH)

static inline __attribute__((always_inline)) VECTOR WIDEN(MEMORY stored) {
  if (LANE_COUNT == 1) return (VECTOR)(__builtin_convertvector(stored, LANES) << 16);
  PAIRS pairs;
  memcpy(&pairs, &stored, sizeof stored);
  PAIRS apart[2] = {pairs << 16, pairs & 0xffff0000};
  VECTOR value;
  memcpy(&value, apart, sizeof value);
  return value;
}

static inline __attribute__((always_inline)) MEMORY ROUND(VECTOR value) {
  // Adding just under a half, and one more where the result would be odd, carries into what is kept; overflow carries
  // into infinity. A NaN does not carry: its low half is zero, be it a source's or made by the CPU.
  LANES nearest = (LANES)value + 0x7fff + ((LANES)value >> 16 & 1);
  if (LANE_COUNT == 1) return __builtin_convertvector(nearest >> 16, MEMORY);
  PAIRS apart[2];
  memcpy(apart, &nearest, sizeof nearest);
  PAIRS pairs = apart[0] >> 16 | (apart[1] & 0xffff0000);
  MEMORY stored;
  memcpy(&stored, &pairs, sizeof stored);
  return stored;
}

#undef PAIRS

#elif FLOAT16_IN_HARDWARE

typedef _Float16 PASTE(TYPE, native, WIDTH) __attribute__((vector_size(LANE_BYTES)));

static inline __attribute__((always_inline)) VECTOR WIDEN(MEMORY stored) {
  return __builtin_convertvector((PASTE(TYPE, native, WIDTH))stored, VECTOR);
}

static inline __attribute__((always_inline)) MEMORY ROUND(VECTOR value) {
  return (MEMORY)__builtin_convertvector(value, PASTE(TYPE, native, WIDTH));
}

#else

static inline __attribute__((always_inline)) VECTOR WIDEN(MEMORY stored) {
  LANES half = __builtin_convertvector(stored, LANES);
  LANES magnitude = half & 0x7fff;
  // With the fields in place the exponent is too small by 127 - 15. The multiplication corrects it, and normalises
  // denormals. Infinities and NaNs only need the full exponent.
  LANES scaled = (LANES)((VECTOR)(magnitude << 13) * 0x1p112f);
  LANES special = (LANES)(magnitude >= 0x7c00) & 0x7f800000;
  return (VECTOR)(scaled | special | (half & 0x8000) << 16);
}

static inline __attribute__((always_inline)) MEMORY ROUND(VECTOR value) {
  LANES bits = (LANES)value;
  LANES magnitude = bits & 0x7fffffff;
  // As for bfloat16, with the exponent rebased. From 0x1p16 on everything overflows; what rounds up to it does so
  // by the carry.
  LANES normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Added to 0.5, a value below 0x1p-14 is rounded by the addition to a multiple of 0x1p-24, float16's smallest.
  LANES denormal = (LANES)((VECTOR)magnitude + 0.5f) - 0x3f000000;
  LANES infinite = (LANES){0} + 0x7c00;
  LANES nan = (LANES){0} + 0x7e00;
  // As floats: compared as unsigned integers, baseline x86-64 takes several instructions.
  VECTOR absolute = (VECTOR)magnitude;
  LANES half = (LANES)SELECT((LANES)(absolute < 0x1p-14f), (VECTOR)denormal, (VECTOR)normal);
  half = (LANES)SELECT((LANES)(absolute >= 0x1p16f), (VECTOR)infinite, (VECTOR)half);
  half = (LANES)SELECT((LANES)(value != value), (VECTOR)nan, (VECTOR)half);
  return __builtin_convertvector(half | (bits >> 16 & 0x8000), MEMORY);
}

#endif
