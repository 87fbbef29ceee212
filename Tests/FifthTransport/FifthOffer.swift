import TuttiSystem
import TuttiTransport

/// What a rank tells the others: a number that only its process has drawn.
struct FifthOffer: Hashable {
  let process: UInt64

  static let own = FifthOffer(process: .random(in: 1 ... .max))

  private init(process: UInt64) { self.process = process }

  init?(of rank: RankFacts) {
    guard let bytes = rank.offer(of: FifthTransport.kind) else { return nil }
    var decoder = WireDecoder(bytes)
    guard let process: UInt64 = try? decoder.take("process") else { return nil }
    self.process = process
  }

  var bytes: [UInt8] {
    var encoder = WireEncoder()
    encoder.put(process)
    return encoder.bytes
  }
}
