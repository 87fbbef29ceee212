// The floor of a small all-reduce over TCP on loopback: both processes send all of their input and receive all of
// the other's on one non-blocking socket, without ever sleeping, and add.
#include "floor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum { BYTES_MAX = 1 << 20 };
static float input[BYTES_MAX / 4], received[BYTES_MAX / 4], result[BYTES_MAX / 4];
static int connection;

/// Sends and receives `bytes` at the same time: neither side's buffers can make the other wait for ever.
static void exchange(const void *out, void *in, size_t bytes) {
  size_t sent = 0, got = 0;
  unsigned attempts = 0;
  while (sent < bytes || got < bytes) {
    if (sent < bytes) {
      ssize_t n = send(connection, (const char *)out + sent, bytes - sent, MSG_NOSIGNAL);
      if (n > 0) sent += (size_t)n;
      if (n < 0 && errno != EAGAIN && errno != EINTR) fail("send");
    }
    if (got < bytes) {
      ssize_t n = recv(connection, (char *)in + got, bytes - got, 0);
      if (n > 0) got += (size_t)n;
      if (n == 0) fail("the other process closed the connection");
      if (n < 0 && errno != EAGAIN && errno != EINTR) fail("recv");
      if (n < 0 && ++attempts % 256 == 0) sched_yield(); // as wait_a_little(), counted in system calls
    }
  }
}

static void connect_pair(int listener, const struct sockaddr_in *address) {
  if (pair.rank == 0) {
    connection = accept(listener, NULL, NULL);
    if (connection < 0) fail("accept");
  } else {
    connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0) fail("socket");
    if (connect(connection, (const struct sockaddr *)address, sizeof *address) != 0) fail("connect");
  }
  int one = 1;
  if (setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0) fail("TCP_NODELAY");
  if (fcntl(connection, F_SETFL, O_NONBLOCK) != 0) fail("O_NONBLOCK");
}

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv, BYTES_MAX);
  int iterations = arguments.iterations ? arguments.iterations : 5000;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  if (listener < 0) fail("socket");
  if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) fail("bind");
  if (listen(listener, 1) != 0) fail("listen");
  if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) fail("getsockname");
  start_pair();
  connect_pair(listener, &address);
  for (int s = 0; s < arguments.size_count; s++) {
    size_t bytes = arguments.sizes[s];
    for (int i = -iterations / 10; i < iterations; i++) {
      barrier();
      double start = now_us();
      exchange(input, received, bytes);
      for (size_t k = 0; k < bytes / sizeof(float); k++) result[k] = input[k] + received[k];
      double us = now_us() - start;
      if (i >= 0) record(i, us);
      // The compiler must not drop the additions.
      __asm__ volatile("" : : "r"(result) : "memory");
    }
    barrier();
    report("tcp", bytes, median_of_maxima(iterations));
    barrier();
  }
  end_pair();
}
