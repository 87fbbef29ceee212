// The variant every CPU of its architecture runs: 16-byte vectors, which are SSE2 on x86-64 and NEON on AArch64.
#include "VariantPrelude.h"

#define VARIANT baseline
#define VECTOR_BYTES 16
#include "Variant.h"
