// Tutti for C and C++: collective communication between the ranks of a job. Link with -ltutti (pkg-config tutti).
//
// Everything here is about a communicator (`tutti_comm`): the membership of this process, a rank, in a fixed group of
// ranks. Ranks make the same collective calls in the same order with the same counts, types and operations; every rank gets
// the same bits. What differs is found and reported, on every rank, before any call completes.
//
// Return values. Every call returns a `tutti_code`: TUTTI_OK, or the kind of error. `tutti_error_last` tells the rest: who,
// what, why, and what to do. A call refused with TUTTI_ERROR_INVALID_ARGUMENT has changed nothing. After most other errors
// of a call that communicates, the communicator is aborted on every rank: all later calls return its first error, and the
// memory of the calls that failed is unspecified. Null pointers, wrong sizes of structures, values that no enumeration has,
// handles that were freed, and communicators of the parent of a forked process are errors like others: none of this is
// undefined behaviour.
//
// Units. Counts are elements; sizes are bytes; times are nanoseconds. Memory need not be aligned.
//
// Threads. Any call may be made from any thread. The order in which the ranks call includes which thread calls first:
// threads whose calls come at unrelated times need a communicator each (`tutti_comm_duplicate`).
//
// Ownership. `tutti_comm` is freed by `tutti_comm_free`, memory of `tutti_memory_allocate` by `tutti_memory_free`. Nothing
// else that is handed out must be freed: a `tutti_work` is a value. What the caller passes in stays the caller's; a call
// copies what it needs of it before it returns, but for the memory of started operations (see `tutti_work`).
//
// Every symbol has a version: a program that needs a newer library than it finds fails when it is loaded. Structures that
// may grow begin with their size; initialise them with the macro beside them.
#ifndef TUTTI_H
#define TUTTI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Version and errors

#define TUTTI_VERSION_MAJOR 0
#define TUTTI_VERSION_MINOR 1
#define TUTTI_VERSION_PATCH 0
/// The version of this header as one number: 1.2.3 is 10203.
#define TUTTI_VERSION (TUTTI_VERSION_MAJOR * 10000 + TUTTI_VERSION_MINOR * 100 + TUTTI_VERSION_PATCH)

/// The kinds of error. docs/ERRORS.md says what each means and what to do.
typedef enum tutti_code {
  TUTTI_OK = 0,
  TUTTI_ERROR_INVALID_ARGUMENT = 1, // cannot be used: nothing was sent or changed
  TUTTI_ERROR_CONFIGURATION = 2,    // environment or options are missing, malformed, or contradict each other
  TUTTI_ERROR_RENDEZVOUS = 3,       // the ranks could not find each other
  TUTTI_ERROR_AUTHENTICATION = 4,   // a connection did not prove the job's secret
  TUTTI_ERROR_VERSION = 5,          // ranks, or header and library, are of versions that do not fit
  TUTTI_ERROR_MISMATCH = 6,         // ranks disagree about the call they are in
  TUTTI_ERROR_TIMEOUT = 7,          // a limit of time passed; `peer` is the rank at fault
  TUTTI_ERROR_PEER_LOST = 8,        // a peer's process ended, or its host cannot be reached
  TUTTI_ERROR_TRANSPORT = 9,        // a system call or a device failed
  TUTTI_ERROR_ABORTED = 10,         // the program aborted the communicator, on this rank or another
  TUTTI_ERROR_CLOSED = 11,          // the communicator was closed, freed, or belongs to the parent of this process
  TUTTI_ERROR_UNPROVEN = 12,        // an algorithm failed its proof
  TUTTI_ERROR_RESOURCES = 13,       // memory, descriptors or another resource ran out
  TUTTI_ERROR_NON_FINITE = 14       // a gradient is infinite or not a number
} tutti_code;

