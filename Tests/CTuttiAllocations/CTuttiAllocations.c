#include "CTuttiAllocations.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stddef.h>

static _Atomic uint64_t allocations = 0;

uint64_t tutti_allocation_count(void) { return atomic_load_explicit(&allocations, memory_order_relaxed); }

uint64_t tutti_heap_bytes(void) { return mallinfo2().uordblks; }

// Sanitizers bring an allocator of their own, which must stay.
#if !defined(__has_feature) || !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static void count(void) { atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed); }

void *malloc(size_t bytes) {
  count();
  return __libc_malloc(bytes);
}

void *calloc(size_t items, size_t bytes) {
  count();
  return __libc_calloc(items, bytes);
}

void *realloc(void *memory, size_t bytes) {
  count();
  return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  count();
  *memory = __libc_memalign(alignment, bytes);
  return *memory ? 0 : 12;
}

#endif
