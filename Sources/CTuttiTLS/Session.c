// One side of one connection: the handshake, and sending and receiving as the shims of sockets do.
//
// Invariant: a direction that has ended makes no further call into the library; whatever ended it is told again.
#include "Session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TLS tutti_tls_library

// The two sides find each other's key by who is at the other end of the connection; the name says nothing.
static const unsigned char identity[] = "tutti";
// TLS_AES_128_GCM_SHA256 (RFC 8446, B.4).
static const unsigned char cipher_number[2] = {0x13, 0x01};

// MARK: Keys

/// The key as the session of an earlier connection, which is how OpenSSL takes keys for TLS 1.3.
static SSL_SESSION *key_session(SSL *ssl) {
  tutti_tls *session = TLS.SSL_get_ex_data(ssl, 0);
  const SSL_CIPHER *cipher = TLS.SSL_CIPHER_find(ssl, cipher_number);
  SSL_SESSION *result = cipher ? TLS.SSL_SESSION_new() : NULL;
  if (!result) return NULL;
  if (TLS.SSL_SESSION_set1_master_key(result, session->key, sizeof session->key) == 1 &&
      TLS.SSL_SESSION_set_cipher(result, cipher) == 1 &&
      TLS.SSL_SESSION_set_protocol_version(result, TLS1_3_VERSION) == 1) {
    return result;
  }
  TLS.SSL_SESSION_free(result);
  return NULL;
}

static int use_key(SSL *ssl, const EVP_MD *digest, const unsigned char **name, size_t *length, SSL_SESSION **result) {
  // The digest is given when the server has asked for a second hello; there is one cipher, so it is always right.
  (void)digest;
  *result = key_session(ssl);
  *name = identity;
  *length = sizeof identity - 1;
  return *result != NULL;
}

static int find_key(SSL *ssl, const unsigned char *name, size_t length, SSL_SESSION **result) {
  *result = NULL;
  // An unknown name is no failure here: the handshake goes on without a key, and ends because there is no certificate.
  if (length != sizeof identity - 1 || memcmp(name, identity, length) != 0) return 1;
  *result = key_session(ssl);
  return *result != NULL;
}

SSL_CTX *tutti_tls_make_context(void) {
  SSL_CTX *context = TLS.SSL_CTX_new(TLS.TLS_method());
  if (!context) return NULL;
  const char *cipher = "TLS_AES_128_GCM_SHA256";
  int is_set = TLS.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, NULL) == 1 &&
               TLS.SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_PROTO_VERSION, TLS1_3_VERSION, NULL) == 1 &&
               TLS.SSL_CTX_set_ciphersuites(context, cipher) == 1 && TLS.SSL_CTX_set_num_tickets(context, 0) == 1;
  if (!is_set) {
    TLS.SSL_CTX_free(context);
    return NULL;
  }
  // Keys are exchanged anew for each connection: a pre-shared key without that needs an option of its own. No session is
  // kept or resumed.
  TLS.SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  TLS.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
  TLS.SSL_CTX_ctrl(
      context, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, NULL);
  TLS.SSL_CTX_set_psk_use_session_callback(context, use_key);
  TLS.SSL_CTX_set_psk_find_session_callback(context, find_key);
  return context;
}

// MARK: Life

tutti_tls *tutti_tls_make(int socket, int is_listener, const uint8_t *key, uint64_t records_per_key) {
  tutti_tls *session = calloc(1, sizeof *session);
  if (!session) return NULL;
  session->socket = socket;
  session->records_per_key = session->records_left = records_per_key;
  memcpy(session->key, key, sizeof session->key);
  session->ssl = TLS.SSL_new(tutti_tls_context);
  BIO *bio = session->ssl ? tutti_tls_make_bio(session) : NULL;
  if (!bio || TLS.SSL_set_ex_data(session->ssl, 0, session) != 1) {
    if (bio) TLS.BIO_free(bio);
    tutti_tls_free(session);
    return NULL;
  }
  // One reference for both directions.
  TLS.SSL_set_bio(session->ssl, bio, bio);
  if (is_listener) {
    TLS.SSL_set_accept_state(session->ssl);
  } else {
    TLS.SSL_set_connect_state(session->ssl);
    // Listeners have no certificate and no authority is known, so that none can stand in for the key.
    TLS.SSL_set_verify(session->ssl, SSL_VERIFY_PEER, NULL);
  }
  return session;
}

void tutti_tls_free(tutti_tls *session) {
  if (!session) return;
  if (session->ssl) TLS.SSL_free(session->ssl);
  TLS.OPENSSL_cleanse(session, sizeof *session);
  free(session);
}

const char *tutti_tls_failure(const tutti_tls *session) { return session->failure; }
int tutti_tls_is_dry(const tutti_tls *session) { return session->is_dry; }
uint64_t tutti_tls_key_changes(const tutti_tls *session) { return session->key_changes; }

