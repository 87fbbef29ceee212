import Testing

@testable import Tutti

/// What the suites run over here, so that what is left out is named, and what was asked for is there.
@Suite struct FabricTests {
  @Test func namesAreKnown() {
    for name in Fabric.wantedNames ?? [] {
      let choice = TransportChoice(name: name)
      #expect(
        choice != nil && choice != .auto, "TUTTI_TEST_FABRICS names \"\(name)\": inprocess, shm, tcp and rdma are known")
    }
    #expect(!Fabric.allCases.isEmpty, "TUTTI_TEST_FABRICS leaves nothing to test")
  }

  /// Skipped where there is no device, unless it was asked for.
  @Test(
    .enabled(
      if: Fabric.rdmaObstacle == nil || Fabric.wantedNames?.contains("rdma") == true,
      "no test runs over RDMA: \(Fabric.rdmaObstacle ?? "")"))
  func ranksTalkOverRDMA() throws {
    #expect(Fabric.rdmaObstacle == nil)
    try withRanks(2, .rdma) { communicator in
      var values = [Float(communicator.rank + 1)]
      try communicator.allReduce(&values, .sum)
      #expect(values == [3] && communicator.lastOperation.transports == [.rdma])
    }
  }
}
