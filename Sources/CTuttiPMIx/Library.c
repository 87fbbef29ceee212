// The structures are those of the PMIx standard (https://pmix.github.io/standard), versions 2 to 5, in which they have the
// same layout as far as they are used here: up to the value of a single element. Arrays of several would not be safe.
#include "CTuttiPMIx.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  NAMESPACE_BYTES = 256,
  KEY_BYTES = 512,
  KIND_BOOL = 1,
  KIND_STRING = 3,
  KIND_UINT32 = 14,
  SCOPE_GLOBAL = 3,
  ERROR_NOT_FOUND = -46,
  ERROR_TYPE_MISMATCH = -18,
};
static const uint32_t every_rank = UINT32_MAX - 1;

struct process {
  char name_space[NAMESPACE_BYTES];
  uint32_t rank;
};
struct value {
  uint16_t kind;
  union {
    bool flag;
    uint32_t number;
    char *text;
    // No member of the standard's union is larger.
    void *room[4];
  } data;
};
struct directive {
  char key[KEY_BYTES];
  uint32_t flags;
  struct value value;
};

static struct {
  int (*PMIx_Init)(struct process *, struct directive *, size_t);
  int (*PMIx_Finalize)(const struct directive *, size_t);
  int (*PMIx_Put)(uint8_t, const char *, struct value *);
  int (*PMIx_Commit)(void);
  int (*PMIx_Fence)(const struct process *, size_t, const struct directive *, size_t);
  int (*PMIx_Get)(const struct process *, const char *, const struct directive *, size_t, struct value **);
  const char *(*PMIx_Error_string)(int);
} library;

// This process, as the server knows it.
static struct process own;

int tutti_pmix_load(const char *name, char *why, size_t why_length) {
  if (library.PMIx_Init) return 0;
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(why, why_length, "%s", dlerror());
    return -1;
  }
  __typeof__(library) found;
#define FIND(function)                                                    \
  found.function = (__typeof__(found.function))dlsym(handle, #function);  \
  if (!found.function) {                                                  \
    snprintf(why, why_length, "%s has no %s", name, #function);           \
    dlclose(handle);                                                      \
    return -1;                                                            \
  }
  FIND(PMIx_Init)
  FIND(PMIx_Finalize)
  FIND(PMIx_Put)
  FIND(PMIx_Commit)
  FIND(PMIx_Fence)
  FIND(PMIx_Get)
  FIND(PMIx_Error_string)
#undef FIND
  library = found;
  return 0;
}

int tutti_pmix_init(uint32_t *rank) {
  int status = library.PMIx_Init(&own, NULL, 0);
  *rank = own.rank;
  return status;
}

int tutti_pmix_job_size(uint32_t *size) {
  struct process job = own;
  job.rank = every_rank;
  struct value *value = NULL;
  int status = library.PMIx_Get(&job, "pmix.job.size", NULL, 0, &value);
  if (status) return status;
  if (!value || value->kind != KIND_UINT32) return ERROR_TYPE_MISMATCH;
  *size = value->data.number;
  free(value);
  return 0;
}

int tutti_pmix_put(const char *key, const char *text) {
  struct value value = {.kind = KIND_STRING};
  value.data.text = strdup(text);
  // The library copies it.
  int status = library.PMIx_Put(SCOPE_GLOBAL, key, &value);
  free(value.data.text);
  return status ? status : library.PMIx_Commit();
}

int tutti_pmix_fence(void) {
  // Without this, a get may have to ask the host of the rank that has put.
  struct directive collect = {.key = "pmix.collect", .value = {.kind = KIND_BOOL}};
  collect.value.data.flag = true;
  return library.PMIx_Fence(NULL, 0, &collect, 1);
}

int tutti_pmix_get(uint32_t rank, const char *key, char **text) {
  struct process process = own;
  process.rank = rank;
  struct value *value = NULL;
  int status = library.PMIx_Get(&process, key, NULL, 0, &value);
  if (status) return status;
  if (!value || value->kind != KIND_STRING || !value->data.text) return ERROR_TYPE_MISMATCH;
  *text = value->data.text;
  free(value);
  return 0;
}

int tutti_pmix_finalize(void) { return library.PMIx_Finalize(NULL, 0); }

int tutti_pmix_is_absence(int status) { return status == ERROR_NOT_FOUND; }

const char *tutti_pmix_error(int status) {
  const char *text = library.PMIx_Error_string(status);
  return text ? text : "";
}
