// 64-byte vectors: one store fills a cache line, which is what streaming stores want.
#if defined(__x86_64__)
#include "VariantPrelude.h"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define VARIANT avx512
#define VECTOR_BYTES 64
#define FLOAT16_IN_HARDWARE 1
#include "Variant.h"
#pragma clang attribute pop
#endif
