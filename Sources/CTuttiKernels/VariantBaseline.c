// The variant every CPU of its architecture runs: 16-byte vectors, which are SSE2 on x86-64 and NEON on AArch64.
#include "VariantPrelude.h"

#define VARIANT baseline
#define VECTOR_BYTES 16
#if defined(__aarch64__)
#define FLOAT16_IN_HARDWARE 1
#else
#define FLOAT16_IN_HARDWARE 0
#endif
#include "Variant.h"
