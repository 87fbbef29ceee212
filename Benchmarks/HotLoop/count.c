// Counts calls of the Swift runtime by the place they come from, for `Benchmarks/hot-loop --count`: a library to preload
// (LD_PRELOAD) that stands before libswiftCore. At the end of the process it prints a line `count WHAT CALLS ADDRESS` for
// each place in the program itself, the address as `nm` has it. Calls from inside other libraries are of no interest.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Open addressing, never full: the program has fewer such places; what would not fit is dropped.
enum { PLACES = 1 << 14 };

static struct {
  _Atomic(uintptr_t) address;
  const char *_Atomic what;
  atomic_long calls;
} places[PLACES];

static uintptr_t program;

static int first_object(struct dl_phdr_info *info, size_t size, void *context) {
  (void)size, (void)context;
  program = info->dlpi_addr;
  return 1;
}

static void count(const char *what, void *caller) {
  uintptr_t address = (uintptr_t)caller;
  size_t place = (address * 0x9E3779B97F4A7C15u >> 40) % PLACES;
  for (int probe = 0; probe < PLACES; probe++, place = (place + 1) % PLACES) {
    uintptr_t found = 0;
    if (atomic_compare_exchange_strong(&places[place].address, &found, address) || found == address) {
      places[place].what = what;
      places[place].calls++;
      return;
    }
  }
}

// The runtime's own function of a name, found at the first call.
#define RUNTIME(name)                                                                  \
  static __typeof__(&name) _Atomic runtime;                                            \
  if (!runtime) runtime = (__typeof__(&name))(uintptr_t)dlsym(RTLD_NEXT, #name)
#define CALLER __builtin_return_address(0)

void *swift_retain(void *object) {
  RUNTIME(swift_retain);
  count("swift_retain", CALLER);
  return runtime(object);
}

void swift_release(void *object) {
  RUNTIME(swift_release);
  count("swift_release", CALLER);
  runtime(object);
}

void swift_beginAccess(void *address, void *buffer, uintptr_t flags, void *caller) {
  RUNTIME(swift_beginAccess);
  count("swift_beginAccess", CALLER);
  runtime(address, buffer, flags, caller);
}

void *swift_allocObject(void *metadata, size_t bytes, size_t alignment) {
  RUNTIME(swift_allocObject);
  count("swift_allocObject", CALLER);
  return runtime(metadata, bytes, alignment);
}

void *swift_slowAlloc(size_t bytes, size_t alignment) {
  RUNTIME(swift_slowAlloc);
  count("swift_slowAlloc", CALLER);
  return runtime(bytes, alignment);
}

__attribute__((constructor)) static void begin(void) { dl_iterate_phdr(first_object, NULL); }

__attribute__((destructor)) static void end(void) {
  for (int place = 0; place < PLACES; place++) {
    if (places[place].calls == 0) continue;
    fprintf(stderr, "count %s %ld %lx\n", places[place].what, places[place].calls, places[place].address - program);
  }
}
