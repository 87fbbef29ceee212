// A whole program: every rank gives a vector, and every rank gets the sum.
#include <stdio.h>
#include <stdlib.h>
#include <tutti.h>

static void check(tutti_code code) {
  if (code == TUTTI_OK) return;
  fprintf(stderr, "%s\n", tutti_error_last()->text); // who, what, why, and what to do
  exit(1);
}

int main(void) {
  tutti_comm *comm;
  int rank, rank_count;
  check(tutti_check_version(TUTTI_VERSION));
  check(tutti_join(NULL, &comm)); // who am I: from TUTTI_RANK, TUTTI_SIZE, TUTTI_RENDEZVOUS
  check(tutti_comm_rank(comm, &rank));
  check(tutti_comm_rank_count(comm, &rank_count));

  float gradients[1000];
  for (int i = 0; i < 1000; i++) gradients[i] = (float)(rank + 1);
  check(tutti_all_reduce(comm, gradients, gradients, 1000, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL));
  printf("rank %d of %d: %g\n", rank, rank_count, gradients[0]);

  check(tutti_comm_free(comm));
  return gradients[999] == (float)(rank_count * (rank_count + 1) / 2) ? 0 : 1;
}
