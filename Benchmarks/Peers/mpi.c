// Measures an MPI library's collectives; one source for Open MPI and MPICH. Arguments and output: peer.h.
// The library chooses its algorithms, as it does for its users.
#include "peer.h"

#include <mpi.h>

enum { FINALIZE_SECONDS = 5 };

static void barrier(void) { MPI_Barrier(MPI_COMM_WORLD); }

static void maximum(double *values, int count) {
  MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
}

static void all_reduce(void) {
  MPI_Allreduce(peer.input, peer.output, (int)peer.count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

static void all_gather(void) {
  MPI_Allgather(peer.input, (int)peer.block, MPI_FLOAT, peer.output, (int)peer.block, MPI_FLOAT, MPI_COMM_WORLD);
}

static void reduce_scatter(void) {
  MPI_Reduce_scatter_block(peer.input, peer.output, (int)peer.block, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
}

// MPI's broadcast has one buffer: the root's input, everybody else's output.
static void broadcast(void) {
  MPI_Bcast(peer.rank == ROOT ? peer.input : peer.output, (int)peer.count, MPI_FLOAT, ROOT, MPI_COMM_WORLD);
}

static void all_to_all(void) {
  MPI_Alltoall(peer.input, (int)peer.block, MPI_FLOAT, peer.output, (int)peer.block, MPI_FLOAT, MPI_COMM_WORLD);
}

static void reduce(void) {
  MPI_Reduce(peer.input, peer.output, (int)peer.count, MPI_FLOAT, MPI_SUM, ROOT, MPI_COMM_WORLD);
}

static void gather(void) {
  MPI_Gather(peer.input, (int)peer.block, MPI_FLOAT, peer.output, (int)peer.block, MPI_FLOAT, ROOT, MPI_COMM_WORLD);
}

static void scatter(void) {
  MPI_Scatter(peer.input, (int)peer.block, MPI_FLOAT, peer.output, (int)peer.block, MPI_FLOAT, ROOT, MPI_COMM_WORLD);
}

static void (*const operations[COLLECTIVE_COUNT])(void) = {
    [ALL_REDUCE] = all_reduce, [ALL_GATHER] = all_gather, [REDUCE_SCATTER] = reduce_scatter, [BROADCAST] = broadcast,
    [ALL_TO_ALL] = all_to_all, [REDUCE] = reduce,         [GATHER] = gather,                 [SCATTER] = scatter};

static void leave(int signal_number) {
  (void)signal_number;
  _exit(0);
}

int main(int argc, char **argv) {
  struct arguments arguments = read_arguments(argc, argv);
  live_no_longer_than(arguments.deadline_seconds);
  // Errors end the job, which is MPI's default.
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &peer.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &peer.rank_count);
  peer.barrier = barrier;
  peer.maximum = maximum;
  for (int s = 0; s < arguments.size_count; s++) {
    const struct size *size = &arguments.sizes[s];
    peer.operate = operations[size->collective];
    start_size(size);
    measure(&arguments, size, "default");
  }
  // MPICH with more ranks than cores can spin in here for minutes. All results are out by now.
  signal(SIGALRM, leave);
  alarm(FINALIZE_SECONDS);
  MPI_Finalize();
}
