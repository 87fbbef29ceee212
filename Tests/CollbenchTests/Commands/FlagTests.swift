import Testing

@testable import collbench

/// The library's advice names no flags; collbench puts them in where it prints.
@Suite struct FlagTests {
  @Test(arguments: [
    ("Allow it, or choose the transport auto or tcp", "Allow it, or choose --transport auto or tcp"),
    ("Choose the transport rdma, or the transport tcp", "Choose --transport rdma, or --transport tcp"),
    ("the transport of rank 2 failed over shared memory", "the transport of rank 2 failed over shared memory"),
  ])
  func adviceNamesTheFlag(text: String, printed: String) { #expect(inFlags(text) == printed) }

  @Test(arguments: Catalog.transports)
  func adviceOfEveryTransportDoes(name: String) {
    #expect(inFlags("Allow it, or choose the transport \(name).") == "Allow it, or choose --transport \(name).")
  }

  @Test func countsAgreeWithTheirNouns() {
    #expect(counted(1, "rank") == "1 rank" && counted(0, "rank") == "0 ranks" && counted(12, "message") == "12 messages")
  }
}