/// Notes in `ended` why a call came to nothing. Returns what the call wants, or that it has failed.
static int judge(tutti_tls *session, int result, int *ended) {
  switch (TLS.SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return TUTTI_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
      return TUTTI_TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
      *ended = -1;
      return TUTTI_TLS_FAILED;
    case SSL_ERROR_SYSCALL:
      *ended = session->code > 0 ? session->code : -1;
      snprintf(session->failure, sizeof session->failure, "%s", session->code > 0 ? strerror(session->code) : "it closed");
      break;
    default: {
      unsigned long code = TLS.ERR_peek_error();
      // A peer that ends without a farewell, such as a process that was killed, is no attack: frames say how long they are.
      int is_end = ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
      const char *reason = TLS.ERR_reason_error_string(code);
      *ended = is_end ? -1 : EBADMSG;
      snprintf(session->failure, sizeof session->failure, "%s", is_end ? "it closed" : reason ? reason : "no reason given");
    }
  }
  TLS.ERR_clear_error();
  return TUTTI_TLS_FAILED;
}

int tutti_tls_handshake(tutti_tls *session) {
  if (session->receiving_ended) return TUTTI_TLS_FAILED;
  TLS.ERR_clear_error();
  session->code = 0;
  int result = TLS.SSL_do_handshake(session->ssl);
  if (result != 1) return judge(session, result, &session->receiving_ended);
  // Both sides have proven the key exactly when the connection counts as a resumed one.
  if (TLS.SSL_session_reused(session->ssl) != 1 || TLS.SSL_version(session->ssl) != TLS1_3_VERSION) {
    session->receiving_ended = session->sending_ended = EBADMSG;
    snprintf(session->failure, sizeof session->failure, "the key was not used");
    return TUTTI_TLS_FAILED;
  }
  TLS.OPENSSL_cleanse(session->key, sizeof session->key);
  session->is_established = 1;
  return TUTTI_TLS_DONE;
}

// MARK: Sending

/// Sends one record, all of it or nothing. Returns 0 where there is no room, or this direction has ended.
static int send_record(tutti_tls *session, const uint8_t *bytes, size_t length, int is_more_coming) {
  // A key protects a limited number of records (RFC 8446, 5.5).
  if (session->records_left == 0) {
    if (TLS.SSL_key_update(session->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) != 1) {
      judge(session, 0, &session->sending_ended);
      return 0;
    }
    session->records_left = session->records_per_key;
    session->key_changes++;
  }
  session->is_more_coming = is_more_coming;
  session->code = 0;
  size_t written = 0;
  int result = TLS.SSL_write_ex(session->ssl, bytes, length, &written);
  if (result == 1) {
    session->records_left--;
    return 1;
  }
  judge(session, result, &session->sending_ended);
  return 0;
}

ssize_t tutti_tls_send(
    tutti_tls *session, const void *first, size_t first_length, const void *second, size_t second_length) {
  if (session->sending_ended) return session->sending_ended < 0 ? -EPIPE : -session->sending_ended;
  // Errors that other code of this thread has left would be taken for this call's.
  TLS.ERR_clear_error();
  const size_t total = first_length + second_length;
  size_t done = 0;
  while (done < total) {
    const size_t length = total - done < TUTTI_TLS_PLAINTEXT_MAX ? total - done : TUTTI_TLS_PLAINTEXT_MAX;
    const uint8_t *record;
    if (done + length <= first_length) {
      record = (const uint8_t *)first + done;
    } else if (done >= first_length) {
      record = (const uint8_t *)second + (done - first_length);
    } else {
      // A header and the beginning of what follows it travel as one.
      const size_t of_first = first_length - done;
      memcpy(session->joined, (const uint8_t *)first + done, of_first);
      memcpy(session->joined + of_first, second, length - of_first);
      record = session->joined;
    }
    if (!send_record(session, record, length, done + length < total)) break;
    done += length;
  }
  if (done > 0 || total == 0) return (ssize_t)done;
  if (!session->sending_ended) return -EAGAIN;
  return session->sending_ended < 0 ? -EPIPE : -session->sending_ended;
}

void tutti_tls_end(tutti_tls *session) {
  if (session->receiving_ended || session->sending_ended || !session->is_established) return;
  TLS.ERR_clear_error();
  session->is_more_coming = 0;
  TLS.SSL_shutdown(session->ssl);
  TLS.ERR_clear_error();
}

// MARK: Receiving

/// Receives until `length` bytes are there, nothing more has come, or the session ends.
static size_t receive_piece(tutti_tls *session, uint8_t *bytes, size_t length) {
  size_t done = 0;
  while (done < length) {
    size_t count = 0;
    session->code = 0;
    int result = TLS.SSL_read_ex(session->ssl, bytes + done, length - done, &count);
    if (result != 1) {
      if (judge(session, result, &session->receiving_ended) != TUTTI_TLS_FAILED) session->is_dry = 1;
      break;
    }
    session->is_dry = 0;
    done += count;
  }
  return done;
}

ssize_t tutti_tls_receive(tutti_tls *session, void *first, size_t first_length, void *second, size_t second_length) {
  if (session->receiving_ended) return session->receiving_ended < 0 ? 0 : -session->receiving_ended;
  TLS.ERR_clear_error();
  size_t done = receive_piece(session, first, first_length);
  if (done == first_length && second_length > 0) done += receive_piece(session, second, second_length);
  if (done > 0) return (ssize_t)done;
  if (!session->receiving_ended) return -EAGAIN;
  return session->receiving_ended < 0 ? 0 : -session->receiving_ended;
}

ssize_t tutti_tls_receive_held(tutti_tls *session, void *bytes, size_t length) {
  session->is_closed_for_input = 1;
  ssize_t moved = tutti_tls_receive(session, bytes, length, NULL, 0);
  session->is_closed_for_input = 0;
  return moved;
}
