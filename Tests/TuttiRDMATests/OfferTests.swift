import Testing
import TuttiSystem
import TuttiTopology

@testable import TuttiRDMA

/// Tests what ranks tell each other about their rails. Every byte comes from another rank.
@Suite struct OfferTests {
  private static let rails = [
    Rail(device: "mlx5_0", port: 1, linkLayer: .ethernet, address: [10, 1, 0, 7], prefixLength: 24, megabits: 2500),
    Rail(device: "ibp3s0", port: 2, linkLayer: .infiniband, address: Array(1...16), prefixLength: 64),
  ]

  @Test func offersSurviveTheTrip() throws {
    for offer in [
      RDMAOffer(rails: Self.rails, obstacle: ""), RDMAOffer(rails: [], obstacle: "no RDMA device"),
      RDMAOffer(rails: Array(repeating: Self.rails[1], count: Rail.countMax), obstacle: ""),
    ] {
      #expect(try RDMAOffer(offer.bytes) == offer)
      #expect(offer.bytes.count <= 2048)
      for count in 0..<offer.bytes.count {
        #expect(throws: MalformedMessage.self) { try RDMAOffer(Array(offer.bytes.prefix(count))) }
      }
      #expect(throws: MalformedMessage.self) { try RDMAOffer(offer.bytes + [0]) }
    }
  }

  @Test("a rail that no rank could have is refused") func rails() throws {
    func decode(_ rail: Rail, count: Int = 1) throws(MalformedMessage) -> [Rail] {
      var encoder = WireEncoder()
      encoder.put("", bytesMax: 1)
      encoder.put(UInt32(count))
      for _ in 0..<count { rail.encode(into: &encoder) }
      return try RDMAOffer(encoder.bytes).rails
    }
    let good = Self.rails[0]
    #expect(try decode(good, count: Rail.countMax) == Array(repeating: good, count: Rail.countMax))
    #expect(throws: MalformedMessage("rails")) { try decode(good, count: Rail.countMax + 1) }
    for (change, what) in [
      ({ $0.port = 0 }, "port"), ({ $0.address = [] }, "rail address"), ({ $0.address = Array(1...5) }, "rail address"),
      ({ $0.prefixLength = 33 }, "prefix length"),
    ] as [((inout Rail) -> Void, String)] {
      var rail = good
      change(&rail)
      #expect(throws: MalformedMessage(what)) { try decode(rail) }
    }
    var encoder = WireEncoder()
    good.encode(into: &encoder)
    var bytes = encoder.bytes
    bytes[2 + good.device.utf8.count + 1] = 9
    #expect(throws: MalformedMessage("link layer")) {
      var decoder = WireDecoder(bytes)
      return try Rail(from: &decoder)
    }
  }
}
