// Counts heap allocations of the whole test process, so that a test can show that a path makes none, and what they hold.
#ifndef TUTTI_ALLOCATIONS_H
#define TUTTI_ALLOCATIONS_H

#include <stdint.h>

/// Allocations of all threads since the process started, or 0 for ever where the count does not work (sanitizers).
uint64_t tutti_allocation_count(void);

/// Bytes of the heap that the whole test process uses now, as far as the C library gave them out (not under sanitizers).
uint64_t tutti_heap_bytes(void);

#endif
