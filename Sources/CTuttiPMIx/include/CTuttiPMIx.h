// The calls of a PMIx client that a join needs, by the system's libpmix, which is opened at run time: the library speaks
// with the launcher's server, in the version that this one has.
#ifndef TUTTI_PMIX_H
#define TUTTI_PMIX_H

#include <stddef.h>
#include <stdint.h>

/// Opens the library by this name. Once it has succeeded, later calls do nothing.
/// Returns 0, or -1 with the reason in `why`. Calls must not overlap.
int tutti_pmix_load(const char *library, char *why, size_t why_length);

// The others need a loaded library. They wait for the server without a limit, and return a status: 0, or what
// tutti_pmix_error explains.

/// Introduces this process to the server of its environment, and learns the rank that it has there.
int tutti_pmix_init(uint32_t *rank);

/// Learns how many ranks the job has.
int tutti_pmix_job_size(uint32_t *size);

/// Leaves a text for all ranks, who find it after the next fence.
int tutti_pmix_put(const char *key, const char *text);

/// Returns when every rank of the job has called it.
int tutti_pmix_fence(void);

/// Finds the text that a rank has left under a key: the caller frees it.
int tutti_pmix_get(uint32_t rank, const char *key, char **text);

/// Says goodbye to the server.
int tutti_pmix_finalize(void);

/// Whether a status means that nothing is stored under a key.
int tutti_pmix_is_absence(int status);

/// What the library calls a status.
const char *tutti_pmix_error(int status);

#endif
