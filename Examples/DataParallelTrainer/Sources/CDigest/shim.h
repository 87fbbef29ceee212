// The digests of OpenSSL 3, which the system has: EVP_DigestInit_ex, EVP_DigestUpdate, EVP_DigestFinal_ex.
#include <openssl/evp.h>
