// Makes all-reduces of 8 bytes in a communicator of one rank, as Sources/small-calls does in Swift.

#include <stdio.h>
#include <stdlib.h>
#include <tutti.h>

static void check(tutti_code code) {
  if (code != TUTTI_OK) {
    fprintf(stderr, "small-calls: %s\n", tutti_code_name(code));
    exit(1);
  }
}

int main(int count, char **arguments) {
  const long calls = count == 2 ? atol(arguments[1]) : 0;
  if (calls <= 0) {
    fprintf(stderr, "usage: small-calls CALLS\n");
    return 2;
  }
  tutti_comm *comm = NULL;
  check(tutti_make_in_process(1, NULL, &comm));
  float values[2] = {1, 1};
  for (long call = 0; call < calls; call++) {
    check(tutti_all_reduce(comm, values, values, 2, TUTTI_TYPE_FLOAT32, TUTTI_OP_SUM, NULL, NULL));
  }
  if (values[0] != 1 || values[1] != 1) {
    fprintf(stderr, "small-calls: the sum over one rank is %g, not 1\n", values[0]);
    return 1;
  }
  tutti_comm_free(comm);
  return 0;
}
