// TLS 1.3 with a pre-shared key on a connected TCP socket, by the libssl of OpenSSL 3, which is opened at run time.
#ifndef TUTTI_TLS_H
#define TUTTI_TLS_H

#include <CTuttiLinux.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Opens the library by this name, and prepares what all sessions share. Once it has succeeded, later calls do nothing.
/// Returns 0, or -1 with the reason in `why`. Calls must not overlap.
int tutti_tls_load(const char *library, char *why, size_t why_length);

/// What the opened library calls itself, such as `OpenSSL 3.0.15 3 Sep 2024`.
const char *tutti_tls_version(void);

/// One side of one connection. It uses the socket and does not own it. Calls must not overlap.
typedef struct tutti_tls tutti_tls;

/// The bytes of the key that both sides have.
#define TUTTI_TLS_KEY_BYTES 32
/// The most plaintext that one record carries (RFC 8446, 5.1), and the most bytes that a record is on the wire (5.2).
#define TUTTI_TLS_PLAINTEXT_MAX 16384
#define TUTTI_TLS_RECORD_MAX 16645

/// Makes a session; NULL where memory has run out. The library must have been loaded.
///
/// - `records_per_key`: after how many sent records this side changes its key.
tutti_tls *tutti_tls_make(int socket, int is_listener, const uint8_t *key, uint64_t records_per_key);
void tutti_tls_free(tutti_tls *session);

enum {
  TUTTI_TLS_DONE = 0,
  TUTTI_TLS_WANTS_READ = 1,
  TUTTI_TLS_WANTS_WRITE = 2,
  TUTTI_TLS_FAILED = 3,
};

/// Goes on with the handshake as far as it gets now. It reads nothing of what follows it.
int tutti_tls_handshake(tutti_tls *session);

/// Why the session failed, in words; empty while it has not.
const char *tutti_tls_failure(const tutti_tls *session);

/// As `tutti_socket_send` and `tutti_socket_receive`, but encrypted. What was not taken must be given again, with the same
/// bytes and at least as many of them, before anything else is sent. -EBADMSG: what came was not sent by the peer.
ssize_t tutti_tls_send(tutti_tls *session, const void *first, size_t first_length, const void *second, size_t second_length);
ssize_t tutti_tls_receive(tutti_tls *session, void *first, size_t first_length, void *second, size_t second_length);

/// Receives only what the session has taken from the socket already, and asks the kernel for nothing.
ssize_t tutti_tls_receive_held(tutti_tls *session, void *bytes, size_t length);

/// Whether nothing can be received until more comes at the socket. The session may hold the beginning of a record then, and
/// never a whole one.
int tutti_tls_is_dry(const tutti_tls *session);

/// Tells the peer that no more will come (close_notify), if there is room for that now and nothing is unfinished.
void tutti_tls_end(tutti_tls *session);

/// How many times this side has changed its key.
uint64_t tutti_tls_key_changes(const tutti_tls *session);

/// Sends in the clear or, where there is a session, encrypted: one test that is always the same for a connection.
static inline ssize_t tutti_stream_send(
    int socket, tutti_tls *session, const void *first, size_t first_length, const void *second, size_t second_length) {
  if (__builtin_expect(session != NULL, 0)) return tutti_tls_send(session, first, first_length, second, second_length);
  return tutti_socket_send(socket, first, first_length, second, second_length);
}

/// Receives what `tutti_stream_send` has sent.
static inline ssize_t tutti_stream_receive(
    int socket, tutti_tls *session, void *first, size_t first_length, void *second, size_t second_length) {
  if (__builtin_expect(session != NULL, 0)) return tutti_tls_receive(session, first, first_length, second, second_length);
  return tutti_socket_receive(socket, first, first_length, second, second_length);
}

#endif
