// Which variant runs: chosen once, before main, from what the CPU and its operating system support. The data path
// reads a plain variable; before the constructor ran it names the baseline, which is right everywhere.
#include "Kernels.h"

#include <string.h>

static const struct tutti_kernels *const variants[] = {
    &tutti_kernels_baseline,
#if defined(__x86_64__)
    &tutti_kernels_avx2,
    &tutti_kernels_avx512,
#endif
};
enum { VARIANT_COUNT = sizeof variants / sizeof variants[0] };

static const struct tutti_kernels *best = &tutti_kernels_baseline;

__attribute__((constructor)) static void choose_variant(void) {
  for (int variant = 0; variant < VARIANT_COUNT; variant++) {
    if (tutti_variant_supported(variant)) best = variants[variant];
  }
}

int tutti_variant_count(void) { return VARIANT_COUNT; }

const char *tutti_variant_name(int variant) {
  return variant >= 0 && variant < VARIANT_COUNT ? variants[variant]->name : NULL;
}

int tutti_variant_supported(int variant) {
  if (variant < 0 || variant >= VARIANT_COUNT) return 0;
#if defined(__x86_64__)
  // These also ask the operating system whether it saves the wide registers (XGETBV).
  __builtin_cpu_init();
  if (variants[variant] == &tutti_kernels_avx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  }
  if (variants[variant] == &tutti_kernels_avx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
#endif
  return 1;
}

static tutti_combine_function find(const struct tutti_kernels *kernels, int data_type, int operation) {
  if (data_type < 0 || data_type >= TUTTI_DATA_TYPE_COUNT) return NULL;
  if (operation < 0 || operation >= TUTTI_OPERATION_COUNT) return NULL;
  return kernels->combine[data_type][operation];
}

static tutti_average_function find_average(const struct tutti_kernels *kernels, int data_type) {
  return data_type >= 0 && data_type < TUTTI_DATA_TYPE_COUNT ? kernels->average[data_type] : NULL;
}

tutti_combine_function tutti_combine(int data_type, int operation) { return find(best, data_type, operation); }

tutti_average_function tutti_average(int data_type) { return find_average(best, data_type); }

tutti_combine_function tutti_combine_variant(int variant, int data_type, int operation) {
  if (variant < 0 || variant >= VARIANT_COUNT) return NULL;
  return find(variants[variant], data_type, operation);
}

tutti_average_function tutti_average_variant(int variant, int data_type) {
  return variant >= 0 && variant < VARIANT_COUNT ? find_average(variants[variant], data_type) : NULL;
}

void tutti_copy(void *destination, const void *source, size_t bytes, int streaming) {
  if (streaming) {
    best->copy_streaming(destination, source, bytes);
  } else {
    memcpy(destination, source, bytes);
  }
}

void tutti_copy_variant(int variant, void *destination, const void *source, size_t bytes) {
  if (variant < 0 || variant >= VARIANT_COUNT) __builtin_trap();
  variants[variant]->copy_streaming(destination, source, bytes);
}

void tutti_combine_one(
    void *destination, void *second, const void *const *sources, int source_count, size_t bytes, int streaming) {
  if (source_count < 1) __builtin_trap();
  // `second` first: afterwards the source, and with it what is copied, may be out of the cache.
  if (second) tutti_copy(second, sources[0], bytes, streaming == TUTTI_STREAM_BOTH);
  if (destination != sources[0]) tutti_copy(destination, sources[0], bytes, streaming);
}

/// Returns the caller's control register, for `leave_default_environment`.
static uint64_t enter_default_environment(void) {
  uint64_t callers = tutti_float_control();
  tutti_set_float_control(callers & ~(uint64_t)TUTTI_FLOAT_CONTROL_CHANGES);
  return callers;
}

static void leave_default_environment(uint64_t callers) {
#if defined(__x86_64__)
  callers |= tutti_float_control() & 0x3f; // MXCSR also holds the exception flags; AArch64 has them in FPSR
#endif
  tutti_set_float_control(callers);
}

void tutti_combine_in_default_environment(
    tutti_combine_function combine, void *destination, void *second, const void *const *sources, int source_count,
    size_t count, int streaming) {
  uint64_t callers = enter_default_environment();
  combine(destination, second, sources, source_count, count, streaming);
  leave_default_environment(callers);
}

void tutti_average_in_default_environment(
    tutti_average_function average, void *destination, void *second, const void *const *sources, int source_count,
    size_t count, int streaming, double divisor, const unsigned char *divided) {
  uint64_t callers = enter_default_environment();
  average(destination, second, sources, source_count, count, streaming, divisor, divided);
  leave_default_environment(callers);
}

static int is_half(int data_type) { return data_type == TUTTI_FLOAT16 || data_type == TUTTI_BFLOAT16; }

static void narrow(
    const struct tutti_kernels *kernels, int data_type, void *destination, const float *source, size_t count, float scale) {
  if (!is_half(data_type)) __builtin_trap();
  uint64_t callers = enter_default_environment();
  kernels->narrow[data_type](destination, source, count, scale);
  leave_default_environment(callers);
}

static void widen(
    const struct tutti_kernels *kernels, int data_type, float *destination, const void *source, size_t count) {
  if (!is_half(data_type)) __builtin_trap();
  uint64_t callers = enter_default_environment();
  kernels->widen[data_type](destination, source, count);
  leave_default_environment(callers);
}

void tutti_narrow(int data_type, void *destination, const float *source, size_t count, float scale) {
  narrow(best, data_type, destination, source, count, scale);
}

void tutti_widen(int data_type, float *destination, const void *source, size_t count) {
  widen(best, data_type, destination, source, count);
}

void tutti_narrow_variant(
    int variant, int data_type, void *destination, const float *source, size_t count, float scale) {
  if (variant < 0 || variant >= VARIANT_COUNT) __builtin_trap();
  narrow(variants[variant], data_type, destination, source, count, scale);
}

void tutti_widen_variant(int variant, int data_type, float *destination, const void *source, size_t count) {
  if (variant < 0 || variant >= VARIANT_COUNT) __builtin_trap();
  widen(variants[variant], data_type, destination, source, count);
}
