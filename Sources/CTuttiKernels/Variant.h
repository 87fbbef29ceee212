// One variant: every combine, the conversions and the streaming copy in vectors of VECTOR_BYTES, named after VARIANT. No
// include guard: each variant's file includes this once, under its target attribute.

#define TYPE int8
#define ELEMENT int8_t
#define ARITHMETIC int8_t
#define BITS uint8_t
#define KIND SIGNED
#include "CombineType.h"

#define TYPE uint8
#define ELEMENT uint8_t
#define ARITHMETIC uint8_t
#define BITS uint8_t
#define KIND UNSIGNED
#include "CombineType.h"

#define TYPE int16
#define ELEMENT int16_t
#define ARITHMETIC int16_t
#define BITS uint16_t
#define KIND SIGNED
#include "CombineType.h"

#define TYPE uint16
#define ELEMENT uint16_t
#define ARITHMETIC uint16_t
#define BITS uint16_t
#define KIND UNSIGNED
#include "CombineType.h"

#define TYPE truth
#define ELEMENT uint8_t
#define ARITHMETIC uint8_t
#define BITS uint8_t
#define KIND LOGICAL
#include "CombineType.h"

#define TYPE int32
#define ELEMENT int32_t
#define ARITHMETIC int32_t
#define BITS uint32_t
#define KIND SIGNED
#include "CombineType.h"

#define TYPE uint32
#define ELEMENT uint32_t
#define ARITHMETIC uint32_t
#define BITS uint32_t
#define KIND UNSIGNED
#include "CombineType.h"

#define TYPE int64
#define ELEMENT int64_t
#define ARITHMETIC int64_t
#define BITS uint64_t
#define KIND SIGNED
#include "CombineType.h"

#define TYPE uint64
#define ELEMENT uint64_t
#define ARITHMETIC uint64_t
#define BITS uint64_t
#define KIND UNSIGNED
#include "CombineType.h"

#define TYPE float16
#define ELEMENT uint16_t
#define ARITHMETIC float
#define BITS uint32_t
#define KIND FLOATING
#define HALF FLOAT16
#include "CombineType.h"

#define TYPE float16_order
#define ELEMENT int16_t
#define ARITHMETIC int16_t
#define BITS uint16_t
#define KIND ORDERED
#define HALF_INFINITY 0x7c00
#define CANONICAL_NAN 0x7e00
#include "CombineType.h"

#define TYPE bfloat16
#define ELEMENT uint16_t
#define ARITHMETIC float
#define BITS uint32_t
#define KIND FLOATING
#define HALF BFLOAT16
#include "CombineType.h"

#define TYPE bfloat16_order
#define ELEMENT int16_t
#define ARITHMETIC int16_t
#define BITS uint16_t
#define KIND ORDERED
#define HALF_INFINITY 0x7f80
#define CANONICAL_NAN 0x7fc0
#include "CombineType.h"

#define TYPE float32
#define ELEMENT float
#define ARITHMETIC float
#define BITS uint32_t
#define KIND FLOATING
#define CANONICAL_NAN 0x7fc00000u
#include "CombineType.h"

#define TYPE float64
#define ELEMENT double
#define ARITHMETIC double
#define BITS uint64_t
#define KIND FLOATING
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

#define EVERYWHERE(arithmetic, order)                                                                              \
  [TUTTI_SUM] = PASTE(arithmetic, sum, VARIANT), [TUTTI_PRODUCT] = PASTE(arithmetic, product, VARIANT),            \
  [TUTTI_MIN] = PASTE(order, min, VARIANT), [TUTTI_MAX] = PASTE(order, max, VARIANT)
#define INTEGER(arithmetic, order)                                                                                 \
  {                                                                                                                \
    EVERYWHERE(arithmetic, order), [TUTTI_BITWISE_AND] = PASTE(arithmetic, bitwise_and, VARIANT),                  \
                                   [TUTTI_BITWISE_OR] = PASTE(arithmetic, bitwise_or, VARIANT),                    \
                                   [TUTTI_BITWISE_XOR] = PASTE(arithmetic, bitwise_xor, VARIANT)                   \
  }
#define FLOAT(arithmetic, order) {EVERYWHERE(arithmetic, order)}

#define KERNELS_(variant) tutti_kernels_##variant
#define KERNELS(variant) KERNELS_(variant)
#define STRING_(text) #text
#define STRING(text) STRING_(text)

const struct tutti_kernels KERNELS(VARIANT) = {
    .name = STRING(VARIANT),
    .combine =
        {
            [TUTTI_INT8] = INTEGER(uint8, int8),
            [TUTTI_UINT8] = INTEGER(uint8, uint8),
            [TUTTI_INT32] = INTEGER(uint32, int32),
            [TUTTI_UINT32] = INTEGER(uint32, uint32),
            [TUTTI_INT64] = INTEGER(uint64, int64),
            [TUTTI_UINT64] = INTEGER(uint64, uint64),
            [TUTTI_FLOAT16] = FLOAT(float16, float16_order),
            [TUTTI_BFLOAT16] = FLOAT(bfloat16, bfloat16_order),
            [TUTTI_FLOAT32] = FLOAT(float32, float32),
            [TUTTI_FLOAT64] = FLOAT(float64, float64),
            [TUTTI_INT16] = INTEGER(uint16, int16),
            [TUTTI_UINT16] = INTEGER(uint16, uint16),
            [TUTTI_BOOL] = INTEGER(truth, truth),
        },
    .average =
        {
            [TUTTI_FLOAT16] = PASTE(float16, average, VARIANT),
            [TUTTI_BFLOAT16] = PASTE(bfloat16, average, VARIANT),
            [TUTTI_FLOAT32] = PASTE(float32, average, VARIANT),
            [TUTTI_FLOAT64] = PASTE(float64, average, VARIANT),
        },
    .copy_streaming = PASTE(copy, streaming, VARIANT),
    .narrow =
        {
            [TUTTI_FLOAT16] = PASTE(float16, narrow, VARIANT),
            [TUTTI_BFLOAT16] = PASTE(bfloat16, narrow, VARIANT),
        },
    .widen =
        {
            [TUTTI_FLOAT16] = PASTE(float16, widen, VARIANT),
            [TUTTI_BFLOAT16] = PASTE(bfloat16, widen, VARIANT),
        },
};
