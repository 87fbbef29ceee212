// OpenBLAS as Swift sees it: matrix products (cblas_sgemm, cblas_dgemm), openblas_set_num_threads and
// openblas_get_config are all declared in its cblas.h. pkg-config says where that is.
#ifndef COPENBLAS_SHIM_H
#define COPENBLAS_SHIM_H

#include <cblas.h>
#include <stdbool.h>

// Which instructions the processor has: all those that OpenBLAS' code for Haswell and for SkylakeX needs.
#if defined(__x86_64__)
static inline bool processor_has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static inline bool processor_has_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#else
static inline bool processor_has_avx2(void) { return false; }
static inline bool processor_has_avx512(void) { return false; }
#endif

#endif
