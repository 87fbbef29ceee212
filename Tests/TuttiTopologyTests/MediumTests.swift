import Testing
import TuttiTopology

/// What carries messages: which is quicker, and what it is called.
@Suite struct MediumTests {
  @Test func theQuickerIsTheLesser() {
    #expect(Medium.allCases.sorted() == [.sharedMemory, .rdma, .loopback, .network])
    #expect(Medium.allCases.max() == .network)
  }

  /// Tuning profiles are written in this order.
  @Test func orderAndTextsStay() {
    #expect(Medium.allCases.map(\.rawValue) == ["shared memory", "loopback", "network", "RDMA"])
    #expect(Medium.allCases.filter(\.crossesHosts) == [.network, .rdma])
  }
}
