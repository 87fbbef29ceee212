// What libssl reads and writes through. OpenSSL's own BIO for sockets writes with write(2), which raises SIGPIPE, and reads
// the five bytes of a record's header with a system call of their own.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "Session.h"

/// A record's header.
#define HEADER_BYTES 5
/// A record of which more than this is missing is read together with the next record's header, and no more.
#define SMALL_BYTES 4096

static int retry(BIO *bio, int flag) {
  tutti_tls_library.BIO_set_flags(bio, flag | BIO_FLAGS_SHOULD_RETRY);
  return 0;
}

static int socket_write(BIO *bio, const char *bytes, size_t length, size_t *written) {
  tutti_tls *session = tutti_tls_library.BIO_get_data(bio);
  tutti_tls_library.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (session->is_more_coming ? MSG_MORE : 0);
  ssize_t moved;
  do {
    moved = send(session->socket, bytes, length, flags);
  } while (moved < 0 && errno == EINTR);
  *written = moved > 0 ? (size_t)moved : 0;
  if (moved > 0) return 1;
  session->code = errno;
  return session->code == EAGAIN ? retry(bio, BIO_FLAGS_WRITE) : 0;
}

/// Reads what is asked for and, in the same system call, what follows it: whole small records or, after a large one, the
/// next record's header. During the handshake it reads no further, because whoever comes next polls the socket.
static int socket_read(BIO *bio, char *bytes, size_t length, size_t *received) {
  tutti_tls *session = tutti_tls_library.BIO_get_data(bio);
  tutti_tls_library.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  size_t held = session->ahead_end - session->ahead_start;
  if (held > 0) {
    size_t taken = held < length ? held : length;
    memcpy(bytes, session->ahead + session->ahead_start, taken);
    session->ahead_start += taken;
    *received = taken;
    return 1;
  }
  *received = 0;
  if (session->is_closed_for_input) return retry(bio, BIO_FLAGS_READ);
  size_t further = length > SMALL_BYTES ? HEADER_BYTES : sizeof session->ahead;
  struct iovec parts[2] = {{bytes, length}, {session->ahead, session->is_established ? further : 0}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t moved;
  do {
    moved = recvmsg(session->socket, &message, MSG_DONTWAIT);
  } while (moved < 0 && errno == EINTR);
  if (moved <= 0) {
    session->code = moved < 0 ? errno : 0;
    return session->code == EAGAIN ? retry(bio, BIO_FLAGS_READ) : 0;
  }
  session->ahead_start = 0;
  session->ahead_end = (size_t)moved > length ? (size_t)moved - length : 0;
  *received = (size_t)moved < length ? (size_t)moved : length;
  return 1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer) {
  (void)bio;
  (void)number;
  (void)pointer;
  // Nothing is buffered on the way out, so a flush is always done. Everything else is answered with no.
  return command == BIO_CTRL_FLUSH;
}

BIO *tutti_tls_make_bio(tutti_tls *session) {
  // One for all sessions: `tutti_tls_make` is called from several threads, and of two that are made at once both will do.
  static BIO_METHOD *_Atomic shared = NULL;
  BIO_METHOD *method = shared;
  if (!method) {
    method = tutti_tls_library.BIO_meth_new(BIO_TYPE_SOURCE_SINK, "a socket of tutti");
    if (!method) return NULL;
    tutti_tls_library.BIO_meth_set_write_ex(method, socket_write);
    tutti_tls_library.BIO_meth_set_read_ex(method, socket_read);
    tutti_tls_library.BIO_meth_set_ctrl(method, socket_control);
    shared = method;
  }
  BIO *bio = tutti_tls_library.BIO_new(method);
  if (!bio) return NULL;
  tutti_tls_library.BIO_set_data(bio, session);
  tutti_tls_library.BIO_set_init(bio, 1);
  return bio;
}
