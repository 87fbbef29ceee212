// What a variant offers to the dispatch. Internal to this module.
#ifndef TUTTI_KERNELS_INTERNAL_H
#define TUTTI_KERNELS_INTERNAL_H

#include "CTuttiKernels.h"

struct tutti_kernels {
  const char *name;
  tutti_combine_function combine[TUTTI_DATA_TYPE_COUNT][TUTTI_OPERATION_COUNT];
  tutti_average_function average[TUTTI_DATA_TYPE_COUNT];
  void (*copy_streaming)(void *destination, const void *source, size_t bytes);
  void (*narrow[TUTTI_DATA_TYPE_COUNT])(void *destination, const float *source, size_t count, float scale);
  void (*widen[TUTTI_DATA_TYPE_COUNT])(float *destination, const void *source, size_t count);
};

extern const struct tutti_kernels tutti_kernels_baseline;
#if defined(__x86_64__)
extern const struct tutti_kernels tutti_kernels_avx2;
extern const struct tutti_kernels tutti_kernels_avx512;
#endif

/// Calls the kernel with the control register set to round to nearest and keep denormals, and puts it back. Exception
/// flags that were raised meanwhile stay raised, as they would without this detour.
__attribute__((cold, noinline)) void tutti_combine_in_default_environment(
    tutti_combine_function combine, void *destination, void *second, const void *const *sources, int source_count,
    size_t count, int streaming);
__attribute__((cold, noinline)) void tutti_average_in_default_environment(
    tutti_average_function average, void *destination, void *second, const void *const *sources, int source_count,
    size_t count, int streaming, double divisor, const unsigned char *divided);

/// A combine of one source: a copy, also to `second`. Traps for less than one source.
__attribute__((noinline)) void tutti_combine_one(
    void *destination, void *second, const void *const *sources, int source_count, size_t bytes, int streaming);

#endif
