// Counts heap allocations of the whole test process, so that a test can show that a path makes none.
#ifndef TUTTI_ALLOCATIONS_H
#define TUTTI_ALLOCATIONS_H

#include <stdint.h>

/// Allocations of all threads since the process started, or 0 for ever where the count does not work (sanitizers).
uint64_t tutti_allocation_count(void);

#endif