/// An error in full. The texts are UTF-8, never NULL, and empty where there is nothing to say.
typedef struct tutti_error {
  size_t size;                     // of this structure in the library, which may know more members than this header
  tutti_code code;
  int rank;                        // the rank that noticed; -1 outside a communicator
  int peer;                        // the rank at fault, or waited for; -1 when no single one is
  int step;                        // the step of the algorithm that could not go on; -1 when not known
  int system_error;                // the errno of the system call that failed; 0 when none did
  uint64_t operation_number;       // of the call on its communicator, from 1; 0 outside a call
  const char *operation;           // "all-reduce sum float32 x 1024 (ring)"
  const char *transport;           // "tcp", "shm", "rdma": the one that failed
  const char *message;             // what happened, in one sentence
  const char *advice;              // what can be done
  const char *text;                // all of it in a few sentences, for people
  const struct tutti_error *cause; // the error that led to this one; NULL when there is none
} tutti_error;

/// Returns the last error of a call on this thread; NULL when there was none. Calls that succeed leave it as it is.
///
/// The error and its texts are the library's, valid until this thread's next error or its end.
const tutti_error *tutti_error_last(void);

/// Returns the name of a kind of error, such as "peer lost"; "unknown" for any other number. The text is valid for ever.
const char *tutti_code_name(tutti_code code);

/// Returns the version of the library, as TUTTI_VERSION is that of the header.
int tutti_version(void);

/// Checks that this library serves programs compiled with a header: `tutti_check_version(TUTTI_VERSION)`.
///
/// TUTTI_ERROR_VERSION where the header is newer than the library, or of another major version (before 1.0: minor version).
tutti_code tutti_check_version(int header_version);

// MARK: Elements

/// The types of elements.
typedef enum tutti_type {
  TUTTI_TYPE_INT8 = 0,
  TUTTI_TYPE_UINT8 = 1,
  TUTTI_TYPE_INT32 = 2,
  TUTTI_TYPE_UINT32 = 3,
  TUTTI_TYPE_INT64 = 4,
  TUTTI_TYPE_UINT64 = 5,
  TUTTI_TYPE_FLOAT16 = 6,
  TUTTI_TYPE_BFLOAT16 = 7,
  TUTTI_TYPE_FLOAT32 = 8,
  TUTTI_TYPE_FLOAT64 = 9,
  TUTTI_TYPE_INT16 = 10,
  TUTTI_TYPE_UINT16 = 11,
  TUTTI_TYPE_BOOL = 12 // a byte: 0 is false. A sum is true where any rank's value is, a product where all are
} tutti_type;

/// How elements are combined. Integers wrap; float16 and bfloat16 are combined in float32.
typedef enum tutti_op {
  TUTTI_OP_SUM = 0,
  TUTTI_OP_PRODUCT = 1,
  TUTTI_OP_MIN = 2, // IEEE 754: -0 < +0, and a NaN on any rank gives the one canonical NaN
  TUTTI_OP_MAX = 3,
  TUTTI_OP_BITWISE_AND = 4, // this and the next two: integers and bool only
  TUTTI_OP_BITWISE_OR = 5,
  TUTTI_OP_BITWISE_XOR = 6,
  TUTTI_OP_AVERAGE = 7 // the sum divided by the rank count: floating point only
} tutti_op;

/// Stores the size of an element in bytes.
tutti_code tutti_type_size(tutti_type type, size_t *bytes);

// MARK: Joining

/// A rank's membership of a group of ranks. Opaque; freed by `tutti_comm_free`.
typedef struct tutti_comm tutti_comm;

/// Which transport carries the data. Where the one asked for cannot, that is an error; no other takes its place.
typedef enum tutti_transport {
  TUTTI_TRANSPORT_AUTO = 0,          // shared memory inside a host, RDMA between hosts that share a fabric, else TCP
  TUTTI_TRANSPORT_SHARED_MEMORY = 1,
  TUTTI_TRANSPORT_TCP = 2,
  TUTTI_TRANSPORT_RDMA = 3
} tutti_transport;

