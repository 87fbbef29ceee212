import TuttiSystem
import TuttiTopology

#if !RDMA
  import TuttiTransport

  // The module without the package's trait RDMA: the survey finds no rails, so nobody comes to make these.

  /// Stands in for the type of the same name in builds with RDMA.
  package final class RDMAFabric: MemoryRegistrar, Sendable {
    package let rails: [Rail] = []

    package init(rails: [Rail], settings: RDMASettings, rank: Int) throws(FailureReport) {
      throw FailureReport(
        .configuration, rank: rank, "Tutti was built without RDMA", advice: "Build with the package trait RDMA",
        transport: "rdma")
    }

    package var eventDescriptors: [Int32] { [] }
    @discardableResult
    package func serviceEvents(of descriptor: Int32) -> Bool { false }
    package func register(_ memory: UnsafeMutableRawPointer, bytes: Int) throws(FailureReport) {}
    package func unregister(_ memory: UnsafeMutableRawPointer) {}
  }

  /// Stands in for the type of the same name in builds with RDMA.
  package final class RDMAEndpoint: Sendable {
    package static func segmentBytesMax(rankCount: Int) -> Int { RDMALayout.segmentBytesMax(rankCount: rankCount) }

    package init(
      fabric: RDMAFabric, rank: Int, rankCount: Int, doorbell: Doorbell, registered: RegisteredMemory?,
      segmentBytesMax: Int? = nil
    ) throws(FailureReport) {}

    package var descriptor: Int32 { -1 }
    package func service() {}
    package func invite(over socket: consuming OwnedDescriptor, from peer: Int) throws(FailureReport) {}

    package func connect(
      over socket: consuming OwnedDescriptor, to peer: Int, rails: [Rail], deadline: UInt64, giveUp: () -> FailureReport?
    ) throws(FailureReport) -> Link {
      throw FailureReport(.configuration, rank: -1, peer: peer, "Tutti was built without RDMA", transport: "rdma")
    }

    package func takeLinks(into links: inout [Link]) throws(FailureReport) {}
    package func close() {}
  }
#endif
