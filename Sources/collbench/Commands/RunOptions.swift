import ArgumentParser
import TuttiSchedule

/// The flags of `run`, as typed. ``configuration()`` turns them into a ``RunConfiguration`` or says what is wrong.
struct RunOptions: ParsableArguments {
  @Argument(help: "What to run: \(Catalog.subjects.joined(separator: ", ")).")
  var collective: String

  @OptionGroup var start: RankOptions

  @Option(help: "One of \(Catalog.transports.joined(separator: ", ")).")
  var transport = "auto"

  @Option(help: "A name from 'collbench list', 'auto' (the library chooses) or 'all' (each in turn).")
  var algorithm = "auto"

  @Option(help: "Bytes of the message or of all ranks' blocks, a list: 8,4K,2M. K, M, G are powers of 1024.")
  var sizes: String?

  @Option(help: "Smallest size. (default: 8, or one element where that is more)")
  var minBytes: String?

  @Option(help: "Largest size. (default: 64M)")
  var maxBytes: String?

  @Option(help: "Each size is the one before times this. (default: 4)")
  var factor: Int?

  @Option(help: "Element type: \(Catalog.types.joined(separator: ", ")), or 'all' (each in turn).")
  var dtype = "float32"

  @Option(
    help: """
      How elements combine: \(Catalog.operations.joined(separator: ", ")), or 'all' (each in turn that the type has). \
      Bitwise ones are for integers, average for floating-point types.
      """)
  var op = "sum"

  @Option(help: "The rank that has or gets the data of broadcast, reduce, gather and scatter. (default: 0)")
  var root: Int?

  @Option(help: "Timed operations for each size. (default: by size, 3 to 1000)")
  var iterations: Int?

  @Option(
    help: """
      Operations before the timed ones. (default: a tenth of them; more where large segments have the choice of how to travel)
      """)
  var warmup: Int?

  @Option(help: "Measure each size for this many seconds, instead of a number of iterations.")
  var duration: Double?

  @Flag(help: "No barrier between iterations: the averages of batches are timed. Calls of several ranks may overlap.")
  var backToBack = false

  @Flag(help: "Input and output are the same buffer, or one is the rank's block of the other.")
  var inPlace = false

  @Flag(help: "Buffers are registered memory, which peers read and write in place (shm, rdma).")
  var registered = false

  @Flag(help: "Buffers begin at odd addresses, 1 and 3 bytes past a page.")
  var unaligned = false

  @Flag(help: "Do not compare the results with the exact expected bits.")
  var noCheck = false

  @Option(
    help: """
      What floating-point results may depend on (docs/REPRODUCIBILITY.md): \
      \(ResultBits.allCases.map(\.name).joined(separator: ", ")). (default: TUTTI_BITS, or class)
      """)
  var bits: String?

  @Option(help: "The file that describes the hosts and their network (docs/TOPOLOGIES.md); its ranks are the run's.")
  var topology: String?

  @Option(help: "One of \(Catalog.formats.joined(separator: ", ")).")
  var format = "table"

  @Option(help: "Write the results to this file instead of standard output, whole or not at all.")
  var output: String?

  @Option(help: "Seconds an operation may take before it fails on every rank.")
  var timeout = 60.0
}
