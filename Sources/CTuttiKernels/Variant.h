// One variant: every combine and the streaming copy in vectors of VECTOR_BYTES, named after VARIANT. No include
// guard: each variant's file includes this once, under its target attribute.

#define TYPE int32
#define ELEMENT int32_t
#define BITS uint32_t
#define FLOATING 0
#include "CombineType.h"

#define TYPE int64
#define ELEMENT int64_t
#define BITS uint64_t
#define FLOATING 0
#include "CombineType.h"

#define TYPE float32
#define ELEMENT float
#define BITS uint32_t
#define FLOATING 1
#define CANONICAL_NAN 0x7fc00000u
#include "CombineType.h"

#define TYPE float64
#define ELEMENT double
#define BITS uint64_t
#define FLOATING 1
#define CANONICAL_NAN 0x7ff8000000000000u
#include "CombineType.h"

typedef uint8_t copy_vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef uint8_t copy_vector_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));

static void PASTE(copy, streaming, VARIANT)(void *destination, const void *source, size_t bytes) {
  enum { BLOCK = 4 * VECTOR_BYTES };
  char *to = destination;
  const char *from = source;
  size_t head = (size_t)(-(uintptr_t)to % VECTOR_BYTES);
  if (bytes < head + BLOCK) { // no streaming store happens, so no fence either
    memcpy(to, from, bytes);
    return;
  }
  memcpy(to, from, head);
  to += head;
  from += head;
  size_t rest = bytes - head;
  for (; rest >= BLOCK; rest -= BLOCK, to += BLOCK, from += BLOCK) {
    copy_vector a = *(const copy_vector_unaligned *)from;
    copy_vector b = *(const copy_vector_unaligned *)(from + VECTOR_BYTES);
    copy_vector c = *(const copy_vector_unaligned *)(from + 2 * VECTOR_BYTES);
    copy_vector d = *(const copy_vector_unaligned *)(from + 3 * VECTOR_BYTES);
    __builtin_nontemporal_store(a, (copy_vector *)to);
    __builtin_nontemporal_store(b, (copy_vector *)(to + VECTOR_BYTES));
    __builtin_nontemporal_store(c, (copy_vector *)(to + 2 * VECTOR_BYTES));
    __builtin_nontemporal_store(d, (copy_vector *)(to + 3 * VECTOR_BYTES));
  }
  memcpy(to, from, rest);
  fence_streaming_stores();
}

#define OPERATIONS(type)                                                                                           \
  {                                                                                                                \
    [TUTTI_SUM] = PASTE(type, sum, VARIANT), [TUTTI_MIN] = PASTE(type, min, VARIANT),                              \
    [TUTTI_MAX] = PASTE(type, max, VARIANT)                                                                        \
  }

#define KERNELS_(variant) tutti_kernels_##variant
#define KERNELS(variant) KERNELS_(variant)
#define STRING_(text) #text
#define STRING(text) STRING_(text)

const struct tutti_kernels KERNELS(VARIANT) = {
    .name = STRING(VARIANT),
    .combine =
        {
            [TUTTI_INT32] = OPERATIONS(int32),
            [TUTTI_INT64] = OPERATIONS(int64),
            [TUTTI_FLOAT32] = OPERATIONS(float32),
            [TUTTI_FLOAT64] = OPERATIONS(float64),
        },
    .copy_streaming = PASTE(copy, streaming, VARIANT),
};
