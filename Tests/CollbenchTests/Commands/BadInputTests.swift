import Foundation
import Testing

/// Whatever a user gets wrong ends at once, with a message that says what and what to do, and with nothing on standard
/// output.
@Suite struct BadInputTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var arguments: String
    var says: [String]
    var environment: [String: String] = [:]
    var testDescription: String { arguments.isEmpty ? "(nothing)" : arguments }
  }

  static let cases: [Case] = [
    Case(arguments: "", says: ["collective"]),
    Case(arguments: "all-reduc --ranks 2", says: ["unknown collective 'all-reduc'", "Did you mean 'all-reduce'?"]),
    Case(arguments: "verfy", says: ["unknown collective 'verfy'", "command 'verify'"]),
    Case(arguments: "all-reduce --ranks 2 --frobnicate", says: ["--frobnicate"]),
    Case(arguments: "all-reduce --ranks 2 --algorithm rign", says: ["'rign'", "Did you mean 'ring'?", "two-shot"]),
    Case(arguments: "barrier --ranks 2 --algorithm ring", says: ["unknown barrier algorithm 'ring'", "dissemination"]),
    Case(arguments: "all-reduce --ranks 2 --dtype float23", says: ["unknown type", "float32"]),
    Case(arguments: "all-reduce --ranks 2 --op mean", says: ["unknown operation", "sum, product, min, max"]),
    Case(arguments: "all-reduce --ranks 2 --transport tpc", says: ["unknown transport", "Did you mean 'tcp'?"]),
    Case(arguments: "all-reduce --ranks 2 --format xml", says: ["unknown format", "table, json, csv"]),
    Case(arguments: "all-reduce --ranks 0", says: ["--ranks 0", "1 to 512"]),
    Case(arguments: "all-reduce --ranks 513", says: ["--ranks 513", "1 to 512"]),
    Case(arguments: "all-reduce --ranks two", says: ["'two'", "--ranks"]),
    Case(arguments: "all-reduce --hosts a:2,b:x", says: ["--hosts, column 7", "'x' is not a number of ranks from 1"]),
    Case(arguments: "all-reduce --hosts a,a", says: ["--hosts, column 3", "named twice"]),
    Case(arguments: "all-reduce --hosts a --ranks 2", says: ["--ranks and --hosts exclude each other"]),
    Case(arguments: "all-reduce --hosts a --hostfile b", says: ["--hosts and --hostfile exclude each other"]),
    Case(arguments: "all-reduce --hostfile /", says: ["the hostfile / is a folder"]),
    Case(arguments: "all-reduce --hostfile /no/such/file", says: ["/no/such/file cannot be read: No such file"]),
    Case(arguments: "all-reduce --ranks 2 --rsh ssh", says: ["--rsh is for ranks on hosts", "--hosts or --hostfile"]),
    Case(arguments: "all-reduce --hosts a --rsh |", says: ["--rsh, column 1", "would need a shell"]),
    Case(arguments: "all-reduce --hosts a --connect-timeout 0", says: ["--connect-timeout 0", "more than 0"]),
    Case(arguments: "all-reduce --hosts a:2 --transport inprocess", says: ["inprocess", "--ranks N"]),
    Case(arguments: "broadcast --hosts a:2 --root 2", says: ["--root 2", "0 to 1"]),
    Case(arguments: "topology probe --hosts a:2,b:0", says: ["--hosts, column 7: 0 ranks"]),
    Case(arguments: "all-reduce --hosts a:2", says: ["--hosts starts", "TUTTI_RANK"], environment: ["TUTTI_RANK": "0"]),
    Case(arguments: "all-reduce --ranks 2 --sizes 8,", says: ["--sizes", "''"]),
    Case(arguments: "all-reduce --ranks 2 --sizes 4X", says: ["'4X'", "8, 4K, 2M, 1G"]),
    Case(arguments: "all-reduce --ranks 2 --sizes -8", says: ["--sizes"]),
    Case(arguments: "all-reduce --ranks 2 --sizes 6", says: ["6 is not a multiple of the 4 bytes of float32", "4."]),
    Case(arguments: "all-reduce --ranks 2 --min-bytes 12 --dtype int64", says: ["--min-bytes", "not a multiple"]),
    Case(arguments: "all-reduce --ranks 2 --sizes 99999999999G", says: ["'99999999999G'", "8 EiB"]),
    Case(arguments: "all-reduce --ranks 2 --sizes 4000000G", says: ["do not fit", "available"]),
    Case(arguments: "all-reduce --ranks 512 --sizes 8G", says: ["512 ranks", "do not fit", "--in-place"]),
    Case(arguments: "all-reduce --ranks 2 --sizes 8 --min-bytes 8", says: ["exclude each other"]),
    Case(arguments: "all-reduce --ranks 2 --min-bytes 4K --max-bytes 8", says: ["--min-bytes 4K is more than"]),
    Case(arguments: "all-reduce --ranks 2 --min-bytes 0", says: ["--sizes 0"]),
    Case(arguments: "all-reduce --ranks 2 --factor 1", says: ["--factor 1", "at least 2"]),
    Case(arguments: "barrier --ranks 2 --sizes 8", says: ["barrier carries no data"]),
    Case(arguments: "barrier --ranks 2 --in-place", says: ["barrier carries no data", "--in-place"]),
    Case(arguments: "barrier --ranks 2 --registered", says: ["barrier carries no data", "--registered"]),
    Case(arguments: "barrier --ranks 2 --unaligned", says: ["barrier carries no data", "--unaligned"]),
    Case(arguments: "barrier --ranks 2 --dtype all", says: ["barrier carries no data", "--dtype"]),
    Case(arguments: "all-gather --ranks 2 --op all", says: ["does not combine data", "--op"]),
    Case(arguments: "all-reduce --ranks 2 --dtype all --sizes 4", says: ["4 is not a multiple of the 8 bytes of"]),
    Case(arguments: "all-reduce --ranks 2 --duration 0", says: ["--duration 0", "more than 0"]),
    Case(arguments: "all-reduce --ranks 2 --duration 1 --iterations 2", says: ["--duration and --iterations exclude"]),
    Case(
      arguments: "all-reduce --ranks 2 --registered --transport tcp",
      says: ["--registered", "over tcp", "--transport shm, rdma or auto"]),
    Case(arguments: "all-reduce --ranks 2 --registered --transport inprocess", says: ["--registered", "over inprocess"]),
    Case(arguments: "all-reduce --ranks 2 --registered --transport inprocess", says: ["--registered", "shm, rdma or auto"]),
    Case(arguments: "all-reduce --ranks 2 --transport rmda", says: ["unknown transport 'rmda'", "Did you mean 'rdma'"]),
    Case(arguments: "all-reduce --ranks 1 --registered", says: ["--registered", "no other rank"]),
    Case(arguments: "all-reduce --ranks 2 --op average --dtype int32", says: ["average", "int32", "float16, bfloat16"]),
    Case(arguments: "reduce --ranks 2 --op bitwise-xor", says: ["bitwise-xor", "float32", "int8, uint8"]),
    Case(arguments: "broadcast --ranks 2 --op max", says: ["broadcast does not combine data", "--op"]),
    Case(arguments: "broadcast --ranks 2 --root 2", says: ["--root 2", "0 to 1"]),
    Case(arguments: "gather --ranks 2 --root -1", says: ["--root"]),
    Case(arguments: "scatter --ranks 2 --root first", says: ["'first'", "--root"]),
    Case(
      arguments: "all-to-all --ranks 2 --root 0", says: ["all-to-all has no root", "broadcast, reduce, gather, scatter"]),
    Case(arguments: "send-receive --ranks 2 --root 0", says: ["send-receive has no root"]),
    Case(arguments: "send-receive --ranks 2 --in-place", says: ["needs two buffers", "--in-place"]),
    Case(arguments: "send-receive --ranks 2 --algorithm ring", says: ["send-receive has no algorithms", "--algorithm"]),
    Case(arguments: "send-recieve --ranks 2", says: ["Did you mean 'send-receive'?"]),
    Case(arguments: "all-gather --ranks 2 --algorithm two-shot", says: ["unknown all-gather algorithm", "circulant"]),
    Case(arguments: "all-to-all --ranks 512 --sizes 8G", says: ["512 ranks", "do not fit", "--in-place"]),
    Case(arguments: "send-receive --ranks 2 --dtype int8 --sizes 8388607T", says: ["8388607T", "8 EiB"]),
    Case(arguments: "send-receive --ranks 2 --dtype int8 --sizes 8589934591G", says: ["do not fit"]),
    Case(arguments: "all-reduce --ranks 2 --iterations 0", says: ["--iterations 0"]),
    Case(arguments: "all-reduce --ranks 2 --warmup -1", says: ["--warmup"]),
    Case(arguments: "all-reduce --ranks 2 --timeout 0", says: ["--timeout", "more than 0"]),
    Case(arguments: "all-reduce --ranks 2 --timeout nan", says: ["--timeout"]),
    Case(arguments: "all-reduce --ranks 2 --output /nonexistent/x.json", says: ["/nonexistent", "does not exist"]),
    Case(arguments: "all-reduce --ranks 2 --output /tmp", says: ["is a folder"]),
    Case(arguments: "all-reduce", says: ["--ranks N", "TUTTI_RANK", "TUTTI_RENDEZVOUS", "MASTER_ADDR"]),
    Case(arguments: "all-reduce --transport inprocess", says: ["give --ranks"]),
    Case(arguments: "all-reduce --ranks 2", says: ["TUTTI_RANK", "unset"], environment: ["TUTTI_RANK": "0"]),
    Case(arguments: "all-reduce", says: ["TUTTI_SIZE", "TUTTI_RENDEZVOUS"], environment: ["TUTTI_RANK": "0"]),
    Case(
      arguments: "all-reduce", says: ["TUTTI_RANK", "4"],
      environment: ["TUTTI_RANK": "4", "TUTTI_SIZE": "4", "TUTTI_RENDEZVOUS": "127.0.0.1:29500", "TUTTI_SECRET": "s"]),
    Case(
      arguments: "all-reduce", says: ["TUTTI_SECRET"],
      environment: ["TUTTI_RANK": "0", "TUTTI_SIZE": "1", "TUTTI_RENDEZVOUS": "127.0.0.1:29500"]),
    Case(arguments: "verify --algorithm rong", says: ["unknown algorithm 'rong'", "Did you mean 'ring'?"]),
    Case(arguments: "verify --collective send-receive", says: ["unknown collective 'send-receive'"]),
    Case(arguments: "verify --min-ranks 5 --max-ranks 4", says: ["--min-ranks 5"]),
    Case(arguments: "list --format csv", says: ["unknown format"]),
  ]

  @Test(arguments: cases) func isRefused(_ bad: Case) async throws {
    let outcome = try await Tool.run(bad.arguments, environment: bad.environment, limit: 20)
    #expect(outcome.status == 1 || outcome.status == 64)
    #expect(outcome.output == "")
    for text in bad.says { #expect(outcome.errors.contains(text), "\(outcome.errors)") }
    #expect(outcome.errors.split(separator: "\n").count <= 44, "more than a screen")
  }
}
