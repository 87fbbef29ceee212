// What the library uses of OpenSSL 3: the digests and key derivations of libcrypto. See docs/decisions/0021-openssl.md.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