/// The secret that every connection of a communicator must prove to know. The same on all ranks.
typedef enum tutti_secret {
  TUTTI_SECRET_ENVIRONMENT = 0, // TUTTI_SECRET or TUTTI_SECRET_FILE
  TUTTI_SECRET_BYTES = 1,       // `secret` and `secret_bytes`: random ones, 32 for example; never sent
  TUTTI_SECRET_PUBLISHED = 2    // drawn by rank 0 and left in the rendezvous: for stores that nobody else reaches
} tutti_secret;

/// What the bits of floating-point sums, products and averages may depend on (docs/REPRODUCIBILITY.md).
typedef enum tutti_bits {
  TUTTI_BITS_ENVIRONMENT = 0, // what the variable TUTTI_BITS says, or else as TUTTI_BITS_CLASS
  TUTTI_BITS_ANY = 1,         // on everything: the library takes whatever is fastest
  TUTTI_BITS_CLASS = 2,       // on the data, and the ranks in their groups
  TUTTI_BITS_CANONICAL = 3    // on the data, and the number of ranks
} tutti_bits;

/// How a communicator is made. Equal on all ranks, but for the limits of time. NULL stands for TUTTI_OPTIONS_INIT.
typedef struct tutti_options {
  size_t size;
  tutti_transport transport;
  tutti_secret secret_kind;
  const void *secret;
  size_t secret_bytes;
  int64_t timeout_ns;        // limit of an operation that sets none of its own; 0 for 300 seconds
  int64_t join_timeout_ns;   // limit of joining; 0 for TUTTI_TIMEOUT, or else 60 seconds and 1/8 second for each rank
  int checks_strictly;       // 1: all ranks agree on each call before it begins, at the cost of a small all-reduce a call
  const char *topology_file; // a description of the network; NULL for what ranks know of one another (docs/TOPOLOGIES.md)
  tutti_bits bits;
  const char *tuning_file;   // measurements of the machines; NULL for TUTTI_TUNING, or the user's file (docs/TUNING.md)
  int tls;                   // 1: connections over TCP speak TLS 1.3 (docs/SECURITY.md); 0 for what TUTTI_TLS says
} tutti_options;

#define TUTTI_OPTIONS_INIT \
  {sizeof(tutti_options), TUTTI_TRANSPORT_AUTO, TUTTI_SECRET_ENVIRONMENT, NULL, 0, 0, 0, 0, NULL, \
   TUTTI_BITS_ENVIRONMENT, NULL, 0}

/// Joins the other ranks of the job that launched this process, and returns when all of them have.
///
/// Who this process is comes from the environment, as in Swift's `Communicator.join()`: TUTTI_RANK, TUTTI_SIZE,
/// TUTTI_RENDEZVOUS, or RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT.
///
/// - options: NULL for the usual ones. The secret is the environment's.
/// - comm: is given the communicator; NULL after an error.
tutti_code tutti_join(const tutti_options *options, tutti_comm **comm);

/// Joins the ranks that meet at an address that all of them know, and returns when all of them have.
///
/// - rank: this rank, from 0 to rank_count - 1.
/// - address: "host:port", "[IPv6]:port", or "unix:@name" for ranks of one host: where rank 0 listens.
/// - listener: -1; or on rank 0 a stream socket that listens there already, so that nobody can take the port in between:
///   bind one to port 0, ask for its port, tell the others, and join. It is the library's from here on, also after an
///   error.
/// - comm: is given the communicator; NULL after an error.
tutti_code tutti_join_address(
    int rank, int rank_count, const char *address, int listener, const tutti_options *options, tutti_comm **comm);

/// What a function of a `tutti_rendezvous` returns: one of these, or any other number for an error of its own.
enum {
  TUTTI_RENDEZVOUS_OK = 0,
  TUTTI_RENDEZVOUS_NOTHING = 1 // nothing is stored under the key, or nothing was until the limit of time
};

/// The largest value that is put, in bytes; the longest key has 64.
#define TUTTI_RENDEZVOUS_VALUE_MAX 1000

