import Glibc
import TuttiSystem
import TuttiTopology
import TuttiTransport

/// TCP as a transport. It reaches every rank, and every host has what it needs.
package struct TCPTransport: Transport {
  package static let kind = TransportKind("tcp")
  /// The largest payload of a segment.
  static let segmentBytesMax = 256 << 10

  package init() {}

  package var kind: TransportKind { Self.kind }
  package var connection: ConnectionWay { .network }
  package var memory: RegisteredMemoryUse { .none }
  package var isConfidential: Bool { true }
  package var waiting: WaitingHints { WaitingHints() }

  package func medium(isOneHost: Bool) -> Medium { isOneHost ? .loopback : .network }

  package func open(_ request: TransportRequest) throws(FailureReport) -> any TransportAccess {
    TCPAccess(patience: try LinkPatience.read(request.environment))
  }

  package func report(_ environment: [String: String]) -> TransportReport {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return TransportReport(obstacle: "socket: \(errorText(errno))") }
    let owner = OwnedDescriptor(descriptor)
    let code = listen(owner.raw, 1) == 0 ? 0 : errno
    return TransportReport(obstacle: code == 0 ? nil : "listen: \(errorText(code))")
  }

  package func grounds(of rank: RankFacts, isNamed: Bool) -> Set<TransportGround> {
    rank.offer(of: kind) == nil ? [] : TCPOffer.grounds
  }

  package func segmentBytesMax(_ use: TransportUse) -> Int { Self.segmentBytesMax }

  package func check(_ choice: LinkChoice, _ limits: () -> ResourceLimits) throws(FailureReport) {}

  package func notices(_ choice: LinkChoice) -> [String] { [] }
}
