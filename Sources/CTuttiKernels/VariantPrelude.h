// What a variant needs that must not be compiled for the variant's instruction set: system headers, helpers.
#ifndef TUTTI_VARIANT_PRELUDE_H
#define TUTTI_VARIANT_PRELUDE_H

#include <string.h>

#include "Kernels.h"

// A multiplication and an addition are never fused: that would round once instead of twice.
#pragma STDC FP_CONTRACT OFF

#define PASTE_(a, b, c) a##_##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)

// The numbers of one register of 16 bits each fill two registers as float32. How such a vector would be passed depends on
// the instruction set, but every function that takes one is inlined.
#pragma clang diagnostic ignored "-Wpsabi"

// What KIND and HALF can be.
#define UNSIGNED 1
#define SIGNED 2
#define FLOATING 3
#define ORDERED 4 // 16-bit floating point seen as integers, for min and max
#define LOGICAL 5 // bytes of which 0 is false
#define FLOAT16 1
#define BFLOAT16 2

/// An average is a sum that the step divides: an operation of the templates, but none of tutti_combine.
enum { TUTTI_AVERAGE = TUTTI_OPERATION_COUNT };

/// Orders streaming stores before later stores. AArch64 has no store that is weaker than its ordinary ones, which
/// the release store of a flag orders.
static inline void fence_streaming_stores(void) {
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
}

#endif