/// A store of the caller's, where ranks that do not know each other yet leave values for each other: keys and values are
/// plain words, for any key-value space.
///
/// Rank 0 puts one value; every other rank waits for it once, and gets it again while rank 0 cannot be reached. The
/// functions are called from threads of the library's own, one at a time. One that does not return by `timeout_ns` is left
/// behind and must do no harm when it goes on. They must not throw C++ exceptions, nor leave by longjmp.
typedef struct tutti_rendezvous {
  size_t size;
  void *context; // handed to each function
  /// Stores `bytes` bytes under `key`, a null-terminated text, in place of what was there.
  int (*put)(void *context, const char *key, const void *value, size_t bytes, int64_t timeout_ns);
  /// Copies what is stored under `key` now to `value`, which has room for TUTTI_RENDEZVOUS_VALUE_MAX, and its size to
  /// `bytes`.
  int (*get)(void *context, const char *key, void *value, size_t *bytes, int64_t timeout_ns);
  /// Waits until something is stored under `key`, and copies it as `get` does. NULL: `get` is called again and again.
  int (*wait)(void *context, const char *key, void *value, size_t *bytes, int64_t timeout_ns);
  /// Is called once, when no function will be called any more and none is running; from any thread. May be NULL.
  void (*release)(void *context);
} tutti_rendezvous;

#define TUTTI_RENDEZVOUS_INIT {sizeof(tutti_rendezvous), NULL, NULL, NULL, NULL, NULL}

/// Joins the ranks that meet over a store of the caller's, and returns when all of them have.
///
/// This needs no existing communicator, so members alone can make a group; several threads may join several at once.
///
/// - rendezvous: copied.
/// - name: what distinguishes this communicator from every other one that ever meets over the store: 1 to 58 letters,
///   digits and `.`, `_`, `-`, `/`. NULL for "main".
/// - comm: is given the communicator; NULL after an error.
tutti_code tutti_join_rendezvous(
    int rank, int rank_count, const tutti_rendezvous *rendezvous, const char *name, const tutti_options *options,
    tutti_comm **comm);

/// Makes a communicator whose ranks are threads of this process, for tests: element r of `comms` is for the thread of rank
/// r.
///
/// - rank_count: 1 to 512.
/// - comms: room for `rank_count` pointers; each is freed on its own.
tutti_code tutti_make_in_process(int rank_count, const tutti_options *options, tutti_comm **comms);

// MARK: Communicators

/// Stores this rank's number, from 0 to the rank count - 1.
tutti_code tutti_comm_rank(const tutti_comm *comm, int *rank);

/// Stores the number of ranks.
tutti_code tutti_comm_rank_count(const tutti_comm *comm, int *rank_count);

/// The color of a rank that takes part in a split and in no part.
#define TUTTI_NO_COLOR INT64_MIN

/// Divides the ranks into communicators of their own, one for each color. Every rank calls it.
///
/// - color: ranks with equal ones form a communicator; TUTTI_NO_COLOR for none.
/// - key: the new ranks are in the order of their keys, and for equal keys in that of their ranks here.
/// - timeout_ns: limit of waiting for all ranks, and then of connecting them; 0 for the communicator's.
/// - part: is given the communicator of this rank's color; NULL for TUTTI_NO_COLOR, and after an error.
tutti_code tutti_comm_split(tutti_comm *comm, int64_t color, int64_t key, int64_t timeout_ns, tutti_comm **part);

/// Makes a communicator of the same ranks with the same numbers, independent of this one. Every rank calls it.
tutti_code tutti_comm_duplicate(tutti_comm *comm, int64_t timeout_ns, tutti_comm **duplicate);

/// Writes how the last collective ran: "ring over shm+tcp". Cut off where `bytes` is too small; always null-terminated.
///
/// - bytes: the room in `text`, at least 1.
tutti_code tutti_comm_last_operation(const tutti_comm *comm, char *text, size_t bytes);

