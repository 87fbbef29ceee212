// What the kernel tells of connections.
#include "CTuttiLinux.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int tutti_tcp_way_of(int socket, struct tutti_tcp_way *way) {
  struct tcp_info info = {0};
  socklen_t length = sizeof info;
  if (getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -1;
  way->unacknowledged = info.tcpi_unacked;
  way->retransmissions = info.tcpi_retransmits;
  way->segment_bytes = info.tcpi_snd_mss;
  return 0;
}
