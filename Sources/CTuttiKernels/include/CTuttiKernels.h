// Element-wise combining, converting and copying of memory, in the widest vectors the CPU has.
//
// This is C because Swift compiles a function for one instruction set only. Every variant gives the same bits:
// - integers wrap;
// - float16 and bfloat16 are combined in float32 and rounded to nearest even once a call, at the end;
// - min and max are IEEE 754-2019 minimum and maximum: -0 < +0, a NaN operand gives the one canonical quiet NaN
//   (0x7e00, 0x7fc0, 0x7fc00000, 0x7ff8000000000000). The payload of a NaN that another operation gives is unspecified;
// - results are rounded to nearest even and denormals kept, whatever the caller's floating-point control register says;
// - swapping the two operands of any combine changes no bit (but such a NaN's payload).
// Memory need not be aligned, not even to the element. Nothing here allocates, locks or fails.
#ifndef TUTTI_KERNELS_H
#define TUTTI_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// The numbers are part of the wire format.
enum {
  TUTTI_INT8 = 0,
  TUTTI_UINT8 = 1,
  TUTTI_INT32 = 2,
  TUTTI_UINT32 = 3,
  TUTTI_INT64 = 4,
  TUTTI_UINT64 = 5,
  TUTTI_FLOAT16 = 6,
  TUTTI_BFLOAT16 = 7,
  TUTTI_FLOAT32 = 8,
  TUTTI_FLOAT64 = 9,
  TUTTI_INT16 = 10,
  TUTTI_UINT16 = 11,
  // A byte: 0 is false and all else is true; what is combined is 0 or 1. A sum is true where any operand is, a product where
  // all are.
  TUTTI_BOOL = 12,
  TUTTI_DATA_TYPE_COUNT = 13
};

enum {
  TUTTI_SUM = 0,
  TUTTI_PRODUCT = 1,
  TUTTI_MIN = 2,
  TUTTI_MAX = 3,
  TUTTI_BITWISE_AND = 4, // this and the next two: integers and bool only
  TUTTI_BITWISE_OR = 5,
  TUTTI_BITWISE_XOR = 6,
  TUTTI_OPERATION_COUNT = 7
};

enum {
  TUTTI_STREAM_NOTHING = 0,
  TUTTI_STREAM_DESTINATION = 1,
  TUTTI_STREAM_BOTH = 2, // `second` too, where it lies to vectors as `destination` does
};

/// Combines `source_count` arrays of `count` elements element-wise, left to right, into `destination`.
///
/// - destination: `count` elements. May be identical to one of the sources; otherwise overlaps none of them.
/// - second: gets the same values, or is NULL. Overlaps nothing.
/// - sources: at least one; one source is a copy, bit for bit. Fewer than one traps.
/// - streaming: what is stored past the cache where it can be aligned, one of the values above. Streaming stores are
///   fenced before returning, so that a later store of a flag publishes the data.
typedef void (*tutti_combine_function)(
    void *destination, void *second, const void *const *sources, int source_count, size_t count, int streaming);

/// The fastest kernel this CPU runs for a type and an operation, or NULL where there is none. Ask once and keep it.
tutti_combine_function tutti_combine(int data_type, int operation);

/// Like a sum with divisions by `divisor` (finite, not 0): in float64 for float64, otherwise in float32, to which
/// `divisor` is rounded. float16 and bfloat16 are rounded once, at the end. One source is divided too.
///
/// - divided: NULL to divide the sum, once. Otherwise, for float16 and bfloat16 only, a byte for each source: those with
///   another than 0 are divided as they enter, and the sum is not. So a sum of part of the ranks' numbers overflows no
///   more than their average does.
typedef void (*tutti_average_function)(
    void *destination, void *second, const void *const *sources, int source_count, size_t count, int streaming,
    double divisor, const unsigned char *divided);

/// The fastest average this CPU runs for a type, or NULL: integers have none.
tutti_average_function tutti_average(int data_type);

/// Copies `bytes`; the two areas do not overlap. `streaming` non-zero stores past the cache where that can be done,
/// and fences before returning.
void tutti_copy(void *destination, const void *source, size_t bytes, int streaming);

/// Multiplies `count` float32 numbers with `scale` and rounds them to float16 or bfloat16, to nearest even. A NaN stays one.
/// The two areas do not overlap. Another `data_type` traps.
void tutti_narrow(int data_type, void *destination, const float *source, size_t count, float scale);

/// `count` float16 or bfloat16 numbers as float32, exactly. The two areas do not overlap. Another `data_type` traps.
void tutti_widen(int data_type, float *destination, const void *source, size_t count);

// For tests: each variant on its own, from the plainest (0) to the widest.

int tutti_variant_count(void);
/// "baseline", "avx2", "avx512"; NULL out of range.
const char *tutti_variant_name(int variant);
/// Whether this CPU and its operating system run the variant.
int tutti_variant_supported(int variant);
/// Like tutti_combine and tutti_average; the result may only be called where the variant is supported.
tutti_combine_function tutti_combine_variant(int variant, int data_type, int operation);
tutti_average_function tutti_average_variant(int variant, int data_type);
/// tutti_narrow and tutti_widen of one variant.
void tutti_narrow_variant(int variant, int data_type, void *destination, const float *source, size_t count, float scale);
void tutti_widen_variant(int variant, int data_type, float *destination, const void *source, size_t count);
/// The streaming tutti_copy of one variant.
void tutti_copy_variant(int variant, void *destination, const void *source, size_t bytes);

// The floating-point control register of the calling thread (MXCSR on x86-64, FPCR on AArch64). Kernels look at it
// and tests change it.

#if defined(__x86_64__)
#define TUTTI_FLOAT_CONTROL_FLUSH 0x8040u   // flush-to-zero, denormals-are-zero
#define TUTTI_FLOAT_CONTROL_UPWARD 0x4000u  // round towards +infinity
#define TUTTI_FLOAT_CONTROL_CHANGES 0xe040u // every bit that changes a result
#elif defined(__aarch64__)
#define TUTTI_FLOAT_CONTROL_FLUSH 0x1000000u   // FZ
#define TUTTI_FLOAT_CONTROL_UPWARD 0x400000u   // RMode
#define TUTTI_FLOAT_CONTROL_CHANGES 0x5c00003u // AHP, FZ, RMode, AH, FIZ
#else
#error "CTuttiKernels knows x86-64 and AArch64. Add the control register and the stores of this CPU."
#endif

static inline uint64_t tutti_float_control(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr();
#else
  uint64_t value;
  __asm__ volatile("mrs %0, fpcr" : "=r"(value));
  return value;
#endif
}

static inline void tutti_set_float_control(uint64_t value) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((uint32_t)value);
#else
  __asm__ volatile("msr fpcr, %0" : : "r"(value) : "memory");
#endif
}

#endif
