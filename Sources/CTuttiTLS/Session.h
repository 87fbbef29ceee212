// A session's state, and what libssl reads and writes through. Within this target only.
#ifndef TUTTI_TLS_SESSION_H
#define TUTTI_TLS_SESSION_H

#include "CTuttiTLS.h"
#include "Library.h"

/// How much more than the library asks for is taken from the socket where records are small.
#define TUTTI_TLS_AHEAD_BYTES 8192

struct tutti_tls {
  SSL *ssl;
  int socket;
  uint8_t key[TUTTI_TLS_KEY_BYTES];
  /// More will be sent right after this, so that the kernel need not send a packet that is not full.
  int is_more_coming;
  /// The kernel is not to be asked for input.
  int is_closed_for_input;
  int is_established;
  int is_dry;
  /// What ended each direction: -1 for the end of the stream, else an `errno`; 0 while it goes on. What a peer sent before
  /// it left can still be received where nothing can be sent.
  int receiving_ended;
  int sending_ended;
  char failure[96];
  uint64_t records_per_key;
  uint64_t records_left;
  uint64_t key_changes;
  /// What the kernel said last.
  int code;
  /// `ahead_start..<ahead_end` of it has come and the library has not asked for it.
  size_t ahead_start;
  size_t ahead_end;
  uint8_t ahead[TUTTI_TLS_AHEAD_BYTES];
  /// A record that is put together from two pieces.
  uint8_t joined[TUTTI_TLS_PLAINTEXT_MAX];
};

/// A BIO over the session's socket; NULL where memory has run out.
BIO *tutti_tls_make_bio(tutti_tls *session);

#endif
