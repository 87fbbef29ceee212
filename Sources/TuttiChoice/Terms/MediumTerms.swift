import TuttiAlgorithms
import TuttiTopology

/// What messages and bytes cost on one kind of transport, in microseconds: the table behind the automatic choice.
///
/// On one host the ranks share processors, and what all of them do together counts; over a network only what the busiest
/// rank does. The values for one host were fitted to measurements of all algorithms at 2, 3, 4 and 8 ranks on 2 cores, 8
/// B to 16 MiB, so that the choices are right rather than the times; `Benchmarks/choice` compares the choices with what
/// is best. The values for a network are of 10 Gb/s Ethernet. The values for RDMA are of 100 Gb/s RoCE, and not measured:
/// a byte is the line rate of 12.5 GB/s; a message is two work requests and a completion at either end, at some 0.1 us
/// each, as one core sends 10 million small ones a second (Kalia, Kaminsky & Andersen, "Datacenter RPCs can be General
/// and Fast", NSDI 2019); a round is half of the 2 to 3 us that adapters of that kind take there and back, and as much
/// again for the engines.
package struct MediumTerms: Hashable, Sendable {
  /// A round: one message after another.
  package let round: Double
  /// A message of the busiest rank, and one of all ranks'.
  package let message: Double
  package let anyMessage: Double
  /// A byte of the busiest rank, and one of all ranks'.
  package var byte: Double
  package let anyByte: Double
  /// A byte of the first segment, once for each round: how long a pipeline takes to fill.
  package var firstByte: Double

  /// What a message to another host costs the processors of a host: at both ends, because every host sends and receives.
  /// Over TCP that is system calls, interrupts and waking who waits, on test hosts.
  static let networkHostMessage = 9.0

  package static func terms(of medium: Medium) -> MediumTerms {
    switch medium {
    case .sharedMemory:
      MediumTerms(round: 2.8, message: 0.34, anyMessage: 8e-4, byte: 1e-8, anyByte: 6.6e-5, firstByte: 9.5e-5)
    case .loopback:
      MediumTerms(round: 1, message: 1.2, anyMessage: 4.5, byte: 1.1e-5, anyByte: 4.5e-4, firstByte: 2e-5)
    case .network:
      MediumTerms(round: 20, message: 3, anyMessage: 0, byte: 8e-4, anyByte: 0, firstByte: 8e-4)
    case .rdma:
      MediumTerms(round: 2, message: 0.3, anyMessage: 0, byte: 8e-5, anyByte: 0, firstByte: 8e-5)
    }
  }

  /// What one byte costs on a link of this rate.
  package static func byte(bitsPerSecond: Double) -> Double { 8e6 / (bitsPerSecond * dataShare) }

  /// How much of what a link carries is data: 1448 of the 1538 bytes that a full Ethernet frame takes on the wire are, with
  /// TCP's headers, and somewhat more with RoCE's.
  private static let dataShare = 0.95

  /// Predicts the time of what travels at one level, as the table was fitted: everything adds up.
  ///
  /// - Parameter parallel: How many ranks run at the same time.
  func prediction(
    _ cost: AlgorithmCost.Level, bytes: Double, segmentBytes: Double, parallel: Int
  ) -> (latency: Double, filling: Double, transfer: Double, microseconds: Double) {
    let filling = firstByte * min(bytes, segmentBytes)
    let rounds = Double(cost.rounds) * (round + filling)
    let busiest = Double(cost.messages) * message
    let others = Double(cost.totalMessages) * anyMessage / Double(parallel)
    let transfer = bytes * (cost.volume * byte + cost.totalVolume * anyByte / Double(parallel))
    return (
      Double(cost.rounds) * round + busiest + others, Double(cost.rounds) * filling, transfer,
      rounds + busiest + others + transfer
    )
  }
}
