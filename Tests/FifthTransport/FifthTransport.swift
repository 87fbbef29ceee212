import TuttiSystem
import TuttiTopology
import TuttiTransport

/// A transport that the library does not know: links between threads of one process, for ranks that joined like processes.
/// It is here to show what a transport takes: this module, an entry in a list, and a line in the conformance suite.
package struct FifthTransport: Transport {
  package static let kind = TransportKind("fifth")
  static let segmentBytesMax = 128 << 10

  private let media: Medium
  package let isConfidential: Bool

  /// - Parameters:
  ///   - medium: The medium that it claims to be.
  ///   - isConfidential: Whether it claims that nobody else can read what it carries.
  package init(medium: Medium = .sharedMemory, isConfidential: Bool = true) {
    media = medium
    self.isConfidential = isConfidential
  }

  package var kind: TransportKind { Self.kind }
  package var connection: ConnectionWay { .any }
  package var memory: RegisteredMemoryUse { .none }
  package var waiting: WaitingHints { WaitingHints() }

  package func medium(isOneHost: Bool) -> Medium { media }

  package func open(_ request: TransportRequest) throws(FailureReport) -> any TransportAccess { FifthAccess() }

  package func report(_ environment: [String: String]) -> TransportReport { TransportReport() }

  package func grounds(of rank: RankFacts, isNamed: Bool) -> Set<TransportGround> {
    FifthOffer(of: rank).map { [TransportGround($0)] } ?? []
  }

  package func segmentBytesMax(_ use: TransportUse) -> Int { Self.segmentBytesMax }

  package func check(_ choice: LinkChoice, _ limits: () -> ResourceLimits) throws(FailureReport) {
    guard choice.isNamed, let (low, high) = choice.firstPair(beyond: kind) else { return }
    throw FailureReport(
      .configuration, rank: choice.rank, peer: high,
      "\(choice.ranks[low].description) and \(choice.ranks[high].description) are different processes", transport: kind.name)
  }

  package func notices(_ choice: LinkChoice) -> [String] { [] }
}
