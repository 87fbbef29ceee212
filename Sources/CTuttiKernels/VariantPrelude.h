// What a variant needs that must not be compiled for the variant's instruction set: system headers, helpers.
#ifndef TUTTI_VARIANT_PRELUDE_H
#define TUTTI_VARIANT_PRELUDE_H

#include <string.h>

#include "Kernels.h"

// A multiplication and an addition are never fused: that would round once instead of twice.
#pragma STDC FP_CONTRACT OFF

#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)

/// Orders streaming stores before later stores. AArch64 has no store that is weaker than its ordinary ones, which
/// the release store of a flag orders.
static inline void fence_streaming_stores(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

#endif
