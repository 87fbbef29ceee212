// Opens libssl. It is opened at run time so that whoever does not ask for TLS does not need it, and all functions are taken
// from it and its libcrypto, because this program may be linked with another copy of libcrypto, whose objects must not mix.
#include "Library.h"

#include <dlfcn.h>
#include <stdio.h>

#include "CTuttiTLS.h"

struct tutti_tls_library tutti_tls_library;
SSL_CTX *tutti_tls_context = NULL;

int tutti_tls_load(const char *library, char *why, size_t why_length) {
  if (tutti_tls_context) return 0;
  void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    snprintf(why, why_length, "%s", dlerror());
    return -1;
  }
  struct tutti_tls_library found = {0};
  // A search by the handle covers what the library depends on, which is its libcrypto.
#define TUTTI_TLS_FIND(name)                                  \
  found.name = (__typeof__(found.name))dlsym(handle, #name);  \
  if (!found.name) {                                          \
    snprintf(why, why_length, "%s has no %s", library, #name); \
    dlclose(handle);                                          \
    return -1;                                                \
  }
  TUTTI_TLS_FUNCTIONS(TUTTI_TLS_FIND)
#undef TUTTI_TLS_FIND
  if (found.OpenSSL_version_num() < 0x30000000UL) {
    snprintf(why, why_length, "%s is %s, older than OpenSSL 3.0", library, found.OpenSSL_version(OPENSSL_VERSION));
    dlclose(handle);
    return -1;
  }
  // It must not be torn down when the program exits: the service thread may be in the middle of something then.
  if (found.OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) != 1) {
    snprintf(why, why_length, "%s could not be started", library);
    return -1;
  }
  tutti_tls_library = found;
  SSL_CTX *context = tutti_tls_make_context();
  if (!context) {
    unsigned long code = found.ERR_peek_error();
    const char *reason = found.ERR_reason_error_string(code);
    reason = reason ? reason : "no reason given";
    snprintf(why, why_length, "%s does not offer TLS 1.3 with AES-128-GCM (%s)", library, reason);
    found.ERR_clear_error();
    return -1;
  }
  tutti_tls_context = context;
  return 0;
}

const char *tutti_tls_version(void) {
  return tutti_tls_context ? tutti_tls_library.OpenSSL_version(OPENSSL_VERSION) : "";
}
