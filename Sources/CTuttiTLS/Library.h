// The functions of libssl and libcrypto that sessions use, found at run time. Within this target only.
#ifndef TUTTI_TLS_LIBRARY_H
#define TUTTI_TLS_LIBRARY_H

#include <openssl/err.h>
#include <openssl/ssl.h>

// Each is found by its name. All are in OpenSSL 3.0 and later.
#define TUTTI_TLS_FUNCTIONS(F)                                                                                           \
  F(BIO_clear_flags) F(BIO_free) F(BIO_get_data) F(BIO_meth_new) F(BIO_meth_set_ctrl) F(BIO_meth_set_read_ex)            \
  F(BIO_meth_set_write_ex) F(BIO_new) F(BIO_set_data) F(BIO_set_flags) F(BIO_set_init) F(ERR_clear_error)                \
  F(ERR_peek_error) F(ERR_reason_error_string) F(OPENSSL_cleanse) F(OPENSSL_init_crypto) F(OpenSSL_version)              \
  F(OpenSSL_version_num) F(SSL_CIPHER_find) F(SSL_CTX_ctrl) F(SSL_CTX_free) F(SSL_CTX_new)                               \
  F(SSL_CTX_set_ciphersuites) F(SSL_CTX_set_num_tickets) F(SSL_CTX_set_options) F(SSL_CTX_set_psk_find_session_callback) \
  F(SSL_CTX_set_psk_use_session_callback) F(SSL_SESSION_free) F(SSL_SESSION_new)                   \
  F(SSL_SESSION_set1_master_key) F(SSL_SESSION_set_cipher) F(SSL_SESSION_set_protocol_version) F(SSL_do_handshake)       \
  F(SSL_free) F(SSL_get_error) F(SSL_get_ex_data) F(SSL_key_update) F(SSL_new) F(SSL_read_ex) F(SSL_session_reused)      \
  F(SSL_set_accept_state) F(SSL_set_bio) F(SSL_set_connect_state) F(SSL_set_ex_data) F(SSL_set_verify) F(SSL_shutdown)   \
  F(SSL_version) F(SSL_write_ex) F(TLS_method)

#define TUTTI_TLS_POINTER(name) __typeof__(name) *name;
struct tutti_tls_library {
  TUTTI_TLS_FUNCTIONS(TUTTI_TLS_POINTER)
};
#undef TUTTI_TLS_POINTER

/// Filled by `tutti_tls_load`, and never changed after.
extern struct tutti_tls_library tutti_tls_library;

/// What all sessions share: protocol, cipher, and how keys are found. Made by `tutti_tls_load`, and never freed.
extern SSL_CTX *tutti_tls_context;

/// Makes that context. NULL when the library refuses.
SSL_CTX *tutti_tls_make_context(void);

#endif