/// Aborts the communicator on every rank: all pending and later calls return TUTTI_ERROR_ABORTED with this reason. It waits
/// for no other rank, and any thread may call it.
tutti_code tutti_comm_abort(tutti_comm *comm, const char *reason);

/// Ends this rank's membership, after its last operation: later calls return TUTTI_ERROR_CLOSED. Peers do not mistake this
/// for the death of a process. Blocks until what was sent has arrived, for a second at most in which nothing
/// arrives, and a minute in all. Idempotent.
tutti_code tutti_comm_close(tutti_comm *comm);

/// Closes the communicator if it is not closed, and frees it. NULL is ignored.
///
/// No call on it may be running on another thread. Later calls with the handle return TUTTI_ERROR_CLOSED: handles are never
/// used again.
tutti_code tutti_comm_free(tutti_comm *comm);

// MARK: Started operations

/// A started operation, send or receive. A value: copy it as you like, and throw it away when you like; that cancels
/// nothing.
///
/// The memory of a started operation belongs to it until it has ended: do not write what it reads, nor touch what it
/// writes.
typedef struct tutti_work {
  uint64_t opaque[4];
} tutti_work;

/// What a single call may set. NULL stands for TUTTI_CALL_INIT.
typedef struct tutti_call {
  size_t size;
  int64_t timeout_ns;    // limit of the whole operation; 0 for the communicator's
  const char *algorithm; // a name of `collbench list`, the same on every rank; NULL for the communicator's choice
} tutti_call;

#define TUTTI_CALL_INIT {sizeof(tutti_call), 0, NULL}

/// Blocks until the operation has ended; this thread makes the progress meanwhile. Several threads may wait for one.
tutti_code tutti_work_wait(const tutti_work *work);

/// Waits for `count` operations, of any communicators. Returns the first error in their order, after which it waits for no
/// more.
tutti_code tutti_work_wait_all(const tutti_work *works, size_t count);

/// Blocks until the operation has ended, but no longer than `timeout_ns`; 0 to look and make some progress.
///
/// - done: is set to 1 when the operation has ended, to 0 when the time passed first and the operation goes on.
tutti_code tutti_work_wait_for(const tutti_work *work, int64_t timeout_ns, int *done);

/// Calls `callback` once, when the operation has ended, with its code; after an error, `tutti_error_last` tells the rest
/// there.
///
/// It is called on the one thread that the library has for callbacks in this process, in the order in which operations end,
/// also when the operation has ended already. It may make calls, and block: callbacks of operations that end meanwhile wait
/// for it. It must not throw C++ exceptions, nor leave by longjmp.
tutti_code tutti_work_when_ended(
    const tutti_work *work, void (*callback)(void *context, tutti_code code), void *context);

// MARK: Collectives
//
// In all of them:
// - work: NULL to return when the operation has ended on this rank. Otherwise it is started, and `work` is given the
//   operation: the call returns at once, but for opening links; with `checks_strictly`, once all ranks have started it.
// - options: NULL, or the limit of time and algorithm of this call.
// - input and output: apart from each other, or in place: where both are all the data, the same address; where one is a
//   part of the other, this rank's block of the whole.
// - NULL for memory of no elements, and for memory that this rank does not need.

/// Combines the input of all ranks element-wise and leaves the result in every rank's output.
///
/// - input, output: `count` elements; the same address for in place.
tutti_code tutti_all_reduce(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, tutti_op op, const tutti_call *options,
    tutti_work *work);

/// Combines the input of all ranks element-wise and leaves the result in the root's output.
///
/// - output: `count` elements on the root, ignored elsewhere.
tutti_code tutti_reduce(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, tutti_op op, int root,
    const tutti_call *options, tutti_work *work);

/// Combines the input of all ranks element-wise and leaves block r of the result in the output of rank r.
///
/// - input: `count` elements for each rank, in rank order.
/// - output: `count` elements.
tutti_code tutti_reduce_scatter(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, tutti_op op, const tutti_call *options,
    tutti_work *work);

