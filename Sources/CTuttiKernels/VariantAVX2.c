// 32-byte vectors. F16C is part of the variant so that float16 can convert in hardware.
#if defined(__x86_64__)
#include "VariantPrelude.h"

#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#define VARIANT avx2
#define VECTOR_BYTES 32
#define FLOAT16_IN_HARDWARE 1
#include "Variant.h"
#pragma clang attribute pop
#endif