/// Combines the input of all ranks as `tutti_reduce_scatter`, in blocks of different sizes.
///
/// - counts: the elements of each rank's block, as many as there are ranks; the same on every rank.
tutti_code tutti_reduce_scatter_v(
    tutti_comm *comm, const void *input, void *output, const size_t *counts, tutti_type type, tutti_op op,
    const tutti_call *options, tutti_work *work);

/// Leaves the root's input in every rank's output, the root's included.
///
/// - input: `count` elements on the root, ignored elsewhere.
tutti_code tutti_broadcast(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, int root, const tutti_call *options,
    tutti_work *work);

/// Leaves the input of all ranks, in rank order, in the root's output.
///
/// - input: `count` elements.
/// - output: `count` elements for each rank on the root, ignored elsewhere.
tutti_code tutti_gather(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, int root, const tutti_call *options,
    tutti_work *work);

/// Gathers as `tutti_gather`, in blocks of different sizes.
///
/// - counts: the elements of each rank's block; the same on every rank.
tutti_code tutti_gather_v(
    tutti_comm *comm, const void *input, void *output, const size_t *counts, tutti_type type, int root,
    const tutti_call *options, tutti_work *work);

/// Leaves block r of the root's input in the output of rank r.
///
/// - input: `count` elements for each rank on the root, ignored elsewhere.
/// - output: `count` elements.
tutti_code tutti_scatter(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, int root, const tutti_call *options,
    tutti_work *work);

/// Scatters as `tutti_scatter`, in blocks of different sizes.
///
/// - counts: the elements of each rank's block; the same on every rank.
tutti_code tutti_scatter_v(
    tutti_comm *comm, const void *input, void *output, const size_t *counts, tutti_type type, int root,
    const tutti_call *options, tutti_work *work);

/// Leaves the input of all ranks, in rank order, in every rank's output.
///
/// - input: `count` elements.
/// - output: `count` elements for each rank.
tutti_code tutti_all_gather(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, const tutti_call *options,
    tutti_work *work);

/// Gathers as `tutti_all_gather`, in blocks of different sizes.
///
/// - counts: the elements of each rank's block; the same on every rank.
tutti_code tutti_all_gather_v(
    tutti_comm *comm, const void *input, void *output, const size_t *counts, tutti_type type, const tutti_call *options,
    tutti_work *work);

/// Leaves block q of rank p's input in block p of rank q's output, for every p and q.
///
/// - input, output: `count` elements for each rank.
tutti_code tutti_all_to_all(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, const tutti_call *options,
    tutti_work *work);

/// Exchanges as `tutti_all_to_all`, in blocks of different sizes; not in place.
///
/// - send_counts, receive_counts: the elements that go to each rank, and those that come from each.
tutti_code tutti_all_to_all_v(
    tutti_comm *comm, const void *input, const size_t *send_counts, void *output, const size_t *receive_counts,
    tutti_type type, const tutti_call *options, tutti_work *work);

/// Ends once every rank has called it.
tutti_code tutti_barrier(tutti_comm *comm, const tutti_call *options, tutti_work *work);

/// Ends once every rank has called it; where not all come in time, TUTTI_ERROR_TIMEOUT, whose text names all that have not.
///
/// - timeout_ns: how long to wait for all ranks; 0 for the communicator's limit.
tutti_code tutti_monitored_barrier(tutti_comm *comm, int64_t timeout_ns);

// MARK: Scaled sums, lists, and several operations as one

/// Combines as `tutti_all_reduce` with TUTTI_OP_SUM after each rank's input was multiplied by its `factor`.
///
/// - type: floating point.
tutti_code tutti_all_reduce_scaled(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, double factor,
    const tutti_call *options, tutti_work *work);

/// Combines as `tutti_reduce_scatter` with TUTTI_OP_SUM after each rank's input was multiplied by its `factor`.
///
/// - type: floating point.
tutti_code tutti_reduce_scatter_scaled(
    tutti_comm *comm, const void *input, void *output, size_t count, tutti_type type, double factor,
    const tutti_call *options, tutti_work *work);

/// Gathers as `tutti_all_gather_v`, each rank's block into memory of its own.
///
/// - outputs: an address for each rank.
/// - counts: the elements of each rank's block; the same on every rank.
tutti_code tutti_all_gather_list(
    tutti_comm *comm, const void *input, void *const *outputs, const size_t *counts, tutti_type type,
    const tutti_call *options, tutti_work *work);

/// Combines as `tutti_reduce_scatter_v`, with each block in memory of its own.
///
/// - inputs: for each rank, the address of this rank's contribution to that rank's block.
/// - counts: the elements of each rank's block; the same on every rank.
tutti_code tutti_reduce_scatter_list(
    tutti_comm *comm, const void *const *inputs, void *output, const size_t *counts, tutti_type type, tutti_op op,
    const tutti_call *options, tutti_work *work);

/// Makes one operation of several started ones of one communicator: it has ended when all have, and its callback is called
/// once. Collectives on many small tensors are started one by one, and waited for as one.
tutti_code tutti_work_combine(const tutti_work *works, size_t count, tutti_work *combined);

// MARK: Send and receive
//
// Messages are matched by order: the k-th send from one rank to another meets the k-th receive there from that rank, with
// the same count and type. `work` and `options` are as for collectives; an algorithm has no meaning here and is refused.

/// Sends `count` elements to rank `peer`. Ends once `data` may be written again.
tutti_code tutti_send(
    tutti_comm *comm, const void *data, size_t count, tutti_type type, int peer, const tutti_call *options,
    tutti_work *work);

/// Receives `count` elements from rank `peer`.
tutti_code tutti_receive(
    tutti_comm *comm, void *data, size_t count, tutti_type type, int peer, const tutti_call *options, tutti_work *work);

/// Sends to one rank and receives from another, or the same, at the same time; returns once both have ended.
tutti_code tutti_send_receive(
    tutti_comm *comm, const void *data, size_t count, int receiver, void *destination, size_t destination_count, int sender,
    tutti_type type, const tutti_call *options);

/// What stands for any rank in a receive with a tag.
#define TUTTI_ANY_RANK (-1)

/// Sends `count` elements with a tag to rank `peer`. The receiver chooses by tags: messages of one rank with one tag are
/// received in the order in which they were sent, others in any order.
///
/// Two ranks of a communicator exchange either messages with tags or messages without: where they mix both, a send meets a
/// receive of the other kind, which is an error.
tutti_code tutti_send_tagged(
    tutti_comm *comm, const void *data, size_t count, tutti_type type, int peer, int64_t tag, const tutti_call *options,
    tutti_work *work);

/// Receives `count` elements with a tag from rank `peer`, or from any.
///
/// - peer: a rank, or TUTTI_ANY_RANK.
/// - source: is given the rank that the message is from, before the receive ends; it belongs to a started receive like its
///   memory. May be NULL.
tutti_code tutti_receive_tagged(
    tutti_comm *comm, void *data, size_t count, tutti_type type, int peer, int64_t tag, int *source,
    const tutti_call *options, tutti_work *work);

// MARK: Memory

/// Allocates memory that the ranks of this host read and write in place, and that RDMA moves without copies: large calls on
/// it move each byte once. Not a collective call. Page-aligned and zero; ordinary memory where no other rank could reach
/// it.
tutti_code tutti_memory_allocate(tutti_comm *comm, size_t bytes, void **memory);

/// Frees memory of `tutti_memory_allocate`, before or after its communicator. NULL is ignored. No operation may be using
/// it.
tutti_code tutti_memory_free(void *memory);

/// Lets RDMA move memory of the caller's own without a copy; other transports move it as before. Its pages are pinned.
tutti_code tutti_memory_register(tutti_comm *comm, void *memory, size_t bytes);

/// Undoes `tutti_memory_register` for the same memory, which may be freed afterwards. No operation may be using it.
tutti_code tutti_memory_unregister(tutti_comm *comm, void *memory, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
